"""GitHub's client against a second GitHub: emulate, which others wrote, and which knows nothing of ours."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from podium.core.domain.hosts import CommitStatus, HostFeature, StatusState
from podium.core.domain.watching import Health
from podium.core.errors import NotFound
from podium.core.scm.hosts.github import opening
from podium.core.scm.hosts.opening import open_host

from tests.scm.hosts.table import template
from tests.scm.hosts.test_github import app
from tests.scm.hosts.test_prism import BASE, REPO, calls
from tests.servers.node import Emulate

__all__ = ["app"]
TOKEN = "ghp_of_acme"
ACME = {"login": "acme", "name": "Acme", "email": "acme@example.org"}
# What docs/hosts.md says that emulate has not got.
LACKS = {
    ("GET", "commits/{ref}/status"),
    ("POST", "statuses/{sha}"),
    ("GET", "deployments"),
    ("POST", "deployments"),
    ("GET", "deployments/{deployment_id}/statuses"),
    ("POST", "deployments/{deployment_id}/statuses"),
    ("POST", "actions/runs/{run_id}/rerun-failed-jobs"),
    ("GET", "actions/runs/{run_id}/pending_deployments"),
    ("POST", "actions/runs/{run_id}/pending_deployments"),
}
# It has these, and no way to get a workflow or a run that they could be asked of.
EMPTY = {
    ("GET", "actions/runs/{run_id}"),
    ("GET", "actions/runs/{run_id}/jobs"),
    ("GET", "actions/jobs/{job_id}"),
    ("GET", "actions/jobs/{job_id}/logs"),
    ("POST", "actions/runs/{run_id}/rerun"),
    ("POST", "actions/runs/{run_id}/cancel"),
    ("POST", "actions/workflows/{workflow_id}/dispatches"),
}


class Second:
    """The other GitHub, as somebody else changes it, and what all clients have asked of it."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        self.hosts: list[Any] = []

    def send(self, method: str, path: str, **fields: Any) -> Any:
        answer = self.client.request(method, f"/repos/{REPO}/{path}", json=fields)
        assert answer.is_success, answer.text
        return answer.json()

    def commit(self, branch: str, path: str, text: str) -> str:
        content = base64.b64encode(text.encode()).decode()
        return self.send("PUT", f"contents/{path}", message="one more", branch=branch, content=content)["commit"]["sha"]

    def asked(self) -> set[tuple[str, str]]:
        """Returns which of the described calls were answered well, at least once."""
        known = calls()
        good = [call for host in self.hosts for call in host.calls if 200 <= call.status < 400]
        return {named for call in good if (named := template(known, call.method, call.path.partition("?")[0]))}


