"""GitHub's client against the fake forge, which is a GitHub Enterprise Server for it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.hosts import CiApproval, CiState, CommitStatus, HostFeature, StatusState
from podium.core.domain.watching import Health
from podium.core.errors import NotFound, Refused, Unreachable, UsageError
from podium.core.scm.hosts.github.dispatch import inputs_of
from podium.core.scm.hosts.github.opening import api_url
from podium.core.scm.hosts.opening import open_host

REPO = "acme/flight-delay"
WORKFLOW = """
name: CI
on:
  push:
  workflow_dispatch:
    inputs:
      environment: {type: string}
      reason: {}
jobs: {}
"""


@pytest.fixture
def opened(forge, project) -> Iterator[Callable[..., tuple[Any, Any]]]:
    hosts: list[Any] = []

    def start(**options: Any) -> tuple[Any, Any]:
        made = forge("github")
        options.setdefault("token", made.token)
        hosts.append(open_host(project("github", made.url, **options)))
        return made, hosts[-1]

    yield start
    for host in hosts:
        host.close()


@pytest.mark.parametrize(
    ("web", "api"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://acme.ghe.com", "https://api.acme.ghe.com"),
        ("https://git.acme.org", "https://git.acme.org/api/v3"),
        ("http://127.0.0.1:8080/sub", "http://127.0.0.1:8080/sub/api/v3"),
    ],
)
def test_where_the_api_is(web: str, api: str) -> None:
    assert api_url(web) == api


def test_names_and_pages(opened) -> None:
    forge, host = opened()
    assert host.name == f"{forge.url.removeprefix('http://')}/{REPO}" and host.kind == "github"
    assert host.clone_url == forge.clone_url(REPO) and host.commit_url("abc") == f"{host.url}/commit/abc"
    assert host.account().login == "acme"
    assert not forge.requests.matching(path=forge.token)


def test_branches_tags_and_files(opened) -> None:
    forge, host = opened()
    other = forge.commit(REPO, "Second", branch="feature/a")
    forge.commit(REPO, "Third", branch="main-2")
    assert host.tips(["main", "feature/a", "gone", "main-2"])["main"] == forge.sha
    assert host.tips(["feature/a", "gone", "feature"]) == {"feature/a": other}
    assert host.file("a/b c.txt", forge.sha) == b"text"
    with pytest.raises(NotFound, match=r"nothing\.txt"):
        host.file("nothing.txt", "main")


def test_polling_costs_nothing_while_nothing_is_pushed(opened) -> None:
    forge, host = opened()
    host.tips(["main"])
    used = forge.rates.used("acme")
    for _ in range(5):
        assert host.tips(["main"]) == {"main": forge.sha}
    assert forge.rates.used("acme") == used and [call.cached for call in host.calls] == [False, *[True] * 5]
    new = forge.commit(REPO, "Second")
    assert host.tips(["main"]) == {"main": new}


def test_an_empty_repository_has_no_branches(opened, forge, project) -> None:
    made = forge("github")
    made.make_repo("acme/empty")
    host = open_host(project("github", made.url, repo="acme/empty", token=made.token))
    assert host.tips(["main"]) == {} and host.tags() == {}
    host.close()


def test_a_repository_that_is_not_there(forge, project) -> None:
    made = forge("github")
    host = open_host(project("github", made.url, repo="acme/nothing", token=made.token))
    with pytest.raises(NotFound, match="has not got the branch main"):
        host.tips(["main"])
    host.close()


def test_pull_requests_say_where_they_come_from(opened) -> None:
    forge, host = opened()
    forge.commit(REPO, "Ours", branch="ours")
    forge.open_pull_request(REPO, "ours", title="Ours", draft=True)
    fork = forge.make_fork(REPO, "mallory")
    sha = forge.commit(fork, "Theirs", branch="main", by="mallory")
    pull = forge.open_pull_request(REPO, "main", fork=fork, title="Theirs \x1b[31m", by="mallory")
    found = {each.title: each for each in host.pull_requests()}
    ours, theirs = found["Ours"], found["Theirs "]
    assert (ours.fork, ours.branch, ours.base, ours.draft) == ("", "ours", "main", True)
    assert (theirs.fork, theirs.author, theirs.sha, theirs.number) == (fork.full_name, "mallory", sha, pull.number)
    pull.deleted_fork = True
    assert next(each.fork for each in host.pull_requests() if each.number == pull.number) == "(deleted)"


# -- CI
# --------------------------------------------------------------------------------------------------------------------


def test_runs_jobs_and_steps(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO, jobs=[{"name": "test", "steps": ["checkout", "pytest"]}, "lint"])
    found = host.ci_runs()[0]
    assert (found.id, found.name, found.state, found.sha) == (str(run.id), "CI", CiState.RUNNING, forge.sha)
    assert (found.branch, found.event, found.repo, found.actor) == ("main", "push", REPO, "acme")
    assert found.created > 1e9 and found.number == run.number and found.url.startswith(host.url)
    jobs = host.ci_jobs(found.id)
    assert [job.name for job in jobs] == ["test", "lint"] and [step.name for step in jobs[0].steps] == [
        "checkout",
        "pytest",
    ]
    forge.ci.finish(run.jobs[0], "failed")
    forge.ci.finish(run.jobs[1])
    assert host.ci_run(found.id).state is CiState.FAILED
    assert [job.state for job in host.ci_jobs(found.id)] == [CiState.FAILED, CiState.SUCCEEDED]
    assert host.ci_runs(sha="0" * 40) == [] and host.ci_runs(branch="main", limit=1)[0].id == found.id


def test_many_runs_come_page_by_page(opened) -> None:
    forge, host = opened()
    for _ in range(105):
        forge.ci.start(REPO, jobs=[])
    assert len(host.ci_runs(limit=104)) == 104
    assert len(forge.requests.matching("GET", "/actions/runs")) == 2


def test_a_log_is_there_after_the_job_and_lies_elsewhere(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO)
    job = run.jobs[0]
    waits = host.ci_log(str(job.id))
    assert not waits.complete and "only after the job has ended" in waits.note and waits.retry_after > 0
    forge.ci.append_log(job, "one\ntwo\n")
    forge.ci.finish(job)
    log = host.ci_log(str(job.id))
    assert log.complete and "one" in log.text and "two" in log.text
    rest = host.ci_log(str(job.id), offset=log.next - 4)
    assert rest.text == log.text[-4:] and rest.next == log.next
    assert host.ci_log(str(job.id), offset=log.next).text == ""
    assert [call.token for call in forge.requests.matching(server="storage")] == [None] * 3
    assert not [call for call in host.calls if "sig=" in call.path]


def test_only_what_failed_is_run_again(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO, jobs=["a", "b"])
    forge.ci.finish(run.jobs[0])
    forge.ci.finish(run.jobs[1], "failed")
    host.ci_rerun(str(run.id))
    assert forge.requests.matching("POST", "rerun-failed-jobs") and not forge.requests.matching("POST", "rerequest")
    assert host.ci_run(str(run.id)).attempt == 2
    with pytest.raises(Refused):
        host.ci_rerun(str(run.id))  # it runs
    host.ci_cancel(str(run.id))
    assert host.ci_run(str(run.id)).state is CiState.CANCELLED
    with pytest.raises(Refused, match=r"\(409\)"):
        host.ci_cancel(str(run.id))
    host.ci_rerun(str(run.id), failed=False)
    assert forge.requests.matching("POST", "/rerun$")


def test_a_waiting_environment_is_approved_with_a_reason(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO, jobs=["deploy"])
    forge.ci.wait_for_approval(run, "production")
    assert host.ci_run(str(run.id)).state is CiState.WAITING
    (approval,) = host.ci_approvals(str(run.id))
    assert approval.environment == "production" and approval.may
    host.ci_approve(approval, why="the gate has passed")
    assert run.approvals[0].comment == "the gate has passed" and host.ci_approvals(str(run.id)) == []
    with pytest.raises(UsageError):
        host.ci_approve(CiApproval("production", str(run.id), "production"), why="x")


def test_who_may_not_approve_is_told(opened) -> None:
    forge, host = opened()
    run = forge.ci.start(REPO, jobs=["deploy"])
    forge.ci.wait_for_approval(run, "production", ["boss"])
    (approval,) = host.ci_approvals(str(run.id))
    assert not approval.may and "boss" in approval.why


def test_a_workflow_is_started_with_inputs(opened) -> None:
    forge, host = opened()
    forge.ci.workflow(REPO, "CI", inputs=("environment", "reason"))
    forge.ci.workflow(REPO, "Other")
    forge.commit(REPO, "Workflows", {".github/workflows/ci.yml": WORKFLOW, ".github/workflows/other.yml": "on: push\n"})
    (workflow,) = host.workflows()
    assert (workflow.name, workflow.inputs) == ("CI", ("environment", "reason"))
    host.ci_start(workflow.id, "main", {"environment": "staging"})
    run = host.ci_runs()[0]
    assert run.event == "workflow_dispatch"
    with pytest.raises((Refused, NotFound)):
        host.ci_start(workflow.id, "gone", {})


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("on: workflow_dispatch", ()),
        ("on: [push, workflow_dispatch]", ()),
        ("'on': {workflow_dispatch: }", ()),
        ("on: push", None),
        ("on: [", None),
        ("- a list", None),
        ("on: {workflow_dispatch: {inputs: [a]}}", ()),
        ("x: " + "[" * 5000, None),
        ("on: {workflow_dispatch: {inputs: {a: , b: }}}", ("a", "b")),
    ],
)
def test_what_a_workflow_says_of_being_started(text: str, inputs: tuple[str, ...] | None) -> None:
    assert inputs_of(text.encode()) == inputs


# -- what is told back
# --------------------------------------------------------------------------------------------------------------------


def test_the_newest_status_of_each_context_counts(opened) -> None:
    forge, host = opened()
    host.set_status(forge.sha, CommitStatus("podium/release", StatusState.PENDING, "running"))
    host.set_status(forge.sha, CommitStatus("podium/gate", StatusState.ERROR, "x" * 200, "https://example.org/a"))
    host.set_status(forge.sha, CommitStatus("podium/release", StatusState.SUCCESS, "done"))
    found = {each.context: each for each in host.statuses(forge.sha)}
    assert found["podium/release"].state is StatusState.SUCCESS
    assert len(found["podium/gate"].description) == 140 and found["podium/gate"].url == "https://example.org/a"
    with pytest.raises((Refused, NotFound)):
        host.set_status("0" * 40, CommitStatus("podium/release", StatusState.SUCCESS))


def test_a_deployment_is_made_once_for_its_key(opened) -> None:
    forge, host = opened()
    first = host.create_deployment("production", forge.sha, description="v7", key="run-1")
    assert host.create_deployment("production", forge.sha, key="run-1") == first
    assert host.create_deployment("production", forge.sha, key="run-2") != first
    host.set_deployment(first, StatusState.PENDING)
    found = {each.id: each for each in host.deployments("production")}
    assert found[first].state is StatusState.PENDING
    host.set_deployment(first, StatusState.SUCCESS, url="https://example.org")
    found = {each.id: each for each in host.deployments()}
    assert (found[first].state, found[first].url) == (StatusState.SUCCESS, "https://example.org")
    assert found[first].environment == "production" and found[first].sha == forge.sha


def test_a_comment_is_written_and_changed(opened) -> None:
    forge, host = opened()
    forge.commit(REPO, "Ours", branch="ours")
    pull = forge.open_pull_request(REPO, "ours")
    first = host.create_comment(pull.number, "<!-- podium -->\none")
    host.update_comment(pull.number, first, "<!-- podium -->\ntwo")
    (comment,) = host.comments(pull.number)
    assert (comment.id, comment.body, comment.author) == (first, "<!-- podium -->\ntwo", "acme")


def test_a_release_that_exists_is_left_as_it_is(opened) -> None:
    forge, host = opened()
    url = host.create_release("flight-delay@v7.0.0", "v7", "notes")
    assert url.startswith(forge.url) and host.create_release("flight-delay@v7.0.0", "other", "other") == url


def test_a_person_makes_no_check_run(opened) -> None:
    forge, host = opened()
    assert "GitHub App" in host.missing[HostFeature.CHECK_RUNS]
    with pytest.raises(Refused, match="GitHub App"):
        host.set_check_run(forge.sha, "gate", CommitStatus("gate", StatusState.SUCCESS), "# Report")


# -- an App
# --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def app(tmp_path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = tmp_path / "app.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return "    app: {id: 12345, installation: 4711, key_file: app.pem}\n"


def test_an_app_makes_check_runs(opened, app) -> None:
    forge, host = opened(token="", more=app)
    assert HostFeature.CHECK_RUNS not in host.missing and host.account().login == "podium[bot]"
    host.set_check_run(forge.sha, "gate", CommitStatus("gate", StatusState.PENDING, "running"), "")
    host.set_check_run(forge.sha, "gate", CommitStatus("gate", StatusState.FAILURE, "refused"), "# Report")
    assert (
        len(forge.requests.matching("POST", "/check-runs$"))
        == len(forge.requests.matching("PATCH", "/check-runs/"))
        == 1
    )
    assert len(forge.requests.matching("POST", "access_tokens")) == 1


def test_the_apps_token_is_renewed_before_its_end_and_after_a_refusal(opened, app) -> None:
    forge, host = opened(token="", more=app)
    host.tips(["main"])
    host.http.proof._clock = lambda: __import__("time").time() + 3400
    host.tips(["main"])
    assert len(forge.requests.matching("POST", "access_tokens")) >= 2
    host.http.proof._clock = __import__("time").time
    forge.state.tokens.clear()  # all are revoked
    assert host.tips(["main"]) == {"main": forge.sha}


def test_an_app_asks_by_the_hosts_clock(opened, app) -> None:
    forge, host = opened(token="", more=app)
    forge.state.ahead = 7200.0
    forge.faults.add(skew=7200.0, count=None)
    assert host.tips(["main"]) == {"main": forge.sha}
    assert len(forge.requests.matching("POST", "access_tokens")) == 2


def test_an_apps_key_that_others_may_read_is_refused(opened, app, tmp_path) -> None:
    _, host = opened(token="", more=app)
    (tmp_path / "app.pem").chmod(0o644)
    with pytest.raises(Refused, match="may be read by other users"):
        host.tips(["main"])
    (tmp_path / "app.pem").chmod(stat.S_IRUSR)
    (tmp_path / "app.pem").unlink()
    (tmp_path / "app.pem").write_text("no key")
    (tmp_path / "app.pem").chmod(0o600)
    with pytest.raises(UsageError):
        host.tips(["main"])


# -- what goes wrong
# --------------------------------------------------------------------------------------------------------------------


def test_a_wrong_token_is_said_and_never_shown(opened) -> None:
    _, host = opened(token="wrong-token-which-nobody-gave")
    with pytest.raises(
        Refused, match=r"does not accept the token from git.host.token of podium.yaml \(401\)"
    ) as raised:
        host.tips(["main"])
    assert "Contents: read" in raised.value.hint
    assert "wrong-token" not in f"{raised.value!r} {raised.value.hint} {host.calls} {vars(host)}"


def test_a_token_without_the_scope_is_told_which(opened) -> None:
    forge, host = opened()
    forge.state.token(forge.token).scopes = frozenset({"read:org"})
    with pytest.raises((Refused, NotFound)) as raised:
        host.set_status(forge.sha, CommitStatus("podium/release", StatusState.SUCCESS))
    assert "repo" in raised.value.hint


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 500}, Unreachable),
        ({"login": True}, Unreachable),
        ({"status": 429, "headers": {"Retry-After": "120"}}, Unreachable),
        ({"status": 422}, Refused),
    ],
)
def test_faults_are_said(opened, fault, kind) -> None:
    forge, host = opened()
    forge.faults.add(**fault, count=None)
    with pytest.raises(kind):
        host.tips(["main"])


def test_one_bad_answer_is_asked_for_again(opened) -> None:
    forge, host = opened()
    for fault in ({"status": 502}, {"drop": True}, {"cut": True}):
        forge.faults.add(**fault, count=1)
        assert host.tips(["main"]) == {"main": forge.sha}


def test_doctor_learns_whose_token_it_is_and_what_it_may(opened) -> None:
    forge, host = opened()
    assert {each.health for each in host.examine()} == {Health.OK}
    forge.state.token(forge.token).scopes = frozenset({"repo:status", "repo_deployment"})
    # What is public may be read with any token.
    forge.faults.add(path=f"/repos/{REPO}$", status=200, body={"permissions": {"push": False}})
    warned = [each.message for each in host.examine() if each.health is Health.WARNING]
    assert len(warned) == 2 and "need repo" in warned[0] and "may not write" in warned[1]


def test_doctor_sees_a_clock_that_is_wrong(opened) -> None:
    forge, host = opened()
    forge.faults.add(skew=900.0, count=None)
    (finding,) = [each for each in host.examine() if each.health is Health.WARNING]
    assert "900 s behind" in finding.message or "89" in finding.message
