"""GitLab's client against the fake forge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from podium.core.domain.hosts import CiState, CommitStatus, HostFeature, StatusState
from podium.core.domain.watching import Health
from podium.core.errors import NotFound, Refused, Unreachable
from podium.core.scm.hosts.opening import open_host

REPO = "acme/flight-delay"


@pytest.fixture
def opened(forge, project) -> Iterator[Callable[..., tuple[Any, Any]]]:
    hosts: list[Any] = []

    def start(**options: Any) -> tuple[Any, Any]:
        made = forge("gitlab")
        options.setdefault("token", made.token)
        hosts.append(open_host(project("gitlab", made.url, **options)))
        return made, hosts[-1]

    yield start
    for host in hosts:
        host.close()


def test_names_branches_tags_and_files(opened) -> None:
    forge, host = opened()
    other = forge.commit(REPO, "Second", branch="feature/a")
    assert host.account().login == "acme" and host.commit_url("abc") == f"{host.url}/-/commit/abc"
    assert host.tips(["main", "feature/a", "gone"]) == {"main": forge.sha, "feature/a": other}
    assert host.tags() == {} and host.file("a/b c.txt", forge.sha) == b"text"
    with pytest.raises(NotFound):
        host.file("nothing.txt", "main")


def test_polling_is_conditional(opened) -> None:
    forge, host = opened()
    for _ in range(3):
        assert host.tips(["main"]) == {"main": forge.sha}
    assert [call.cached for call in host.calls] == [False, True, True]
    assert host.rate.limit is not None and host.rate.remaining is not None


def test_a_project_that_is_not_there(forge, project) -> None:
    made = forge("gitlab")
    host = open_host(project("gitlab", made.url, repo="acme/nothing", token=made.token))
    with pytest.raises(NotFound, match="the project"):
        host.tips(["main"])
    host.close()


def test_merge_requests_say_where_they_come_from(opened) -> None:
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


# -- CI
# --------------------------------------------------------------------------------------------------------------------


def test_a_trace_is_followed_while_the_job_runs(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO)
    job = run.jobs[0]
    forge.ci.append_log(job, "one\n")
    first = host.ci_log(str(job.id))
    assert first.text == "one\n" and not first.complete and first.retry_after > 0
    assert host.ci_log(str(job.id), offset=first.next).text == ""
    forge.ci.append_log(job, "zwei ä\n".encode()[:-2])  # in the middle of a letter
    second = host.ci_log(str(job.id), offset=first.next)
    assert second.text == "zwei " and not second.complete
    forge.ci.append_log(job, "ä\n".encode()[1:])
    forge.ci.finish(job)
    third = host.ci_log(str(job.id), offset=second.next)
    assert third.text == "ä\n" and third.complete


def test_runs_and_jobs(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO, jobs=[{"name": "unit", "stage": "test"}, {"name": "go", "stage": "deploy"}])
    found = host.ci_runs()[0]
    assert (found.id, found.state, found.sha, found.branch) == (str(run.id), CiState.RUNNING, forge.sha, "main")
    assert [(job.name, job.stage) for job in host.ci_jobs(found.id)] == [("unit", "test"), ("go", "deploy")]
    forge.ci.finish(run.jobs[0], "failed")
    job = host.ci_jobs(found.id)[0]
    assert job.state is CiState.FAILED and job.reason == "script failure"
    assert host.ci_runs(sha="0" * 40) == []


def test_child_pipelines_are_reached_in_other_projects_too(opened) -> None:
    forge, host = opened()
    forge.make_repo("acme/models")
    forge.commit("acme/models", "First")
    run = forge.ci.start(REPO, jobs=["build"])
    near = forge.ci.child(run, REPO, name="near", jobs=["inner"])
    far = forge.ci.child(run, "acme/models", name="far", jobs=["train"])
    children = {job.name: job.child for job in host.ci_jobs(str(run.id)) if job.child is not None}
    assert (children["near"].id, children["near"].repo, children["near"].parent) == (str(near.id), REPO, str(run.id))
    assert (children["far"].id, children["far"].repo) == (str(far.id), "acme/models")
    inner = host.ci_jobs(children["far"].id, children["far"].repo)
    assert [job.name for job in inner] == ["train"]
    forge.ci.append_log(far.jobs[0], "training\n")
    assert host.ci_log(inner[0].id, repo="acme/models").text == "training\n"
    assert host.ci_run(str(far.id), "acme/models").id == str(far.id)


def test_only_what_failed_is_retried(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO, jobs=["a", "b"])
    forge.ci.finish(run.jobs[0])
    forge.ci.finish(run.jobs[1], "failed")
    host.ci_rerun(str(run.id))
    assert [job.name for job in host.ci_jobs(str(run.id)) if not job.state.finished] == ["b"]
    with pytest.raises(Refused, match="only those jobs"):
        host.ci_rerun(str(run.id), failed=False)
    host.ci_cancel(str(run.id))
    assert host.ci_run(str(run.id)).state is CiState.CANCELLED


def test_a_blocked_deployment_is_approved(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO, jobs=["deploy"])
    forge.ci.wait_for_approval(run, "production")
    (approval,) = host.ci_approvals(str(run.id))
    assert approval.environment == "production"
    host.ci_approve(approval, why="the gate has passed")
    assert run.approvals[0].comment == "the gate has passed" and host.ci_approvals(str(run.id)) == []


def test_a_pipeline_is_started(opened) -> None:
    _, host = opened()
    (workflow,) = host.workflows()
    assert workflow.path == ".gitlab-ci.yml"
    host.ci_start(workflow.id, "main", {"REASON": "x"})
    assert host.ci_runs()[0].branch == "main"


# -- what is told back
# --------------------------------------------------------------------------------------------------------------------


def test_a_status_is_told_as_often_as_one_likes(opened) -> None:
    forge, host = opened()
    for state in (StatusState.PENDING, StatusState.PENDING, StatusState.SUCCESS, StatusState.SUCCESS):
        host.set_status(forge.sha, CommitStatus("podium/release", state, "words", "https://example.org/a"))
    host.set_status(forge.sha, CommitStatus("podium/gate", StatusState.ERROR))
    found = {each.context: each for each in host.statuses(forge.sha)}
    assert found["podium/release"].state is StatusState.SUCCESS and found["podium/release"].url
    assert found["podium/gate"].state is StatusState.FAILURE
    with pytest.raises((Refused, NotFound)):
        host.set_status("0" * 40, CommitStatus("podium/release", StatusState.SUCCESS))


def test_a_deployment_that_runs_is_not_made_twice(opened) -> None:
    forge, host = opened()
    first = host.create_deployment("production", forge.sha, key="run-1")
    assert host.create_deployment("production", forge.sha, key="run-1") == first
    host.set_deployment(first, StatusState.SUCCESS, url="https://example.org")
    host.set_deployment(first, StatusState.SUCCESS, url="https://example.org")
    (found,) = host.deployments("production")
    assert (found.id, found.state, found.url) == (first, StatusState.SUCCESS, "https://example.org")
    other = forge.commit(REPO, "Second")
    second = host.create_deployment("production", other, key="run-2")
    assert second != first and host.create_deployment("production", forge.sha, key="run-1") == first
    host.set_deployment(second, StatusState.FAILURE)
    assert host.create_deployment("production", other, key="run-3") not in (first, second)


def test_a_deployment_is_known_again_after_a_restart(opened, project) -> None:
    forge, host = opened()
    first = host.create_deployment("production", forge.sha, key="run-1")
    host.set_deployment(first, StatusState.SUCCESS)
    again = open_host(project("gitlab", forge.url, token=forge.token))
    assert again.create_deployment("production", forge.sha, key="run-1") == first
    again.set_deployment(first, StatusState.PENDING)
    assert [each.state for each in again.deployments()] == [StatusState.SUCCESS]
    again.close()


def test_a_comment_is_written_and_changed(opened) -> None:
    forge, host = opened()
    forge.commit(REPO, "Ours", branch="ours")
    pull = forge.open_pull_request(REPO, "ours")
    first = host.create_comment(pull.number, "one")
    host.update_comment(pull.number, first, "two")
    assert [(each.id, each.body, each.author) for each in host.comments(pull.number)] == [(first, "two", "acme")]


def test_a_release_that_exists_is_left_as_it_is(opened) -> None:
    forge, host = opened()
    import subprocess

    bare = str(forge.state.repo(REPO).bare.path)
    subprocess.run(["git", "-C", bare, "tag", "v7", forge.sha], check=True)
    url = host.create_release("v7", "v7", "notes")
    assert url.startswith(forge.url) and host.create_release("v7", "other", "other") == url
    assert host.tags() == {"v7": forge.sha}


def test_what_gitlab_has_not_got(opened) -> None:
    forge, host = opened()
    with pytest.raises(Refused, match="no check runs"):
        host.set_check_run(forge.sha, "gate", CommitStatus("gate", StatusState.SUCCESS), "x")
    assert list(host.missing) == [HostFeature.CHECK_RUNS]


# -- what goes wrong
# --------------------------------------------------------------------------------------------------------------------


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


def test_a_host_below_a_path(forge, project, web) -> None:
    """As behind a proxy that serves several things."""
    front = web()
    front.answers((200, {"Content-Type": "application/json"}, b'{"commit": {"id": "' + b"a" * 40 + b'"}}'))
    host = open_host(project("gitlab", f"{front.url}/git", repo="acme/group/x"))
    assert host.tips(["a/b"]) == {"a/b": "a" * 40}
    assert front.asked[0].target == "/git/api/v4/projects/acme%2Fgroup%2Fx/repository/branches/a%2Fb"
    host.close()


def test_doctor_learns_whose_token_it_is_and_what_it_may(opened) -> None:
    forge, host = opened()
    messages = [each.message for each in host.examine() if each.health is Health.OK]
    assert any("is that of acme" in each for each in messages)
    forge.state.token(forge.token).scopes = frozenset({"read_api"})
    warned = [each.message for each in host.examine() if each.health is Health.WARNING]
    assert any("telling back needs api" in each for each in warned)
