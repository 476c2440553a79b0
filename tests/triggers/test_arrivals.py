"""Tags and pull requests, and code from a fork."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.domain.hosts import HostPullRequest
from podium.core.domain.runs import Run, RunState, Trigger
from podium.core.engine.executors.container.mounts import Mount, mounts
from podium.core.engine.run.trusted import judge
from podium.core.engine.submit import approve
from podium.core.errors import ConfigError
from podium.core.triggers.pushes import Pushes

from tests.engine.lab import Lab
from tests.scm.support import commit, git
from tests.support import wait_until

from .test_polling import Elsewhere, drain

STEPS = 'show: {run: "cat word.txt; echo $SECRET"}'


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "project")
    lab.write(".gitignore", ".podium/\n")
    lab.write("word.txt", "x")
    lab.git("init", "-q", "-b", "main")
    yield lab
    lab.close()


def runs(lab: Lab) -> list[Run]:
    return list(reversed(lab.journal.runs.page(limit=-1)))


def settle(lab: Lab, pushes: Pushes) -> None:
    wait_until(lambda: not pushes.look(lab.project, rung=True) and not lab.journal.runs.active(), 60)


def test_a_new_tag_that_matches_starts_its_pipeline_and_podiums_own_do_not(lab: Lab) -> None:
    lab.pipeline(STEPS, extra="on: {tag: ['v*', 'lab*']}")
    first = lab.commit("first")
    lab.git("tag", "v0")
    pushes = Pushes(lab.journal, lambda _: None)
    settle(lab, pushes)
    assert runs(lab) == [], "what is there when the pipeline begins to watch is no push"
    lab.write("word.txt", "y")
    second = lab.commit("second")
    lab.git("tag", "-a", "-m", "annotated", "v1")
    lab.git("tag", "other")
    lab.git("tag", "lab@v7.0.0")
    lab.git("tag", "lab#production#7")
    settle(lab, pushes)
    [run] = runs(lab)
    assert (run.commit, run.branch, run.trigger) == (second, "refs/tags/v1", Trigger.TAG)
    assert run.state is RunState.SUCCEEDED
    lab.git("tag", "-f", "v1", first)
    settle(lab, pushes)
    assert [(run.branch, run.commit) for run in runs(lab)][1:] == [("refs/tags/v1", first)], "a moved one is new"
    # With another pattern, what has been there is no push either.
    lab.pipeline(STEPS, extra="on: {tag: ['*']}")
    settle(lab, pushes)
    assert len(runs(lab)) == 2


def test_tags_of_a_remote(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path)
    text = (elsewhere.work / "podium.yaml").read_text().replace("on: {push: main}", "on: {tag: 'v*'}")
    for place in (elsewhere.work, elsewhere.lab.home):
        (place / "podium.yaml").write_text(text)
    sha = elsewhere.push("one")
    git(elsewhere.work, "tag", "-a", "-m", "annotated", "v1")
    lab, pushes = elsewhere.lab, Pushes(elsewhere.lab.journal, lambda _: None)
    try:
        drain(elsewhere, pushes)
        git(elsewhere.work, "push", "-q", "origin", "v1")
        drain(elsewhere, pushes)
        assert [(run.branch, run.commit) for run in runs(lab)] == [("refs/tags/v1", sha)]
        assert lab.git("rev-parse", "refs/podium/tags/v1^{commit}") == sha
        git(elsewhere.work, "push", "-q", "origin", ":v1")
        drain(elsewhere, pushes)
        assert lab.git("for-each-ref", "refs/podium/tags") == "" and len(runs(lab)) == 1
    finally:
        lab.close()


class Hosted(Elsewhere):
    """The same with a host that knows of pull requests; git itself goes to the bare repository."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(directory)
        self.open: list[HostPullRequest] = []
        host = "host: {kind: gitea, repo: acme/p, url: 'http://127.0.0.1:1'}, remote: "
        text = (self.work / "podium.yaml").read_text().replace("remote: ", host)
        text = text.replace("on: {push: main}", "on: {push: main, pull_request: [main, 'release/*']}")
        for place in (self.work, self.lab.home):
            (place / "podium.yaml").write_text(text)
        self.push("watching")
        monkeypatch.setattr("podium.core.triggers.polling.pull_requests", lambda _: list(self.open))

    def propose(self, number: int, word: str, *, fork: str = "", base: str = "main", **files: str) -> str:
        git(self.work, "checkout", "-q", "--detach")
        sha = commit(self.work, word, **{"word.txt": word, **files})
        git(self.work, "push", "-q", "-f", "origin", f"{sha}:refs/pull/{number}/head")
        git(self.work, "checkout", "-q", "main")
        self.open = [each for each in self.open if each.number != number]
        self.open.append(HostPullRequest(number, word, "eve", sha, "topic", base, fork))
        return sha


