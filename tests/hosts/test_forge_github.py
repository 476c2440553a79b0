"""PyGithub against the forge: a client that others have written finds what it expects of GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import github
import pytest
from github.Repository import Repository
from podium.core.demo.forge import Forge

REPO = "acme/flight-delay"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with Forge("github", tmp_path / "forge") as forge:
        forge.commit(forge.make_repo(REPO), "First", {"a.txt": "one\n", "models/b.txt": "two\n"})
        yield forge


def client(forge: Forge, token: str = "") -> github.Github:
    return github.Github(
        base_url=forge.api_url, auth=github.Auth.Token(token or forge.token), retry=None, seconds_between_requests=0
    )


@pytest.fixture
def repo(forge: Forge) -> Repository:
    return client(forge).get_repo(REPO)


def test_the_account_and_the_repository(forge: Forge, repo: Repository) -> None:
    assert client(forge).get_user().login == "acme"
    assert (repo.full_name, repo.default_branch, repo.private, repo.fork) == (REPO, "main", True, False)
    assert repo.clone_url == forge.clone_url(REPO)
    fork = forge.make_fork(REPO, "nina")
    assert client(forge).get_repo(fork.full_name).parent.full_name == REPO


def test_commits_and_branches_in_pages(forge: Forge, repo: Repository) -> None:
    shas = [forge.commit(REPO, f"Commit {number}", {"n.txt": str(number)}) for number in range(64)]
    listed = [commit.sha for commit in repo.get_commits()]
    assert listed[:64] == shas[::-1] and len(listed) == 65
    assert len(forge.requests.matching("GET", "/commits")) == 3, "pages of thirty"
    for number in range(3):
        forge.commit(REPO, "On a branch", branch=f"feature/{number}")
    assert {branch.name for branch in repo.get_branches()} == {"main", *(f"feature/{number}" for number in range(3))}
    assert repo.get_branch("feature/1").commit.commit.message == "On a branch"
    assert repo.get_commit("main").sha == shas[-1]
    assert repo.get_git_ref("heads/main").object.sha == shas[-1]
    assert repo.get_contents("models/b.txt").decoded_content == b"two\n"
    assert {entry.path for entry in repo.get_contents("")} == {"a.txt", "models", "n.txt"}
    assert repo.compare(shas[0], shas[5]).ahead_by == 5


def test_refs_are_made_and_refused(forge: Forge, repo: Repository) -> None:
    first = repo.get_commit("main").sha
    ref = repo.create_git_ref("refs/podium/lease", first)
    with pytest.raises(github.GithubException) as refused:
        repo.create_git_ref("refs/podium/lease", first)
    assert refused.value.status == 422
    second = forge.commit(REPO, "Second")
    ref.edit(second)
    with pytest.raises(github.GithubException):
        ref.edit(first)
    ref.delete()
    with pytest.raises(github.UnknownObjectException):
        repo.get_git_ref("podium/lease")


def test_statuses(repo: Repository) -> None:
    commit = repo.get_commit("main")
    commit.create_status("pending", context="podium/release", description="runs")
    commit.create_status("success", "http://127.0.0.1/1", "7.1 minutes", "podium/release")
    commit.create_status("failure", context="podium/gate")
    assert [(status.context, status.state) for status in commit.get_statuses()] == [
        ("podium/gate", "failure"),
        ("podium/release", "success"),
        ("podium/release", "pending"),
    ]
    combined = commit.get_combined_status()
    assert (combined.state, combined.total_count) == ("failure", 2)
    for wrong in ({"state": "good"}, {"state": "success", "description": "x" * 141}):
        with pytest.raises(github.GithubException) as refused:
            commit.create_status(**wrong)
        assert refused.value.status == 422


def test_pull_requests_and_comments(forge: Forge, repo: Repository) -> None:
    forge.make_fork(REPO, "nina")
    forge.commit("nina/flight-delay", "A wish", branch="wish", by="nina")
    forge.commit(REPO, "A change", branch="change")
    forge.open_pull_request(REPO, "wish", fork="nina")
    made = repo.create_pull("main", "change", title="Of this repository")
    assert made.number == 2 and [pull.number for pull in repo.get_pulls(sort="updated", direction="desc")] == [2, 1]
    wish = repo.get_pull(1)
    assert (wish.head.repo.full_name, wish.head.ref, wish.base.ref, wish.user.login) == (
        "nina/flight-delay",
        "wish",
        "main",
        "nina",
    )
    comment = made.create_issue_comment("one")
    comment.edit("two")
    made.create_issue_comment("three")
    assert [each.body for each in made.get_issue_comments()] == ["two", "three"]
    assert [commit.commit.message for commit in made.get_commits()] == ["A change"]
    made.edit(state="closed")
    assert [pull.number for pull in repo.get_pulls()] == [1]
    with pytest.raises(github.GithubException) as refused:
        wish.create_issue_comment("x" * 70_000)
    assert refused.value.status == 422


def test_runs_jobs_logs_and_running_again(forge: Forge, repo: Repository) -> None:
    started = forge.ci.start(REPO, jobs=[{"name": "build", "steps": ["checkout", "make"]}, "test"])
    build, test = started.jobs
    run = repo.get_workflow_run(started.id)
    assert (run.status, run.conclusion, run.head_sha) == ("in_progress", None, started.sha)
    assert not run.rerun()
    assert [call.status for call in forge.requests.matching("POST", "/rerun$")] == [403]
    forge.ci.append_log(build, "hello\nworld\n")
    forge.ci.finish(build)
    forge.ci.finish(test, "failed")
    run = repo.get_workflow_run(started.id)
    assert (run.status, run.conclusion) == ("completed", "failure")
    jobs = {job.name: job for job in run.jobs()}
    assert [(step.name, step.conclusion) for step in jobs["build"].steps] == [
        ("checkout", "success"),
        ("make", "success"),
    ]
    assert jobs["build"].logs_url().startswith(forge.links.storage)
    assert run.rerun_failed_jobs()
    again = repo.get_workflow_run(started.id)
    assert again.status in ("queued", "in_progress") and again.run_attempt == 2
    assert {job.name: job.run_attempt for job in again.jobs()} == {"build": 1, "test": 2}
    forge.ci.finish(started)
    assert repo.get_workflow_run(started.id).conclusion == "success"


def test_a_cancelled_run_is_cancelled_once(forge: Forge, repo: Repository) -> None:
    run = repo.get_workflow_run(forge.ci.start(REPO).id)
    assert run.cancel()
    assert repo.get_workflow_run(run.id).conclusion == "cancelled"
    assert not run.cancel()


def test_an_environment_waits_for_an_approval(forge: Forge, repo: Repository) -> None:
    started = forge.ci.start(REPO, jobs=["deploy"])
    forge.ci.wait_for_approval(started, "production", reviewers=["acme"])
    run = repo.get_workflow_run(started.id)
    assert run.status == "waiting"
    pending = run.get_pending_deployments() if hasattr(run, "get_pending_deployments") else None
    assert pending is None or [each.environment.name for each in pending] == ["production"]
    requester = repo.requester
    _, waiting = requester.requestJsonAndCheck("GET", f"{run.url}/pending_deployments")
    number = waiting[0]["environment"]["id"]
    answer = {"environment_ids": [number], "state": "approved", "comment": "good"}
    requester.requestJsonAndCheck("POST", f"{run.url}/pending_deployments", input=answer)
    assert repo.get_workflow_run(started.id).status == "queued"
    nina = client(forge, forge.add_token("nina").value).get_repo(REPO)
    forge.ci.wait_for_approval(started, "production", reviewers=["acme"])
    with pytest.raises(github.GithubException) as refused:
        nina.requester.requestJsonAndCheck("POST", f"{run.url}/pending_deployments", input=answer)
    assert refused.value.status == 403


def test_a_workflow_is_started_with_inputs(forge: Forge, repo: Repository) -> None:
    forge.ci.workflow(REPO, "Retrain", inputs=["months"])
    workflow = repo.get_workflow("retrain.yml")
    assert workflow.create_dispatch("main", {"months": "3"})
    assert not workflow.create_dispatch("main", {"days": "3"})
    run = workflow.get_runs()[0]
    assert (run.event, run.status) == ("workflow_dispatch", "queued")
    assert forge.state.repo(REPO).runs[run.id].inputs == {"months": "3"}


def test_deployments(repo: Repository) -> None:
    first = repo.create_deployment("main", environment="staging", required_contexts=[])
    first.create_status("success", environment_url="http://127.0.0.1/staging")
    second = repo.create_deployment("main", environment="staging", required_contexts=[])
    second.create_status("success", description="v2")
    assert [deployment.id for deployment in repo.get_deployments(environment="staging")] == [second.id, first.id]
    assert [status.state for status in first.get_statuses()] == ["inactive", "success"]
    repo.get_commit("main").create_status("pending", context="podium")
    with pytest.raises(github.GithubException) as refused:
        repo.create_deployment("main")
    assert refused.value.status == 409


def test_check_runs_need_an_app(forge: Forge, repo: Repository) -> None:
    sha = repo.get_commit("main").sha
    with pytest.raises(github.GithubException) as refused:
        repo.create_check_run("podium", sha)
    assert refused.value.status == 403
    app = client(forge, forge.add_token("podium[bot]", app=True).value).get_repo(REPO)
    made = app.create_check_run("podium", sha, status="in_progress")
    made.edit(conclusion="success", output={"title": "7 checks", "summary": "| a |"})
    found = app.get_commit(sha).get_check_runs()
    assert [(run.name, run.status, run.conclusion, run.output.summary) for run in found] == [
        ("podium", "completed", "success", "| a |")
    ]


def test_releases(repo: Repository) -> None:
    made = repo.create_git_release("flight-delay@v7.0.0", "Seven", "notes")
    assert made.html_url.endswith("/releases/tag/flight-delay@v7.0.0")
    assert repo.get_release("flight-delay@v7.0.0").body == "notes"
    assert [tag.name for tag in repo.get_tags()] == ["flight-delay@v7.0.0"]
    with pytest.raises(github.GithubException) as refused:
        repo.create_git_release("flight-delay@v7.0.0", "Seven", "again")
    assert refused.value.status == 422


def test_wrong_tokens_and_missing_scopes(forge: Forge) -> None:
    with pytest.raises(github.BadCredentialsException):
        client(forge, "wrong").get_repo(REPO)
    weak = client(forge, forge.add_token("nina", {"repo:status"}).value)
    assert weak.get_user().login == "nina" and weak.oauth_scopes == ["repo:status"]
    with pytest.raises(github.GithubException) as refused:
        weak.get_repo(REPO)
    assert refused.value.status == 403
    with pytest.raises(github.UnknownObjectException):
        client(forge).get_repo("acme/nothing")