@pytest.fixture
def second(node_modules: Path, project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    # Its API is at its root, as that of github.com is; that of a GitHub of one's own is not.
    monkeypatch.setattr(opening, "api_url", lambda web: web)
    key = tmp_path / "app.pem"
    apps = [
        {
            "app_id": 12345,
            "slug": "podium",
            "name": "Podium",
            "private_key": key.read_text(),
            "permissions": {"checks": "write", "contents": "write", "statuses": "write", "metadata": "read"},
            "installations": [{"installation_id": 4711, "account": "acme", "repository_selection": "all"}],
        }
    ]
    owner, _, name = REPO.partition("/")
    github = {"users": [ACME], "repos": [{"owner": owner, "name": name, "auto_init": True}], "apps": apps}
    seed = {"tokens": {TOKEN: {"login": "acme", "scopes": ["repo"]}}, "github": github}
    with Emulate(node_modules, seed) as server:
        found = Second(server.address)

        def start(**options: Any) -> Any:
            found.hosts.append(open_host(project("github", server.address, **options)))
            return found.hosts[-1]

        yield found, start
        for host in found.hosts:
            host.close()
        found.client.close()


def test_another_github_understands_and_is_understood(app: str, second: Any) -> None:
    other, start = second
    host = start(token=TOKEN)
    assert host.account().login == "acme"
    assert {each.health for each in host.examine()} == {Health.OK}
    tip = host.tips(["main"])["main"]
    # Branches, tags, files, pull requests.
    other.send("POST", "git/refs", ref="refs/heads/feature/a", sha=tip)
    sha = other.commit("feature/a", "a/b c.txt", "text")
    for tag in ("v1", "v2", "old-v1", "release/v1"):
        other.send("POST", "git/refs", ref=f"refs/tags/{tag}", sha=tip)
    # Of tags it lists the annotated ones alone; GitHub lists all.
    tagger = {"name": "acme", "email": "acme@example.org"}
    whole = other.send("POST", "git/tags", tag="w1", message="w1", object=tip, type="commit", tagger=tagger)
    other.send("POST", "git/refs", ref="refs/tags/w1", sha=whole["sha"])
    assert host.tips(["main", "feature/a", "gone", "feature"]) == {"main": tip, "feature/a": sha}
    assert host.file("a/b c.txt", "feature/a") == b"text"
    with pytest.raises(NotFound):
        host.file("nothing.txt", "main")
    assert host.matching_tags("v") == {"v1": tip, "v2": tip} and host.matching_tags("release/v") == {"release/v1": tip}
    assert host.matching_tags("release/") == {"release/v1": tip} and len(host.matching_tags("")) == 5
    assert host.matching_tags("w") == {"w1": whole["sha"]} and host.tags().keys() == {"w1"}
    opened = other.send("POST", "pulls", title="Ours", head="feature/a", base="main", draft=True)
    (pull,) = host.pull_requests()
    assert (pull.number, pull.title, pull.author, pull.sha) == (opened["number"], "Ours", "acme", sha)
    assert (pull.branch, pull.base, pull.fork, pull.draft) == ("feature/a", "main", "", True)
    # Comments and releases.
    made = host.create_comment(pull.number, "<!-- podium -->\none")
    host.update_comment(pull.number, made, "<!-- podium -->\ntwo")
    for number in range(100):
        other.send("POST", f"issues/{pull.number}/comments", body=f"comment {number}")
    found = host.comments(pull.number)
    assert len(found) == 101, "they come on two pages"
    assert (found[0].id, found[0].body, found[0].author) == (made, "<!-- podium -->\ntwo", "acme")
    url = host.create_release("v1", "version 1", "notes")
    assert url and host.create_release("v1", "other", "other") == url
    # CI, of which there is none.
    assert host.ci_runs() == [] and host.ci_runs(sha=sha, branch="main") == [] and host.workflows() == []
    # What it has not got.
    with pytest.raises(NotFound):
        host.statuses(sha)
    with pytest.raises(NotFound):
        host.set_status(sha, CommitStatus("podium/release", StatusState.SUCCESS))
    with pytest.raises(NotFound):
        host.deployments()

    # An App: its claim is checked with its key, and its token makes check runs.
    bot = start(token="", more=app)
    assert bot.account().login == "podium[bot]" and HostFeature.CHECK_RUNS not in bot.missing
    for state, words in ((StatusState.PENDING, "running"), (StatusState.FAILURE, "refused")):
        bot.set_check_run(sha, "gate", CommitStatus("gate", state, words, "https://example.org/1"), "# Report")
    bot.set_check_run(sha, "other", CommitStatus("other", StatusState.ERROR, "unclear"), "")
    found = {each.context: (each.state, each.description) for each in bot.check_runs(sha)}
    assert found == {"gate": (StatusState.FAILURE, "refused"), "other": (StatusState.ERROR, "unclear")}
    assert other.client.get(f"/repos/{REPO}/commits/{sha}/check-runs").json()["total_count"] == 2

    base = f"{BASE}/"
    rest = {(method, path.removeprefix(base)) for method, path in calls() - other.asked()}
    assert rest - {("GET", "/app"), ("POST", "/app/installations/{installation_id}/access_tokens")} == LACKS | EMPTY
