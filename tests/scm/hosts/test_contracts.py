"""The clients against the published descriptions of the hosts' APIs: what they ask is in there, and what they read
too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from podium.core.domain.hosts import CiState, CommitStatus, StatusState
from podium.core.scm.hosts.opening import open_host

from tests.scm.hosts.contract import SHA, Contract
from tests.scm.hosts.test_github import app

Opened = Callable[..., tuple[Any, Contract, Any]]
__all__ = ["app"]


@pytest.fixture
def opened(project, web) -> Iterator[Opened]:
    hosts: list[Any] = []

    def start(kind: str, *, more: str = "", **values: Any) -> tuple[Any, Contract, Any]:
        contract, server = Contract(f"{kind}.json", **values), web()
        server.reply = contract.reply
        hosts.append(open_host(project(kind, server.url, more=more)))
        return hosts[-1], contract, server

    yield start
    for host in hosts:
        host.close()


def everything(host: Any) -> None:
    """Asks for all that each of these hosts can do."""
    host.examine(), host.account()
    host.tips(["feature/a"]), host.tags(), host.matching_tags("release/v")
    host.pull_requests(), host.file("a/b.txt", "main")
    host.ci_runs(limit=5, sha=SHA, branch="main"), host.ci_run("7"), host.ci_jobs("7"), host.ci_log("7")
    host.workflows(), host.ci_start("ci.yml", "main", {"reason": "x"})
    host.statuses(SHA)
    for state in StatusState:
        host.set_status(SHA, CommitStatus("podium/release", state, "words", "https://example.org"))
    host.comments(1), host.update_comment(1, host.create_comment(1, "body"), "body")
    host.create_release("v7", "v7", "notes")


def release_anew(host: Any, server: Any, contract: Contract) -> None:
    """Makes a release that is not there yet."""
    server.reply = lambda asked: (404, {}, b"{}") if "/releases/tags/" in asked.path else contract.reply(asked)
    host.create_release("v8", "v8", "notes")


def test_gitea_is_asked_by_its_contract(opened: Opened) -> None:
    host, contract, server = opened("gitea")
    everything(host)
    release_anew(host, server, contract)
    assert contract.broken == [] and contract.calls == contract.asked


def test_github_is_asked_by_its_contract(opened: Opened) -> None:
    host, contract, server = opened("github", status="completed", conclusion="success", ref="refs/heads/feature/a")
    everything(host)
    host.ci_rerun("7"), host.ci_rerun("7", failed=False), host.ci_cancel("7")
    for approval in host.ci_approvals("7"):
        host.ci_approve(approval, why="the gate has passed")
    host.deployments("production"), host.create_deployment("production", SHA, description="words", key="run-1")
    for state in StatusState:
        host.set_deployment("7", state, url="https://example.org", description="words")
    release_anew(host, server, contract)
    rest = {path for _, path in contract.calls - contract.asked}
    assert contract.broken == [] and all("check" in path or "app" in path for path in rest), rest


def test_a_github_app_asks_by_the_contract(opened: Opened, app) -> None:
    host, contract, _ = opened("github", more=app, name="gate")
    host.account()
    for state in StatusState:
        host.set_check_run(SHA, "gate", CommitStatus("gate", state, "words", "https://example.org"), "# Report")
        host.set_check_run(SHA, "other", CommitStatus("other", state), "")
    assert contract.broken == []
    asked = {path.rpartition("{repo}")[2] for _, path in contract.asked}
    assert asked >= {"/check-runs", "/check-runs/{check_run_id}", "/commits/{ref}/check-runs", "/app"}


@pytest.mark.parametrize("kind", ["gitea", "github"])
def test_what_is_read_is_in_the_contract(opened: Opened, kind: str) -> None:
    host, contract, _ = opened(kind, status="completed", conclusion="success", ref="refs/heads/feature/a")
    assert host.tips(["feature/a"]) == {"feature/a": SHA} and host.account().login == "a login"
    (run,) = host.ci_runs()
    assert (run.id, run.sha, run.branch, run.event, run.title) == (
        "7",
        SHA,
        "a head_branch",
        "a event",
        "a display_title",
    )
    assert (
        run.number == run.attempt == 7
        and run.actor == "a login"
        and run.url
        and run.created
        and run.updated
        and run.name
    )
    assert run.state is CiState.SUCCEEDED and host.ci_run("7").id == "7"
    (job,) = host.ci_jobs("7")
    assert (
        (job.id, job.run, job.name, job.state) == ("7", "7", "a name", CiState.SUCCEEDED) and job.started and job.ended
    )
    assert job.steps[0].number == 7 and job.steps[0].name == "a name" and job.steps[0].started
    (pull,) = host.pull_requests()
    assert (pull.number, pull.sha, pull.title, pull.author) == (7, SHA, "a title", "a login")
    assert pull.branch == pull.base == "refs/heads/feature/a" and pull.fork == "a full_name" and pull.draft
    assert pull.url == "https://example.org/html_url" and pull.updated
    (comment,) = host.comments(1)
    assert (comment.id, comment.body, comment.author) == ("7", "a body", "a login")
    assert host.create_release("v7", "", "") == "https://example.org/html_url" and host.tags() == {"a name": SHA}
    assert contract.broken == []


@pytest.mark.parametrize(("kind", "key"), [("gitea", "status"), ("github", "state")])
def test_statuses_are_read_by_the_contract(opened: Opened, kind: str, key: str) -> None:
    host, _, _ = opened(kind, **{key: "failure"})
    (status,) = host.statuses(SHA)
    assert (status.context, status.description, status.state) == ("a context", "a description", StatusState.FAILURE)
    assert status.url


def test_githubs_own_things_are_read_by_the_contract(opened: Opened) -> None:
    host, _, _ = opened("github", state="failure")
    (deployment,) = host.deployments()
    assert (deployment.id, deployment.environment, deployment.sha) == ("7", "a environment", SHA)
    assert deployment.state is StatusState.FAILURE and deployment.url and deployment.created
    (approval,) = host.ci_approvals("7")
    assert (approval.id, approval.environment, approval.may) == ("7", "a name", True)


def test_a_breach_would_be_seen(opened: Opened) -> None:
    host, contract, _ = opened("gitea")
    host.http.send("POST", f"/repos/acme/x/statuses/{SHA}", "x", {"state": "good", "mood": 7})
    host.http.send("PATCH", "/repos/acme/x/issues/comments/7", "x", {})
    host.http.pages("/repos/acme/x/tags", "x", params={"colour": "red"})
    host.http.send("POST", "/repos/acme/x/issues/7/comments", "x", {"body": 7})
    assert len(contract.broken) == 5
