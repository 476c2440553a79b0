"""Gitea's published contract and two clients that others have written, against the forge."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gitea
import giteapy
import httpx
import pytest
from giteapy.rest import ApiException
from podium.core.demo.forge import Forge

from tests.hosts.contract import check_call
from tests.hosts.support import commit_file, run_git, webhook_receiver
from tests.support import wait_until

REPO = "acme/flight-delay"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with Forge("gitea", tmp_path / "forge") as forge:
        forge.commit(forge.make_repo(REPO), "First", {"a.txt": "one\n", "models/b.txt": "two\n"})
        yield forge


class Contract:
    """Asks, and checks question and answer by the contract."""

    def __init__(self, forge: Forge) -> None:
        headers = {"Authorization": f"token {forge.token}"}
        self._client = httpx.Client(base_url=forge.api_url, headers=headers, trust_env=False, timeout=30)

    def __call__(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        answer = self._client.request(method, path if path.startswith("/user") else f"/repos/{REPO}{path}", **options)
        assert answer.status_code == status, answer.text
        check_call(answer)
        kind = answer.headers.get("Content-Type", "")
        return answer.json() if answer.content and kind.startswith("application/json") else answer.content

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def ask(forge: Forge) -> Iterator[Contract]:
    contract = Contract(forge)
    yield contract
    contract.close()


def test_the_contract_of_code(forge: Forge, ask: Contract) -> None:
    assert ask("GET", "/user")["login"] == "acme"
    assert ask("GET", "")["full_name"] == REPO
    shas = [forge.commit(REPO, f"Commit {number}", {"n.txt": str(number)}) for number in range(3)]
    assert [commit["sha"] for commit in ask("GET", "/commits", params={"limit": 2})] == shas[:0:-1]
    assert ask("GET", f"/git/commits/{shas[0]}")["sha"] == shas[0]
    assert [branch["name"] for branch in ask("GET", "/branches")] == ["main"]
    assert (
        ask("POST", "/branches", 201, json={"new_branch_name": "feature", "old_ref_name": "main"})["name"] == "feature"
    )
    assert ask("GET", "/branches/feature")["commit"]["id"] == shas[-1]
    ask("POST", "/branches", 409, json={"new_branch_name": "feature"})
    ask("DELETE", "/branches/feature", 204)
    ask("GET", "/branches/feature", 404)
    assert forge.state.repo(REPO).bare.set_ref("refs/tags/v1", shas[0])
    assert [(tag["name"], tag["commit"]["sha"]) for tag in ask("GET", "/tags")] == [("v1", shas[0])]
    assert [ref["ref"] for ref in ask("GET", "/git/refs")] == ["refs/heads/main", "refs/tags/v1"]
    assert ask("GET", "/contents/models/b.txt")["size"] == 4
    assert ask("GET", "/raw/models/b.txt", params={"ref": "main"}) == b"two\n"
    ask("GET", "/contents/nothing.txt", 404)


def test_the_contract_of_statuses_and_releases(forge: Forge, ask: Contract) -> None:
    sha = forge.state.repo(REPO).bare.resolve("main")
    for state, context in (("pending", "podium/release"), ("success", "podium/release"), ("failure", "podium/gate")):
        ask("POST", f"/statuses/{sha}", 201, json={"state": state, "context": context, "description": "so"})
    combined = ask("GET", f"/commits/{sha}/status")
    assert (combined["state"], combined["total_count"]) == ("failure", 2)
    assert len(ask("GET", f"/commits/{sha}/statuses")) == len(ask("GET", f"/statuses/{sha}")) == 3
    made = ask("POST", "/releases", 201, json={"tag_name": "v1", "name": "One", "body": "notes"})
    assert ask("GET", "/releases/tags/v1")["id"] == made["id"] and len(ask("GET", "/releases")) == 1
    ask("POST", "/releases", 409, json={"tag_name": "v1"})
    ask("PATCH", f"/releases/{made['id']}", json={"body": "more"})
    with pytest.raises(AssertionError, match="the contract has no"):
        ask("POST", "/deployments", 404, json={"ref": "main"})


def test_the_contract_of_pull_requests_and_comments(forge: Forge, ask: Contract) -> None:
    forge.make_fork(REPO, "nina")
    forge.commit("nina/flight-delay", "A wish", branch="wish", by="nina")
    forge.open_pull_request(REPO, "wish", fork="nina", draft=True)
    forge.commit(REPO, "A change", branch="change")
    wanted = {"head": "change", "base": "main", "title": "Of this one"}
    assert ask("POST", "/pulls", 201, json=wanted)["number"] == 2
    ask("POST", "/pulls", 409, json=wanted)
    assert {pull["number"] for pull in ask("GET", "/pulls", params={"state": "open"})} == {1, 2}
    wish = ask("GET", "/pulls/1")
    assert wish["draft"] and wish["head"]["repo"]["full_name"] == "nina/flight-delay"
    comment = ask("POST", "/issues/1/comments", 201, json={"body": "one"})
    ask("PATCH", f"/issues/comments/{comment['id']}", json={"body": "two"})
    assert [each["body"] for each in ask("GET", "/issues/1/comments")] == ["two"]
    ask("PATCH", "/pulls/2", 201, json={"state": "closed"})
    assert [pull["number"] for pull in ask("GET", "/pulls")] == [1]


def test_the_contract_of_actions(forge: Forge, ask: Contract) -> None:
    started = forge.ci.start(REPO, jobs=[{"name": "build", "steps": ["checkout"]}, {"name": "test", "state": "queued"}])
    build, test = started.jobs
    assert [run["id"] for run in ask("GET", "/actions/runs", params={"head_sha": started.sha})["workflow_runs"]] == [
        started.id
    ]
    assert ask("GET", f"/actions/runs/{started.id}")["status"] == "in_progress"
    jobs = ask("GET", f"/actions/runs/{started.id}/jobs")["jobs"]
    assert [(job["name"], job["status"]) for job in jobs] == [("build", "in_progress"), ("test", "queued")]
    forge.ci.append_log(build, "hello\n")
    assert ask("GET", f"/actions/jobs/{build.id}/logs").endswith(b"Z hello\n"), "while it runs, too"
    ask("GET", f"/actions/jobs/{test.id}/logs", 404)
    forge.ci.finish(started, "failed")
    assert ask("GET", f"/actions/jobs/{build.id}")["conclusion"] == "failure"
    forge.ci.workflow(REPO, "Retrain", inputs=["months"])
    assert {each["name"] for each in ask("GET", "/actions/workflows")["workflows"]} == {"CI", "Retrain"}
    ask("POST", "/actions/workflows/retrain.yml/dispatches", 204, json={"ref": "main", "inputs": {"months": "3"}})
    newest = ask("GET", "/actions/runs")["workflow_runs"][0]
    assert (newest["event"], newest["status"]) == ("workflow_dispatch", "queued")
    assert forge.state.repo(REPO).runs[newest["id"]].inputs == {"months": "3"}


def test_py_gitea_finds_its_way(forge: Forge) -> None:
    asked = gitea.Gitea(forge.url, forge.token)
    assert asked.get_version() and asked.get_user().username == "acme"
    repo = gitea.Repository.request(asked, "acme", "flight-delay")
    assert [branch.name for branch in repo.get_branches()] == ["main"]
    assert [commit.sha for commit in repo.get_commits()] == [forge.state.repo(REPO).bare.resolve("main")]
    assert {content.path for content in repo.get_git_content()} == {"a.txt", "models"}
    with pytest.raises(gitea.NotFoundException):
        gitea.Repository.request(asked, "acme", "nothing")


@pytest.fixture
def generated(forge: Forge) -> giteapy.ApiClient:
    settings = giteapy.Configuration()
    settings.host = forge.api_url
    settings.api_key = {"Authorization": f"token {forge.token}"}
    return giteapy.ApiClient(settings)


def test_giteapy_finds_its_way(forge: Forge, generated: giteapy.ApiClient) -> None:
    repository, issues = giteapy.RepositoryApi(generated), giteapy.IssueApi(generated)
    assert repository.repo_get("acme", "flight-delay").full_name == REPO
    assert giteapy.UserApi(generated).user_get_current().login == "acme"
    sha = forge.commit(REPO, "A change", branch="change")
    state = giteapy.CreateStatusOption(state="success", context="podium/release")
    repository.repo_create_status("acme", "flight-delay", sha, body=state)
    assert [mark.context for mark in repository.repo_list_statuses("acme", "flight-delay", sha)] == ["podium/release"]
    option = giteapy.CreatePullRequestOption(head="change", base="main", title="Of this one")
    pull = repository.repo_create_pull_request("acme", "flight-delay", body=option)
    assert repository.repo_get_pull_request("acme", "flight-delay", pull.number).head.sha == sha
    comment = issues.issue_create_comment(
        "acme", "flight-delay", pull.number, body=giteapy.CreateIssueCommentOption("one")
    )
    issues.issue_edit_comment("acme", "flight-delay", comment.id, body=giteapy.EditIssueCommentOption("two"))
    assert [each.body for each in issues.issue_get_comments("acme", "flight-delay", pull.number)] == ["two"]
    release = giteapy.CreateReleaseOption(tag_name="v1", name="One", target_commitish="main")
    assert repository.repo_create_release("acme", "flight-delay", body=release).tag_name == "v1"
    with pytest.raises(ApiException) as refused:
        repository.repo_create_status("acme", "flight-delay", "0" * 40, body=state)
    assert refused.value.status == 404


def test_wrong_tokens_and_missing_scopes(forge: Forge) -> None:
    def status(method: str, path: str, token: str) -> int:
        headers = {"Authorization": f"token {token}"}
        return httpx.request(
            method, f"{forge.api_url}{path}", headers=headers, json={"body": "x"} if method == "POST" else None
        ).status_code

    reader = forge.add_token("nina", {"read:repository"}).value
    assert status("GET", f"/repos/{REPO}", "wrong") == 401
    assert status("GET", f"/repos/{REPO}", reader) == 200
    assert status("GET", "/user", reader) == 403
    assert status("POST", f"/repos/{REPO}/issues/1/comments", reader) == 403
    assert status("POST", f"/repos/{REPO}/deployments", forge.token) == 404, "Gitea has no deployments"
    assert status("POST", f"/repos/{REPO}/actions/runs/1/rerun", forge.token) == 404


def test_running_again_where_it_is_new_enough(forge: Forge) -> None:
    started = forge.ci.start(REPO, jobs=["build", "test"])
    forge.ci.finish(started.jobs[0])
    forge.ci.finish(started.jobs[1], "failed")
    url = f"{forge.api_url}/repos/{REPO}/actions/runs/{started.id}/rerun-failed-jobs"
    headers = {"Authorization": f"token {forge.token}"}
    assert httpx.post(url, headers=headers).status_code == 404
    forge.options.rerun = True
    assert httpx.post(url, headers=headers).status_code == 201
    assert [(job.name, job.state) for job in started.jobs if not job.retried] == [
        ("build", "succeeded"),
        ("test", "queued"),
    ]


def test_a_push_is_told_with_a_signature(forge: Forge, tmp_path: Path) -> None:
    with webhook_receiver() as received:
        forge.add_hook(REPO, received.url, "a secret", ["push"])
        clone = tmp_path / "clone"
        assert run_git(tmp_path, "clone", "-q", forge.clone_url(REPO, forge.token), str(clone)).returncode == 0
        sha = commit_file(clone, "c.txt", "three\n", "Third")
        assert run_git(clone, "push", "-q", "origin", "main").returncode == 0
        wait_until(lambda: received.all, what="no webhook")
        headers, body = received.all[0]
        assert headers["x-gitea-signature"] == hmac.new(b"a secret", body, hashlib.sha256).hexdigest()
        assert headers["x-gitea-event"] == "push" and headers["x-gitea-delivery"]
        assert json.loads(body)["after"] == sha
