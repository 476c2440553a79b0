"""From a push to a host to a run, and back to the host: the three hosts, over HTTP, with tokens."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.demo.forge import Forge
from podium.core.domain.delivery import Deployment, DeploymentState, How
from podium.core.domain.hosts import HostFeature, StatusState
from podium.core.domain.outbox import MessageState
from podium.core.domain.runs import Run, RunState, Trigger
from podium.core.domain.verdicts import CheckResult, GateReport, Verdict
from podium.core.errors import Refused, Unreachable
from podium.core.hosting.sender import Sender
from podium.core.scm.hosts import GitHost
from podium.core.scm.hosts.opening import open_host
from podium.core.triggers.jobs import KeptCommits
from podium.core.triggers.polling import Polling, look
from podium.core.triggers.pushes import Pushes

from tests.engine.lab import Lab
from tests.support import wait_until

pytestmark = pytest.mark.in_turn(14)
FILE = """
project: lab
git:
  host: {{kind: {kind}, repo: acme/lab, url: '{url}', token: '{token}'}}
  poll: 1s
pipelines:
  main:
    on: {{push: main, pull_request: true}}
    concurrency: every
    steps:
      show: {{run: "cat word.txt"}}
"""
KINDS = ["github", "gitlab", "gitea"]


class Hosted:
    def __init__(self, kind: str, directory: Path, forge: Forge) -> None:
        self.forge, self.kind = forge, kind
        forge.make_repo("acme/lab")
        self.token = forge.add_token("anna").value
        self.text = FILE.format(kind=kind, url=forge.url, token=self.token)
        self.files = {".gitignore": ".podium/\n", "podium.yaml": self.text, "word.txt": "first"}
        self.first = forge.commit("acme/lab", "first", self.files)
        self.lab = Lab(directory / "project")
        for name, text in self.files.items():
            self.lab.write(name, text)
        self.lab.git("init", "-q", "-b", "main")
        self.lab.commit("a clone of another history is as good")
        self.said: list[str] = []
        self.pushes = Pushes(self.lab.journal, self.said.append)
        self.polling = Polling(self.said.append)
        self.sender = Sender()

    def push(self, word: str, branch: str = "main", repo: str = "acme/lab") -> str:
        return self.forge.commit(repo, word, {**self.files, "word.txt": word}, branch=branch)

    def drain(self) -> None:
        def quiet() -> bool:
            look(self.lab.project, self.lab.journal)
            return not self.pushes.look(self.lab.project, rung=True) and not self.lab.journal.runs.active()

        wait_until(lambda: quiet() and quiet(), 60, what="everything is delivered")

    def runs(self) -> list[Run]:
        return list(reversed(self.lab.journal.runs.page(limit=-1)))

    def tell(self) -> None:
        """Tells the host what there is to tell."""
        self.sender(self.lab.project, self.lab.journal)
        assert not self.lab.journal.outbox.list(MessageState.WAITING)
        assert not self.lab.journal.outbox.list(MessageState.FAILED)

    def judge(self, run: Run, verdict: Verdict) -> None:
        """Has a gate found something in a run: a model would take too long to train."""
        checks = (CheckResult("roc_auc", verdict, "what was found", 0.71, 0.70, -0.002, 0.02, rows=1000),)
        self.lab.journal.gates.add(GateReport("quality", "lab", 2, 1, verdict, checks, time.time(), run.id))

    def deploy(self, commit: str) -> Deployment:
        return self.lab.journal.ledger.begin(
            environment="production", how=How.PROMOTE, model="lab", to_version=2, from_version=1, who="mia", commit=commit
        )  # fmt: skip

    def close(self) -> None:
        self.polling.close()
        self.sender.close()
        self.lab.close()


@pytest.fixture(params=KINDS)
def hosted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hosted]:
    with Forge(request.param, tmp_path / "forge") as forge:
        found = Hosted(request.param, tmp_path, forge)
        yield found
        found.close()


@pytest.fixture
def client(hosted: Hosted) -> Iterator[GitHost]:
    """The host as somebody else reads it."""
    found = open_host(hosted.lab.project)
    assert found is not None
    yield found
    found.close()


def test_each_push_is_delivered_once_and_the_token_is_in_no_process_list(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    start = subprocess.Popen.__init__

    def noting(self: object, command: list[str], *args: object, **more: object) -> None:
        seen.append(list(command))
        start(self, command, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess.Popen, "__init__", noting)
    hosted.drain()
    commits = [hosted.push(word) for word in ("one", "two")]
    hosted.drain()
    assert [run.commit for run in hosted.runs()] == commits
    assert {run.state for run in hosted.runs()} == {RunState.SUCCEEDED}
    assert any("ls-remote" in command for command in seen)
    assert not any(hosted.token in word for command in seen for word in command)
    assert "refs/podium/lease/main" in hosted.forge.state.repo("acme/lab").bare.refs()


def test_a_pull_request_of_a_fork_waits_for_a_person(hosted: Hosted) -> None:
    hosted.drain()
    hosted.forge.make_fork("acme/lab", "eve")
    sha = hosted.push("theirs", "topic", "eve/lab")
    pull = hosted.forge.open_pull_request("acme/lab", "topic", fork="eve")
    look(hosted.lab.project, hosted.lab.journal)
    [run] = hosted.pushes.look(hosted.lab.project, rung=True)
    waiting = hosted.lab.transport(run, RunState.WAITING)
    assert (waiting.commit, waiting.branch) == (sha, f"refs/pull/{pull.number}")
    assert "code of the fork eve/lab" in waiting.message


def test_what_has_not_changed_is_asked_at_no_cost_and_trouble_is_told(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.core.triggers.polling.MIN_INTERVAL", 0.0)

    def ask() -> None:
        hosted.polling.ring()
        hosted.polling(hosted.lab.project, hosted.lab.journal)

    for _ in range(3):
        ask()
    started: list[object] = []
    start = subprocess.Popen.__init__
    monkeypatch.setattr(
        subprocess.Popen, "__init__", lambda self, *a, **more: (started.append(a), start(self, *a, **more))[1]
    )
    before = len(hosted.forge.requests)
    ask()
    assert not started, "no git is started to find out that nothing has changed"
    asked = list(hosted.forge.requests)[before:]
    # Gitea answers no condition, and counts no questions: there the API is asked, and git is not.
    status = 200 if hosted.kind == "gitea" else 304
    assert asked and {(each.server, each.status) for each in asked} == {("api", status)}, asked
    hosted.forge.state.tokens.clear()
    ask()
    trouble = next(line for line in hosted.said if line.startswith("fetching: "))
    assert hosted.token not in trouble


def test_tags_that_have_not_changed_start_no_git(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.core.triggers.polling.MIN_INTERVAL", 0.0)
    text = hosted.text.replace("push: main", "push: main, tag: ['v*', 'release/?']")
    hosted.files["podium.yaml"] = text
    hosted.lab.write("podium.yaml", text)
    hosted.push("watching")
    bare = hosted.forge.state.repo("acme/lab").bare
    bare.set_ref("refs/tags/v0", hosted.first)
    started: list[object] = []
    start, kept = subprocess.Popen.__init__, KeptCommits()

    def noting(self: object, command: object, *args: object, **more: object) -> None:
        if not str(more.get("cwd")).startswith(str(hosted.forge.state.directory)):  # those of the stand-in
            started.append(command)
        start(self, command, *args, **more)  # type: ignore[arg-type]

    def asked() -> int:
        """Returns how many processes an idle agent starts: by all of its jobs that ask git."""
        before = len(started)
        hosted.polling.ring()
        hosted.polling(hosted.lab.project, hosted.lab.journal)
        hosted.pushes.look(hosted.lab.project)
        kept(hosted.lab.project, hosted.lab.journal)
        return len(started) - before

    hosted.drain()
    asked(), asked(), asked()
    monkeypatch.setattr(subprocess.Popen, "__init__", noting)
    monkeypatch.setattr("podium.core.triggers.pushes.MAX_QUIET_SECONDS", 0.0)
    assert [asked(), asked()] == [0, 0], started
    for name in ("v1", "release/1", "flight-delay@v7.0.0"):
        bare.set_ref(f"refs/tags/{name}", hosted.first)
    assert asked() > 0, "new ones are fetched"
    hosted.drain()
    assert sorted(run.branch for run in hosted.runs()) == ["refs/tags/release/1", "refs/tags/v1"]
    asked(), asked()
    assert asked() == 0
    bare.set_ref("refs/tags/v1", hosted.push("moved"))
    hosted.drain()
    assert [run.branch for run in hosted.runs()].count("refs/tags/v1") == 2, "and one that was moved"
    # A host that has more than it tells is asked by git.
    monkeypatch.setattr("podium.core.scm.hosts.reading.MAX_TAGS", 1)
    asked(), asked()
    before = len(hosted.forge.requests.matching("GET", "tags"))
    assert asked() > 0 and len(hosted.forge.requests.matching("GET", "tags")) == before


def test_a_wrong_token_is_refused_without_showing_it(hosted: Hosted) -> None:
    hosted.lab.write("podium.yaml", hosted.text.replace(hosted.token, "wrong-secret"))
    with pytest.raises((Refused, Unreachable)) as caught:
        look(hosted.lab.project, hosted.lab.journal)
    assert "wrong-secret" not in str(caught.value)


def test_a_host_that_is_down_is_asked_again(hosted: Hosted) -> None:
    hosted.drain()
    sha = hosted.push("one")
    hosted.forge.faults.add(path="git-upload-pack", status=503)
    with pytest.raises((Unreachable, Refused)):
        look(hosted.lab.project, hosted.lab.journal)
    hosted.drain()
    assert [run.commit for run in hosted.runs()] == [sha]


def test_what_became_of_a_commit_is_told_back_once(hosted: Hosted, client: GitHost) -> None:
    hosted.tell()
    hosted.drain()
    sha = hosted.push("theirs", "topic")
    number = hosted.forge.open_pull_request("acme/lab", "topic").number
    hosted.drain()
    [run] = hosted.runs()
    assert (run.commit, run.state) == (sha, RunState.SUCCEEDED)
    for verdict in (Verdict.FAIL, Verdict.PASS):
        hosted.judge(run, verdict)
        hosted.tell()
        (comment,) = client.comments(number)
        assert f"### Podium: `main` {'✅' if verdict is Verdict.PASS else '❌'} {verdict}" in comment.body
    (status,) = client.statuses(sha)
    words = f"1 step succeeded · podium show {run.id}"
    assert (status.context, status.state, status.description) == ("podium/main", StatusState.SUCCESS, words)


def test_a_state_that_the_host_has_no_word_for_is_told_once(hosted: Hosted, client: GitHost) -> None:
    """GitLab has one word for an error and a failure."""
    hosted.tell()
    journal = hosted.lab.journal
    run = journal.runs.create(
        kind="pipeline", name="main", trigger=Trigger.PUSH, who="podium watch", commit=hosted.first
    )
    journal.runs.set_state(run.id, RunState.CANCELLED, message="by anna")
    hosted.tell()
    (status,) = client.statuses(hosted.first)
    assert status.state is client.shown(StatusState.ERROR)
    assert (status.state is StatusState.FAILURE) is (hosted.kind == "gitlab")
    told = len(hosted.forge.requests.matching("POST", "/statuses/"))
    for _ in range(2):
        journal.telling.run(run.id)
        hosted.tell()
    assert len(hosted.forge.requests.matching("POST", "/statuses/")) == told == 1


def test_a_deployment_is_told_where_the_host_has_them(hosted: Hosted, client: GitHost) -> None:
    hosted.tell()
    deployments = [hosted.deploy(hosted.first)]
    hosted.tell()
    hosted.lab.journal.ledger.finish(deployments[0].id, DeploymentState.SUCCEEDED)
    deployments.append(hosted.deploy(hosted.push("two")))
    hosted.tell()
    hosted.lab.journal.ledger.finish(deployments[1].id, DeploymentState.UNDONE)
    hosted.tell()
    if HostFeature.DEPLOYMENTS in client.missing:
        assert hosted.kind == "gitea"
        return
    told = {each.sha: each.state for each in client.deployments("production")}
    assert told == {deployments[0].commit: StatusState.SUCCESS, deployments[1].commit: StatusState.FAILURE}
