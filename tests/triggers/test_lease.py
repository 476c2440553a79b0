"""Two agents on two machines: each commit is delivered by one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.triggers.lease import KEPT, take, unguarded
from podium.core.triggers.polling import look
from podium.core.triggers.pushes import Pushes

from tests.engine.lab import Lab
from tests.scm.support import git
from tests.support import wait_until

from .test_polling import Elsewhere


class Pair(Elsewhere):
    """One more clone of the same repository, as if on another machine."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        git(directory, "clone", "-q", str(self.bare), str(directory / "other"))
        self.labs = (self.lab, Lab(directory / "other"))
        self.said: list[str] = []
        self.pushes = [Pushes(lab.journal, self.said.append) for lab in self.labs]

    def drain(self) -> None:
        def quiet() -> bool:
            for lab in self.labs:
                look(lab.project, lab.journal)
            started = [push.look(lab.project, rung=True) for push, lab in zip(self.pushes, self.labs, strict=True)]
            return not any(started) and not any(lab.journal.runs.active() for lab in self.labs)

        wait_until(lambda: quiet() and quiet(), 90, what="everything is delivered")

    def runs(self) -> list[list[str]]:
        return [[run.commit for run in lab.journal.runs.page(limit=-1)] for lab in self.labs]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    found = Pair(tmp_path)
    found.drain()
    yield found
    for lab in found.labs:
        lab.close()


def test_of_two_agents_one_runs_a_commit_and_the_other_says_so(pair: Pair) -> None:
    commits = [pair.push(word) for word in ("one", "two", "three")]
    pair.drain()
    here, there = pair.runs()
    assert sorted(here + there) == sorted(commits)
    assert any("has taken it, not run here" in line for line in pair.said), pair.said
    lab = pair.lab
    assert unguarded(lab.project, lab.journal.values.all()) == []


def test_who_took_a_commit_and_was_killed_goes_on_with_it(pair: Pair) -> None:
    sha = pair.push("one")
    first, second = pair.labs
    for lab in pair.labs:
        look(lab.project, lab.journal)
    from podium.core.scm import Repository

    assert take(first.project, first.journal, Repository.open(first.home), "main", "main", sha) == ""
    pair.pushes.reverse()
    pair.labs = (second, first)
    pair.drain()
    assert pair.runs() == [[], [sha]]


def test_an_agent_that_may_not_write_there_goes_on_and_says_that_nothing_guards_it(pair: Pair) -> None:
    hook = pair.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nwhile read -r _ _ ref; do case $ref in refs/podium/*) exit 1;; esac; done\n")
    hook.chmod(0o755)
    sha = pair.push("one")
    pair.drain()
    assert pair.runs() == [[sha], [sha]]
    from contextlib import closing

    from podium.core.cockpit import Cockpit

    with closing(Cockpit.open(pair.lab.home)) as cockpit:
        [finding] = [each for each in cockpit.project.doctor() if each.subject == "pushes"]
    assert finding.health == "warning" and "nothing keeps a second agent" in finding.message
    [words] = unguarded(pair.lab.project, pair.lab.journal.values.all())
    assert "main: " in words and "cannot be written" in words


def test_what_somebody_else_wrote_into_it_is_no_reason_to_fail_and_it_stays_small(pair: Pair) -> None:
    git(pair.work, "push", "-q", "origin", "HEAD:refs/podium/lease/main")
    sha = pair.push("one")
    pair.drain()
    assert sorted(pair.runs()) == [[], [sha]]
    from podium.core.scm import Repository

    repository, lab = Repository.open(pair.lab.home), pair.lab
    lines = "\n".join(f'["lab/", "main", "{number:040x}", "a", "h", 1.0]' for number in range(KEPT + 50))
    tree = git(pair.work, "rev-parse", "HEAD^{tree}")
    git(
        pair.work,
        "push",
        "-q",
        "-f",
        "origin",
        git(pair.work, "commit-tree", tree, "-m", f"x\n\n{lines}\n[1]\n[") + ":refs/podium/lease/main",
    )
    assert "has taken it" in take(lab.project, lab.journal, repository, "main", "main", f"{KEPT + 49:040x}")
    assert take(lab.project, lab.journal, repository, "main", "main", "a" * 40) == ""
    lab.git("fetch", "-q", "origin", "refs/podium/lease/main")
    assert lab.git("log", "-1", "--format=%B", "FETCH_HEAD").count("\n[") in (KEPT - 1, KEPT)
