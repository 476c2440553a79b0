"""GitHub's client and the stand-in for GitHub, with a judge between them: Prism, which knows the description of the API
that GitHub publishes. It refuses a request that is not in there, and an answer that GitHub would not give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.hosts import CiState, CommitStatus, StatusState
from podium.core.errors import NotFound, Refused, Unreachable
from podium.core.scm.hosts.answers import MemoryStore
from podium.core.scm.hosts.opening import open_host

from tests.scm.hosts.conftest import TOKEN
from tests.scm.hosts.openapi import cut
from tests.scm.hosts.table import documented, template
from tests.scm.hosts.test_github import app
from tests.servers.node import DESCRIPTION, Prism

__all__ = ["app"]
REPO = "acme/flight-delay"
BASE = "/repos/{owner}/{repo}"
# There is no release yet when one is made.
GONE = ("GET", f"/repos/{REPO}/releases/tags/v7", 404)
# Prism reads every answer that calls itself JSON, and files do: these are. It is YAML, too.
WORKFLOW = json.dumps({"name": "CI", "on": {"workflow_dispatch": {"inputs": {"environment": None, "reason": None}}}})
# Where the API of a GitHub of one's own is.
PREFIX = "/api/v3"
SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
CONTRACT = Path(__file__).parent / "contracts" / "github.json"


def calls() -> set[tuple[str, str]]:
    """Returns method and path of the calls that Podium makes, as GitHub writes them."""
    paths = json.loads(CONTRACT.read_text())["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


@pytest.fixture(scope="session")
def description(node_modules: Path) -> dict[str, Any]:
    """What GitHub publishes of these calls. Of a file's content it has what is asked without `raw`; what Podium reads is
    the file itself."""
    found = cut(node_modules / "@octokit" / "openapi" / "generated" / DESCRIPTION, calls(), PREFIX)
    for path, call in found["paths"].items():
        if "/contents/" in path:
            call["get"]["responses"]["200"].pop("content", None)
    return found


@pytest.fixture
def judged(forge, project, node_modules: Path, description: dict[str, Any]) -> Iterator[Any]:
    """Opens clients of a forge, with Prism in front of it. What was answered before is not kept: an answer that nothing
    has changed is in no description."""
    hosts: list[Any] = []
    made = forge("github")
    with Prism(node_modules, description, made.url) as prism:

        def start(**options: Any) -> tuple[Any, Any]:
            options.setdefault("token", made.token)
            hosts.append(open_host(project("github", prism.address, **options), store=MemoryStore(max_bytes=0)))
            return made, hosts[-1]

        yield start
        for host in hosts:
            host.close()


def asked(host: Any) -> set[tuple[str, str]]:
    """Returns which of the described calls a client has made. All of them were answered well."""
    found = [(call.method, call.path.partition("?")[0], call.status) for call in host.calls if "://" not in call.path]
    known = calls()
    assert [each for each in found if each[2] >= 400 and each != GONE] == []
    return {named for method, path, _ in found if (named := template(known, method, path)) is not None}


def test_the_page_names_the_calls_that_are_judged() -> None:
    known = calls()
    named = {call: template(known, *call) for call in documented("github", BASE)}
    assert [call for call, found in named.items() if found is None] == [], "not in the contract"
    assert known - set(named.values()) == set(), "not in docs/hosts.md"


def code(host: Any, forge: Any) -> None:
    host.examine(), host.account()
    forge.commit(REPO, "Ours", {"a/b c.json": '{"a": 1}'}, branch="feature/a")
    forge.state.repo(REPO).bare.set_ref("refs/tags/release/v1", forge.sha)
    forge.open_pull_request(REPO, "feature/a")
    assert host.tips(["main", "feature/a", "gone"]).keys() == {"main", "feature/a"}
    assert host.tags() and host.matching_tags("release/") and host.matching_tags("")
    assert host.pull_requests() and json.loads(host.file("a/b c.json", "feature/a")) == {"a": 1}


def actions(host: Any, forge: Any) -> None:
    run = forge.ci.start(REPO, jobs=[{"name": "unit", "steps": ["checkout", "pytest"]}, "lint"])
    assert host.ci_runs(sha=forge.sha, branch="main") and host.ci_run(str(run.id)).state is CiState.RUNNING
    forge.ci.finish(run.jobs[0], "failed")
    forge.ci.finish(run.jobs[1])
    assert [job.name for job in host.ci_jobs(str(run.id))] == ["unit", "lint"]
    # Prism follows the redirect to a log by itself, and takes the token along: of a log the job is asked for only.
    assert not host.ci_log(str(forge.ci.start(REPO).jobs[0].id)).complete
    host.ci_rerun(str(run.id))
    host.ci_cancel(str(run.id))
    host.ci_rerun(str(run.id), failed=False)
    waiting = forge.ci.start(REPO, jobs=["deploy"])
    forge.ci.wait_for_approval(waiting, "production")
    for approval in host.ci_approvals(str(waiting.id)):
        host.ci_approve(approval, why="the gate has passed")
    forge.ci.workflow(REPO, "CI", inputs=("environment", "reason"))
    forge.commit(REPO, "Workflows", {".github/workflows/ci.yml": WORKFLOW})
    (workflow,) = host.workflows()
    host.ci_start(workflow.id, "main", {})


def results(host: Any, forge: Any) -> None:
    for state in StatusState:
        host.set_status(forge.sha, CommitStatus("podium/release", state, "words", "https://example.org"))
    assert host.statuses(forge.sha)
    made = host.create_deployment("production", forge.sha, description="v7", key="run-1")
    for state in StatusState:
        host.set_deployment(made, state, url="https://example.org", description="words")
    assert host.deployments("production")
    number = host.pull_requests()[0].number
    host.update_comment(number, host.create_comment(number, "one"), "two")
    assert host.comments(number)
    forge.state.repo(REPO).bare.set_ref("refs/tags/v7", forge.sha)
    assert host.create_release("v7", "v7", "notes") == host.create_release("v7", "v7", "notes")


def test_a_person_and_the_stand_in_keep_to_what_github_publishes(judged) -> None:
    forge, host = judged()
    for part in (code, actions, results):
        part(host, forge)
    rest = {path.removeprefix(BASE) for _, path in calls() - asked(host)}
    assert rest == {
        "/actions/jobs/{job_id}/logs",
        "/check-runs",
        "/check-runs/{check_run_id}",
        "/commits/{ref}/check-runs",
        "/app",
        "/app/installations/{installation_id}/access_tokens",
    }


def test_an_app_and_the_stand_in_keep_to_what_github_publishes(judged, app) -> None:
    forge, host = judged(token="", more=app)
    assert host.account().login == "podium[bot]"
    for state in StatusState:
        host.set_check_run(forge.sha, "gate", CommitStatus("gate", state, "words", "https://example.org"), "# Report")
        host.set_check_run(forge.sha, "other", CommitStatus("other", state), "")
    assert {each.context for each in host.check_runs(forge.sha)} == {"gate", "other"}


def test_a_breach_is_seen(judged) -> None:
    forge, host = judged()
    with pytest.raises(Refused, match=r"\(422\)"):
        host.http.send("POST", f"/repos/{REPO}/statuses/{forge.sha}", "x", {"state": "good"})
    with pytest.raises(NotFound):
        host.http.get(f"/repos/{REPO}/moods", "x")
    assert not forge.requests.matching(path="statuses|moods"), "neither has reached the stand-in"
    forge.faults.add(path="/user$", status=200, body={"login": 7})
    with pytest.raises(Unreachable, match=r"\(500\)"):
        host.account()


def test_what_github_shows_as_examples_is_read(
    project, app, tmp_path: Path, node_modules: Path, description: dict[str, Any]
) -> None:
    """Prism answers by itself, with the examples that GitHub publishes; every question was judged before."""
    examples = {name: each["value"] for name, each in description["components"]["examples"].items()}
    with Prism(node_modules, description) as prism:
        host = open_host(project("github", prism.address))
        with pytest.raises(Refused, match=r"\(422\)"):
            host.http.send("POST", f"/repos/{REPO}/statuses/{SHA}", "x", {"state": "good"})
        read_code(host, examples)
        read_actions(host, examples)
        read_results(host, examples)
        bot = open_host(project("github", prism.address, token="", more=app))
        shown = examples["check-run-paginated"]["check_runs"][0]
        assert [each.context for each in bot.check_runs(SHA)] == [shown["name"]]
        bot.set_check_run(SHA, "gate", CommitStatus("gate", StatusState.SUCCESS, "words"), "# Report")
        bot.set_check_run(SHA, shown["name"], CommitStatus(shown["name"], StatusState.FAILURE, "words"), "# Report")
        assert bot.account().login == f"{examples['integration']['slug']}[bot]"
        assert TOKEN not in prism.log.read_text()
        host.close(), bot.close()


def read_code(host: Any, examples: dict[str, Any]) -> None:
    assert host.account().login == "octocat"
    assert host.examine()
    shown = examples["git-ref-items"]
    names = {each["ref"].removeprefix("refs/heads/"): each["object"]["sha"] for each in shown}
    assert host.tips([*names, "gone"]) == {name: sha for name, sha in names.items() if not name.startswith("refs/")}
    assert host.tags() == {each["name"]: each["commit"]["sha"] for each in examples["tag-items"]}
    shown, (pull,) = examples["pull-request-simple-items"][0], host.pull_requests()
    assert (pull.number, pull.title, pull.author) == (shown["number"], shown["title"], shown["user"]["login"])
    assert (pull.sha, pull.branch, pull.base) == (shown["head"]["sha"], shown["head"]["ref"], shown["base"]["ref"])
    assert pull.url == shown["html_url"] and pull.fork == shown["head"]["repo"]["full_name"]


def read_actions(host: Any, examples: dict[str, Any]) -> None:
    shown, run = examples["workflow-run-paginated"]["workflow_runs"][0], host.ci_runs()[0]
    assert (run.id, run.sha, run.branch) == (str(shown["id"]), shown["head_sha"], shown["head_branch"])
    assert (run.name, run.event, run.number) == (shown["name"], shown["event"], shown["run_number"])
    assert run.url == shown["html_url"] and run.state is CiState.QUEUED and run.created and run.updated
    assert host.ci_run("30433642").sha == examples["workflow-run"]["head_sha"]
    shown, job = examples["job-paginated"]["jobs"][0], host.ci_jobs("29679449")[0]
    assert (job.id, job.run, job.name) == (str(shown["id"]), str(shown["run_id"]), shown["name"])
    assert job.state is CiState.SUCCEEDED and [step.name for step in job.steps] == [
        step["name"] for step in shown["steps"]
    ]
    for call in (host.ci_rerun, host.ci_cancel):
        call("30433642")
    host.ci_rerun("30433642", failed=False)
    shown, approval = examples["pending-deployment-items"][0], host.ci_approvals("30433642")[0]
    assert (approval.id, approval.environment) == (str(shown["environment"]["id"]), shown["environment"]["name"])
    assert approval.may is shown["current_user_can_approve"]
    host.ci_approve(approval, why="the gate has passed")
    host.ci_start("161335", "main", {"environment": "staging"})


def read_results(host: Any, examples: dict[str, Any]) -> None:
    shown = examples["combined-commit-status"]["statuses"]
    assert [(each.context, each.state.value, each.description) for each in host.statuses(SHA)] == [
        (each["context"], each["state"], each["description"]) for each in shown
    ]
    host.set_status(SHA, CommitStatus("podium/release", StatusState.ERROR, "words", "https://example.org"))
    shown, deployment = examples["deployment-items"][0], host.deployments()[0]
    assert (deployment.id, deployment.environment) == (str(shown["id"]), shown["environment"])
    assert deployment.sha == shown["sha"] and deployment.state is StatusState.SUCCESS
    made = host.create_deployment("production", SHA, description="words", key="run-1")
    host.set_deployment(made, StatusState.FAILURE, url="https://example.org", description="words")
    shown, (comment,) = examples["issue-comment-items"][0], host.comments(1347)
    assert (comment.id, comment.body, comment.author) == (str(shown["id"]), shown["body"], shown["user"]["login"])
    host.update_comment(1347, host.create_comment(1347, "one"), "two")
    assert host.create_release("v1.0.0", "v1", "notes") == examples["release"]["html_url"]
