"""python-gitlab against the forge: a client that others have written finds what it expects of GitLab."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import gitlab
import httpx
import pytest
from gitlab.v4.objects import Project
from podium.core.demo.forge import Forge

from tests.hosts.support import commit_file, run_git, webhook_receiver
from tests.support import wait_until

REPO = "acme/flight-delay"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with Forge("gitlab", tmp_path / "forge") as forge:
        forge.commit(forge.make_repo(REPO), "First", {"a.txt": "one\n", "models/b.txt": "two\n"})
        yield forge


def client(forge: Forge, token: str = "") -> gitlab.Gitlab:
    return gitlab.Gitlab(forge.url, private_token=token or forge.token, retry_transient_errors=False)


@pytest.fixture
def project(forge: Forge) -> Project:
    return client(forge).projects.get(REPO)


def test_the_account_and_the_project(forge: Forge, project: Project) -> None:
    asked = client(forge)
    asked.auth()
    assert asked.user.username == "acme"
    assert asked.personal_access_tokens.get("self").scopes == ["api", "read_repository", "write_repository"]
    assert (project.path_with_namespace, project.default_branch) == (REPO, "main")
    assert project.http_url_to_repo == forge.clone_url(REPO)
    assert asked.projects.get(project.id).path_with_namespace == REPO


def test_commits_branches_and_files(forge: Forge, project: Project) -> None:
    shas = [forge.commit(REPO, f"Commit {number}", {"n.txt": str(number)}) for number in range(45)]
    assert [commit.id for commit in project.commits.list(iterator=True)][:45] == shas[::-1]
    assert len(forge.requests.matching("GET", "/commits")) == 3, "pages of twenty"
    forge.commit(REPO, "On a branch", branch="feature/1")
    branches = project.branches.list(iterator=True)
    assert branches.total == 2 and {branch.name for branch in branches} == {"main", "feature/1"}
    assert project.branches.get("feature/1").commit["message"] == "On a branch"
    assert project.commits.get("main").id == shas[-1]
    assert project.files.get("models/b.txt", "main").decode() == b"two\n"
    assert project.files.raw("models/b.txt", "main") == b"two\n"
    assert {entry["path"] for entry in project.repository_tree()} == {"a.txt", "models", "n.txt"}
    assert len(project.repository_compare(shas[0], shas[5])["commits"]) == 5
    project.tags.create({"tag_name": "flight-delay@v1.0.0", "ref": "main"})
    assert [tag.name for tag in project.tags.list()] == ["flight-delay@v1.0.0"]


def test_statuses_and_the_states_that_they_cannot_come_to(forge: Forge, project: Project) -> None:
    commit = project.commits.get("main")
    for state in ("pending", "running", "success"):
        commit.statuses.create({"state": state, "name": "podium/release", "description": state})
    assert [(status.name, status.status) for status in commit.statuses.list()] == [("podium/release", "success")]
    commit.statuses.create({"state": "pending", "name": "podium/release"})
    every = commit.statuses.list(query_parameters={"all": True})
    assert [status.status for status in every] == ["success", "pending"], "one that has not ended is changed"
    commit.statuses.create({"state": "pending", "name": "podium/gate"})
    for wrong in ({"state": "pending", "name": "podium/gate"}, {"state": "good"}):
        with pytest.raises(gitlab.GitlabCreateError) as refused:
            commit.statuses.create(wrong)
        assert refused.value.response_code == 400


def test_merge_requests_and_notes(forge: Forge, project: Project) -> None:
    forge.make_fork(REPO, "nina")
    forge.commit("nina/flight-delay", "A wish", branch="wish", by="nina")
    forge.open_pull_request(REPO, "wish", fork="nina")
    forge.commit(REPO, "A change", branch="change")
    made = project.mergerequests.create(
        {"source_branch": "change", "target_branch": "main", "title": "Draft: Of this one"}
    )
    assert made.draft and [request.iid for request in project.mergerequests.list(state="opened")] == [2, 1]
    with pytest.raises(gitlab.GitlabCreateError) as refused:
        project.mergerequests.create({"source_branch": "change", "target_branch": "main", "title": "Again"})
    assert refused.value.response_code == 409
    wish = project.mergerequests.get(1)
    assert wish.source_project_id != project.id and wish.sha == forge.state.repo("nina/flight-delay").bare.resolve(
        "wish"
    )
    note = wish.notes.create({"body": "one"})
    note.body = "two"
    note.save()
    wish.notes.create({"body": "three"})
    assert [each.body for each in wish.notes.list(sort="asc", order_by="created_at")] == ["two", "three"]
    nina = client(forge, forge.add_token("nina").value).projects.get(REPO).mergerequests.get(1)
    with pytest.raises(gitlab.GitlabUpdateError) as denied:
        nina.notes.update(note.id, {"body": "mine"})
    assert denied.value.response_code == 403


def test_pipelines_jobs_and_traces(forge: Forge, project: Project) -> None:
    started = forge.ci.start(
        REPO, jobs=[{"name": "build", "stage": "build"}, "test", {"name": "deploy", "manual": True}]
    )
    build, test, deploy = started.jobs
    pipeline = project.pipelines.get(started.id)
    assert pipeline.status == "running"
    assert {job.name: job.status for job in pipeline.jobs.list()} == {
        "build": "running",
        "test": "running",
        "deploy": "manual",
    }
    job = project.jobs.get(build.id)
    assert job.trace() == b""
    forge.ci.append_log(build, "hello\n")
    assert job.trace() == b"hello\n"
    forge.ci.finish(build)
    forge.ci.finish(test, "failed")
    assert project.pipelines.get(started.id).status == "failed"
    pipeline.retry()
    jobs = project.pipelines.get(started.id).jobs.list()
    assert {job.name: job.status for job in jobs} == {"build": "success", "test": "pending", "deploy": "manual"}
    assert len(pipeline.jobs.list(include_retried=True)) == 4
    project.jobs.get(deploy.id).play()
    assert project.jobs.get(deploy.id).status == "pending"
    pipeline.cancel()
    assert project.pipelines.get(started.id).status == "canceled"
    with pytest.raises(gitlab.GitlabJobPlayError):
        project.jobs.get(deploy.id).play()


def test_a_part_of_a_trace(forge: Forge) -> None:
    job = forge.ci.start(REPO).jobs[0]
    forge.ci.append_log(job, "hello\nworld\n")
    url = f"{forge.api_url}/projects/acme%2Fflight-delay/jobs/{job.id}/trace"
    headers = {"Private-Token": forge.token, "Range": "bytes=6-"}
    with httpx.Client(trust_env=False, headers=headers) as asked:
        part = asked.get(url)
        assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"world\n", "bytes 6-11/12")
        assert asked.get(url, headers={"Range": "bytes=12-"}).status_code == 416
        forge.options.trace_ranges = False
        assert (asked.get(url).status_code, asked.get(url).content) == (200, b"hello\nworld\n")


def test_child_pipelines_also_in_another_project(forge: Forge, project: Project) -> None:
    forge.commit(forge.make_repo("acme/other"), "First")
    started = forge.ci.start(REPO, jobs=["build"])
    own = forge.ci.child(started, REPO, name="child", jobs=["inner"])
    other = forge.ci.child(started, "acme/other", name="elsewhere", jobs=["outer"])
    pipeline = project.pipelines.get(started.id)
    assert [job.name for job in pipeline.jobs.list()] == ["build"], "bridges are no jobs here"
    bridges = {bridge.name: bridge.downstream_pipeline for bridge in pipeline.bridges.list()}
    assert bridges["child"]["id"] == own.id and bridges["elsewhere"]["id"] == other.id
    assert bridges["elsewhere"]["project_id"] == forge.state.repo("acme/other").id
    forge.ci.finish(started.jobs[0])
    forge.ci.finish(own)
    forge.ci.finish(other, "failed")
    assert project.pipelines.get(started.id).status == "failed"


def test_a_pipeline_is_started_with_variables(forge: Forge, project: Project) -> None:
    made = project.pipelines.create({"ref": "main", "variables": [{"key": "MONTHS", "value": "3"}]})
    assert (made.status, made.source) == ("pending", "api")
    assert [(each.key, each.value) for each in made.variables.list()] == [("MONTHS", "3")]
    with pytest.raises(gitlab.GitlabCreateError) as refused:
        project.pipelines.create({"ref": "nothing"})
    assert refused.value.response_code == 400


def test_deployments_environments_and_approvals(forge: Forge, project: Project) -> None:
    sha = project.commits.get("main").id
    made = project.deployments.create(
        {"environment": "staging", "sha": sha, "ref": "main", "tag": False, "status": "running"}
    )
    made.status = "success"
    made.save()
    assert project.deployments.get(made.id).status == "success"
    environment = project.environments.list(name="staging")[0]
    environment.external_url = "http://127.0.0.1/staging"
    environment.save()
    assert project.environments.get(environment.id).external_url == "http://127.0.0.1/staging"

    started = forge.ci.start(REPO, jobs=["deploy"])
    forge.ci.wait_for_approval(started, "production", reviewers=["acme"])
    waiting = project.deployments.list(status="blocked")[0]
    assert waiting.deployable["status"] == "manual"
    nina = client(forge, forge.add_token("nina").value).projects.get(REPO).deployments.get(waiting.id)
    with pytest.raises(gitlab.GitlabDeploymentApprovalError):
        nina.approval("approved")
    assert waiting.approval("approved", comment="good")["status"] == "approved"
    job = project.jobs.get(started.jobs[0].id)
    assert job.status == "manual", "approved; somebody still has to start it"
    job.play()
    assert project.jobs.get(job.id).status == "pending"
    with pytest.raises(gitlab.GitlabDeploymentApprovalError):
        waiting.approval("approved")


def test_releases(project: Project) -> None:
    made = project.releases.create({"tag_name": "v1.0.0", "ref": "main", "name": "One", "description": "notes"})
    assert made._links["self"].endswith("/-/releases/v1.0.0") and project.releases.get("v1.0.0").description == "notes"
    for wrong, code in (({"tag_name": "v1.0.0", "ref": "main"}, 409), ({"tag_name": "v2.0.0"}, 422)):
        with pytest.raises(gitlab.GitlabCreateError) as refused:
            project.releases.create(wrong)
        assert refused.value.response_code == code


def test_wrong_tokens_missing_scopes_and_the_limit(forge: Forge) -> None:
    with pytest.raises(gitlab.GitlabAuthenticationError):
        client(forge, "wrong").projects.get(REPO)
    weak = client(forge, forge.add_token("nina", {"read_api"}).value).projects.get(REPO)
    with pytest.raises(gitlab.GitlabCreateError) as refused:
        weak.tags.create({"tag_name": "v1", "ref": "main"})
    assert refused.value.response_code == 403
    with pytest.raises(gitlab.GitlabGetError) as missing:
        client(forge).projects.get("acme/nothing")
    assert missing.value.response_code == 404
    forge.rates.limit = 0
    answer = httpx.get(f"{forge.api_url}/user", headers={"Private-Token": forge.token})
    assert (
        answer.status_code == 429
        and int(answer.headers["Retry-After"]) > 0
        and answer.headers["RateLimit-Remaining"] == "0"
    )


@pytest.mark.parametrize("secret", ["a secret", "whsec_" + base64.b64encode(b"another secret").decode()])
def test_a_push_is_told_and_proved(forge: Forge, tmp_path: Path, secret: str) -> None:
    with webhook_receiver() as received:
        forge.add_hook(REPO, received.url, secret, ["push"])
        clone = tmp_path / "clone"
        assert run_git(tmp_path, "clone", "-q", forge.clone_url(REPO, forge.token), str(clone)).returncode == 0
        sha = commit_file(clone, "c.txt", "three\n", "Third")
        assert run_git(clone, "push", "-q", "origin", "main").returncode == 0
        wait_until(lambda: received.all, what="no webhook")
        headers, body = received.all[0]
        said = json.loads(body)
        assert (headers["x-gitlab-event"], said["object_kind"], said["after"]) == ("Push Hook", "push", sha)
        if secret.startswith("whsec_"):
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            expected = base64.b64encode(hmac.new(b"another secret", signed, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == f"v1,{expected}" and "x-gitlab-token" not in headers
        else:
            assert headers["x-gitlab-token"] == secret
