"""The client of Gitea and Forgejo against the fake forge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from podium.core.domain.hosts import CiApproval, CiState, CommitStatus, HostFeature, StatusState
from podium.core.errors import NotFound, Refused, Unreachable
from podium.core.scm.hosts.opening import open_host

from tests.scm.hosts.conftest import said

REPO = "acme/flight-delay"


@pytest.fixture
def opened(forge, project) -> Iterator[Callable[..., tuple[Any, Any]]]:
    hosts: list[Any] = []

    def start(**options: Any) -> tuple[Any, Any]:
        made = forge("gitea")
        options.setdefault("token", made.token)
        hosts.append(open_host(project("gitea", made.url, **options)))
        return made, hosts[-1]

    yield start
    for host in hosts:
        host.close()


def test_names_branches_tags_and_files(opened) -> None:
    forge, host = opened()
    other = forge.commit(REPO, "Second", branch="feature/a")
    assert host.account().login == "acme" and host.commit_url("abc") == f"{host.url}/commit/abc"
    assert host.tips(["main", "feature/a", "gone"]) == {"main": forge.sha, "feature/a": other}
    assert host.tags() == {} and host.file("a/b c.txt", forge.sha) == b"text"
    with pytest.raises(NotFound):
        host.file("nothing.txt", "main")


def test_a_repository_that_is_not_there(forge, project) -> None:
    made = forge("gitea")
    host = open_host(project("gitea", made.url, repo="acme/nothing", token=made.token))
    for ask in (lambda: host.tips(["main"]), host.ci_runs):
        with pytest.raises(NotFound, match="the repository"):
            ask()
    host.close()


def test_pull_requests_say_where_they_come_from(opened) -> None:
    forge, host = opened()
    forge.commit(REPO, "Ours", branch="ours")
    forge.open_pull_request(REPO, "ours", title="Ours")
    fork = forge.make_fork(REPO, "mallory")
    sha = forge.commit(fork, "Theirs", branch="main", by="mallory")
    pull = forge.open_pull_request(REPO, "main", fork=fork, title="Theirs", by="mallory")
    found = {each.title: each for each in host.pull_requests()}
    assert (found["Ours"].fork, found["Ours"].branch, found["Ours"].base) == ("", "ours", "main")
    theirs = found["Theirs"]
    assert (theirs.fork, theirs.author, theirs.sha, theirs.number) == (fork.full_name, "mallory", sha, pull.number)


def test_runs_jobs_and_logs(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO, jobs=[{"name": "test", "steps": ["checkout"]}])
    job = run.jobs[0]
    found = host.ci_runs()[0]
    assert (found.id, found.state, found.sha, found.branch) == (str(run.id), CiState.RUNNING, forge.sha, "main")
    assert host.ci_jobs(found.id)[0].name == "test"
    forge.ci.append_log(job, "one\n")
    first = host.ci_log(str(job.id))
    assert "one" in first.text and not first.complete
    forge.ci.append_log(job, "two\n")
    forge.ci.finish(job, "failed")
    second = host.ci_log(str(job.id), offset=first.next)
    assert "two" in second.text and "one" not in second.text and second.complete
    assert host.ci_run(found.id).state is CiState.FAILED


def test_many_runs_come_page_by_page(opened) -> None:
    forge, host = opened()
    for _ in range(55):
        forge.ci.start(REPO, jobs=[])
    assert len(host.ci_runs(limit=54)) == 54


def test_a_workflow_is_started(opened) -> None:
    forge, host = opened()
    forge.ci.workflow(REPO, "CI")
    text = "on: {workflow_dispatch: {inputs: {reason: {}}}}\n"
    forge.commit(REPO, "Workflow", {".gitea/workflows/ci.yml": text})
    (workflow,) = host.workflows()
    assert workflow.inputs == ("reason",)
    host.ci_start(workflow.id, "main", {"reason": "x"})
    assert host.ci_runs()[0].event == "workflow_dispatch"


def test_what_gitea_has_not_got_is_said(opened) -> None:
    forge, host = opened()
    assert host.ci_approvals("1") == host.deployments() == ()
    status = CommitStatus("gate", StatusState.SUCCESS)
    for ask in (
        lambda: host.ci_rerun("1"),
        lambda: host.ci_cancel("1"),
        lambda: host.ci_approve(CiApproval("1", "1", "production"), why="x"),
        lambda: host.create_deployment("production", forge.sha),
        lambda: host.set_deployment("1", StatusState.SUCCESS),
        lambda: host.set_check_run(forge.sha, "gate", status, "x"),
    ):
        with pytest.raises(Refused, match=r"Gitea('s API)? has no"):
            ask()
    assert not host.calls


def test_an_older_one_without_ci_is_learned(project, web) -> None:
    old = web()
    old.reply = lambda asked: said({}) if asked.path.endswith("/flight-delay") else said({"message": "404"}, 404)
    host = open_host(project("gitea", old.url))
    assert HostFeature.CI not in host.missing
    for _ in range(2):
        with pytest.raises(Refused, match=r"does not list CI runs: it is older than Gitea 1\.25"):
            host.ci_runs()
    assert HostFeature.CI in host.missing and len(old.asked) == 2, "it is asked once"
    host.close()


def test_statuses_comments_and_releases(opened) -> None:
    forge, host = opened()
    host.set_status(forge.sha, CommitStatus("podium/release", StatusState.PENDING, "words"))
    host.set_status(forge.sha, CommitStatus("podium/release", StatusState.SUCCESS, "done", "https://example.org/a"))
    (status,) = host.statuses(forge.sha)
    assert (status.state, status.description, status.url) == (StatusState.SUCCESS, "done", "https://example.org/a")
    forge.commit(REPO, "Ours", branch="ours")
    pull = forge.open_pull_request(REPO, "ours")
    first = host.create_comment(pull.number, "one")
    host.update_comment(pull.number, first, "two")
    assert [(each.id, each.body, each.author) for each in host.comments(pull.number)] == [(first, "two", "acme")]
    url = host.create_release("v7", "v7", "notes")
    assert url.startswith(forge.url) and host.create_release("v7", "other", "other") == url


def test_a_wrong_token_is_said_and_never_shown(opened) -> None:
    _, host = opened(token="wrong-token-which-nobody-gave")
    with pytest.raises(Refused, match=r"does not accept the token from .* \(401\)") as raised:
        host.account()
    assert "wrong-token" not in f"{raised.value!r} {raised.value.hint} {host.calls} {vars(host)}"


@pytest.mark.parametrize("fault", [{"status": 500}, {"login": True}, {"status": 429, "headers": {"Retry-After": "9"}}])
def test_faults_are_said(opened, fault) -> None:
    forge, host = opened()
    forge.faults.add(**fault, count=None)
    with pytest.raises(Unreachable):
        host.tips(["main"])


def test_doctor_learns_whose_token_it_is(opened) -> None:
    _, host = opened()
    assert any("is that of acme" in each.message for each in host.examine())