@pytest.fixture
def hosted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    found = Hosted(tmp_path, monkeypatch)
    yield found
    found.lab.close()


def test_a_pull_request_starts_its_pipeline_once_for_each_newest_commit(hosted: Hosted) -> None:
    lab, pushes = hosted.lab, Pushes(hosted.lab.journal, lambda _: None)
    hosted.propose(1, "early")
    drain(hosted, pushes)
    assert runs(lab) == []
    one = hosted.propose(2, "one")
    hosted.propose(3, "elsewhere", base="other")
    drain(hosted, pushes)
    again = hosted.propose(2, "two")
    drain(hosted, pushes)
    drain(hosted, pushes)
    assert [(run.branch, run.commit, run.trigger) for run in runs(lab)] == [
        ("refs/pull/2", one, Trigger.PULL_REQUEST),
        ("refs/pull/2", again, Trigger.PULL_REQUEST),
    ]
    hosted.open.clear()
    drain(hosted, pushes)
    assert lab.git("for-each-ref", "refs/podium/pull") == ""


def look(hosted: Hosted, pushes: Pushes) -> list[int]:
    from podium.core.triggers.polling import look as fetch

    fetch(hosted.lab.project, hosted.lab.journal)
    return pushes.look(hosted.lab.project, rung=True)


def test_code_of_a_fork_waits_for_a_person_and_nothing_waits_for_it(hosted: Hosted) -> None:
    lab, pushes = hosted.lab, Pushes(hosted.lab.journal, lambda _: None)
    drain(hosted, pushes)
    text = (hosted.work / "podium.yaml").read_text()
    hosted.propose(7, "theirs", fork="eve/p", **{"podium.yaml": text.replace("approval", "x")})
    [run] = look(hosted, pushes)
    waiting = lab.transport(run, RunState.WAITING)
    assert "fork: code of the fork eve/p, and show runs in no container" in waiting.message
    assert lab.journal.steps.get(run, "fork").message.startswith("waits for approval: code of the fork eve/p")
    assert lab.journal.steps.get(run, "show").attempt == 0
    # A push to main is delivered meanwhile, and a newer commit of the request replaces the one that waits.
    sha = hosted.push("ours")
    [ours] = look(hosted, pushes)
    assert lab.finish(ours)[0].commit == sha
    newer = hosted.propose(7, "better", fork="eve/p")
    wait_until(lambda: look(hosted, pushes), 30, what="the newer commit has its run")
    assert lab.finish(run)[0].state is RunState.CANCELLED
    [now] = [each for each in lab.journal.runs.active() if each.commit == newer]
    lab.transport(now.id, RunState.WAITING)
    approve(lab.journal, now.id, None, who="anna", why="I have read it")
    assert lab.finish(now.id)[0].state is RunState.SUCCEEDED
    assert lab.log(now.id, "show").startswith("better")


CONTAINED = """
show: {run: "cat word.txt", image: "python:3.11-slim", env: {SECRET: "${PODIUM_TEST_SECRET:-none}"}}
"""


def test_code_of_a_fork_in_containers_has_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODIUM_TEST_SECRET", "hush")
    lab.pipeline(CONTAINED)
    sha = lab.commit("first")
    run = lab.journal.runs.create(
        kind="pipeline", name="main", trigger=Trigger.PULL_REQUEST, who="x", commit=sha, branch="refs/pull/1"
    )
    assert lab.project.pipelines["main"].steps["show"].env == {"SECRET": "hush"}
    lab.journal.values.set(f"fork:{run.id}", "eve/p")
    project = judge(lab.project, lab.journal, run, lab.home).project
    step = project.pipelines["main"].steps["show"]
    assert step.container is not None and not step.approval and not step.cache
    assert (step.container.network, step.container.alone) == (False, True)
    assert step.env == {"SECRET": "not-given"}
    assert not project.mlflow.embedded and project.mlflow.tracking_uri.endswith(".invalid")
    tree = lab.home / ".podium/worktrees/1"
    assert mounts(tree, lab.home / ".podium", lab.project.mlflow.stores, alone=True) == [Mount(tree, True)]
    # An image that the trusted file does not name would be pulled with the engine's credentials.
    lab.pipeline(CONTAINED.replace("3.11", "3.12"))
    steps = judge(lab.project, lab.journal, run, lab.home).project.pipelines["main"].steps
    assert steps["fork"].approval and "none that the trusted podium.yaml names" in steps["fork"].approval_reason
    assert steps["show"].needs == ("fork",) and steps["show"].env == {"SECRET": "hush"}


def test_pull_requests_need_a_host(tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text(
        "project: p\npipelines: {a: {on: {pull_request: true}, steps: {s: {run: 'true'}}}}\n"
    )
    with pytest.raises(ConfigError, match="needs a Git host to ask"):
        load(tmp_path)
