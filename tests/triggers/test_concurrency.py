"""Which commits of a branch a pipeline runs, and that each is run exactly once, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState, Trigger
from podium.core.engine.run.checkout import release_ended
from podium.core.errors import ConfigError
from podium.core.triggers.pushes import Pushes
from podium.core.triggers.skips import skip_words

from tests.engine.lab import Lab
from tests.runner.scale import scaled
from tests.support import wait_until

STEPS = 'show: {run: "cat word.txt"}'
SLOW = 'show: {run: "while ! test -e $PODIUM_HOME/go; do sleep 0.05; done"}'


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "project")
    lab.write(".gitignore", ".podium/\ngo\n")
    lab.git("init", "-q", "-b", "main")
    yield lab
    lab.close()


class Watch:
    """The pushes of a lab, looked at when a test says so."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.said = lab, list[str]()
        self.pushes = Pushes(lab.journal, self.said.append)

    def look(self) -> list[int]:
        return self.pushes.look(self.lab.project, rung=True)

    def delivered(self) -> list[str]:
        return [run.commit for run in reversed(self.lab.journal.runs.page(limit=-1))]

    def drain(self) -> None:
        """Looks until nothing is left to do."""

        def quiet() -> bool:
            return not self.look() and not self.lab.journal.runs.active() and not self.look()

        wait_until(quiet, 60, what="everything is delivered")


def begin(lab: Lab, extra: str = "", steps: str = STEPS) -> Watch:
    lab.write("word.txt", "none")
    lab.pipeline(steps, extra=f"on: {{push: main}}\n{extra}")
    lab.commit("first")
    watch = Watch(lab)
    assert watch.look() == []
    return watch


def change(lab: Lab, word: str, message: str = "") -> str:
    lab.write("word.txt", word)
    return lab.commit(message or word)


def actions(lab: Lab) -> list[tuple[str, str, str]]:
    entries = lab.journal.audit.page(50)
    return [(e.action, e.subject, e.why) for e in entries if e.action.startswith("push ")]


def test_the_newest_is_run_and_what_is_passed_over_is_said(lab: Lab) -> None:
    watch = begin(lab)
    commits = [change(lab, word) for word in ("one", "two", "three")]
    watch.drain()
    assert watch.delivered() == commits[2:]
    assert any("2 commits before it" in line and commits[0][:9] in line for line in watch.said), watch.said
    [(action, target, detail)] = actions(lab)
    assert action == "push passed over" and commits[0][:9] in target and commits[1][:9] in target
    assert "2 commits passed over" in detail and commits[2][:9] in detail


def test_every_commit_is_run_once_and_in_its_order(lab: Lab) -> None:
    watch = begin(lab, "concurrency: every")
    commits = [change(lab, word) for word in ("one", "two")]
    assert len(watch.look()) == 1
    commits.append(change(lab, "three"))
    watch.drain()
    assert watch.delivered() == commits
    watch.pushes = Pushes(lab.journal, watch.said.append)  # an agent that starts anew
    watch.drain()
    assert watch.delivered() == commits
    assert not actions(lab)


def test_of_a_merge_every_runs_what_the_branch_itself_was(lab: Lab) -> None:
    watch = begin(lab, "concurrency: {commits: every}")
    lab.git("checkout", "-q", "-b", "feature")
    lab.write("a.txt", "a")
    lab.commit("work in progress")
    lab.git("checkout", "-q", "main")
    lab.git("merge", "-q", "--no-ff", "-m", "merged", "feature")
    watch.drain()
    assert watch.delivered() == [lab.git("rev-parse", "main")]


def test_a_superseded_run_is_cancelled_where_the_file_says_so(lab: Lab) -> None:
    watch = begin(lab, "concurrency: {cancel: true}", SLOW)
    change(lab, "one")
    [first] = watch.look()
    skipped = change(lab, "two", "two [skip ci]")
    assert watch.look() == [] and lab.journal.runs.cancel_request(first) is None, "nothing replaces it yet"
    commit = change(lab, "three")
    watch.look()
    watch.look()
    run, _ = lab.finish(first)
    assert run.state is RunState.CANCELLED and commit[:9] in str(lab.journal.runs.cancel_request(first))
    assert len([line for line in watch.said if "superseded" in line]) == 1
    lab.write("go", "")
    watch.drain()
    assert watch.delivered()[1:] == [commit] and skipped not in watch.delivered()


def test_every_and_cancel_contradict_each_other(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="no commit is superseded"):
        lab.pipeline(STEPS, extra="concurrency: {commits: every, cancel: true}")


@pytest.mark.parametrize("word", ["[skip ci]", "[CI SKIP]", "[no ci]", "[ci-skip]", "[actions skip]", "***NO_CI***"])
def test_words_that_ask_for_no_run(word: str) -> None:
    assert skip_words(f"a subject\n\nmore {word} words") == word


def test_other_words_ask_for_nothing() -> None:
    assert skip_words("x\n\nskip-checks: true\n") == "skip-checks: true"
    assert not any(map(skip_words, ("skip ci", "do not skip-checks: true", "[skip]", "NO_CI", "")))


def test_a_commit_that_asks_for_no_run_gets_none_and_that_is_said(lab: Lab) -> None:
    watch = begin(lab, "concurrency: every")
    one, two = change(lab, "one", "words [skip ci]"), change(lab, "two")
    watch.drain()
    assert watch.delivered() == [two]
    assert any(one[:9] in line and "[skip ci], not run" in line for line in watch.said)
    assert [(action, target) for action, target, _ in actions(lab)] == [("push skipped", one)]


def test_a_force_push_that_comes_back_to_a_delivered_commit_runs_nothing(lab: Lab) -> None:
    watch = begin(lab)
    one = change(lab, "one")
    watch.drain()
    two = change(lab, "two")
    watch.drain()
    lab.git("reset", "-q", "--hard", one)
    watch.drain()
    assert watch.delivered() == [one, two]
    assert any("has delivered it already (succeeded), not run" in line and "--commit" in line for line in watch.said)
    lab.git("reset", "-q", "--hard", two)
    watch.drain()
    assert watch.delivered() == [one, two]
    # A person's run is none of the branch's: the trigger still knows that it has delivered.
    by_hand, _ = lab.run(commit=one)
    assert (by_hand.state, by_hand.trigger) == (RunState.SUCCEEDED, Trigger.PERSON)


KILLED = """
import os, signal, sys
from pathlib import Path
from podium.core.config import load
from podium.core.engine import submit, start
from podium.core.engine.run import checkout
from podium.core.journal import Journal
from podium.core.journal.audit import Audit
from podium.core.journal.runs import Runs
from podium.core.journal.values import Values
from podium.core.triggers.pushes import Pushes

def die(*_args, **_more):
    os.kill(os.getpid(), signal.SIGKILL)

def after(work):
    def both(*args, **more):
        work(*args, **more)
        die()
    return both

os.environ["PODIUM_SPAWN"] = "1"
home, point = Path(sys.argv[1]), sys.argv[2]
project = load(home)
with Journal.open(home / ".podium" / "journal.db") as journal:
    if point == "before the run is written":
        Runs.create = die
    elif point == "between the run and the note":
        Values.set = die
    elif point == "before both are there":
        Values.set = after(Values.set)
    elif point == "before the commit is kept":
        submit.keep_commit = die
    elif point == "before the worker starts":
        submit.start_worker = die
    elif point == "before the worker is noted":
        Runs.offer_worker = die
    Pushes(journal, print).look(project, rung=True)
    die()
"""
POINTS = [
    "before the run is written",
    "between the run and the note",
    "before both are there",
    "before the commit is kept",
    "before the worker starts",
    "before the worker is noted",
    "at the end",
]


@pytest.mark.parametrize("point", POINTS)
def test_an_agent_that_is_killed_anywhere_has_each_commit_run_exactly_once(lab: Lab, point: str) -> None:
    watch = begin(lab)
    commit = change(lab, "one")
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(lab.home), point], timeout=scaled(60), capture_output=True, text=True
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    watch.pushes = Pushes(lab.journal, watch.said.append)
    watch.drain()
    [run] = lab.journal.runs.page()
    assert (run.commit, run.state) == (commit, RunState.SUCCEEDED), (run, lab.worker_log(run.id))
    assert lab.log(run.id, "show") == "one"
    assert [e.action for e in lab.journal.audit.page(50)].count("run") == 1


def test_a_run_that_recovery_found_first_is_started_all_the_same(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = begin(lab)
    change(lab, "one")
    monkeypatch.setattr("podium.core.engine.submit.start_worker", _killed)
    with pytest.raises(KeyboardInterrupt):
        watch.look()
    monkeypatch.undo()
    [run] = lab.journal.runs.page()
    lab.journal.runs.set_state(run.id, RunState.INTERRUPTED, message="its worker never reported for duty")
    watch.drain()
    assert [each.state for each in lab.journal.runs.page()] == [RunState.SUCCEEDED]


def _killed(*_args: object) -> int:
    raise KeyboardInterrupt


def kept(lab: Lab) -> list[str]:
    return lab.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/podium").splitlines()


def test_the_commit_of_a_waiting_run_survives_a_force_push_and_a_collection(lab: Lab) -> None:
    watch = begin(lab, steps='show: {run: "cat word.txt", approval: required}')
    first = lab.git("rev-parse", "HEAD")
    commit = change(lab, "one")
    [run] = watch.look()
    lab.transport(run, RunState.WAITING)
    assert kept(lab) == [f"refs/podium/runs/{run} {commit}"]
    # Even without its worktree, which a person may remove.
    lab.git("worktree", "remove", "--force", str(lab.home / ".podium" / "worktrees" / str(run)))
    lab.git("reset", "-q", "--hard", first)
    lab.git("reflog", "expire", "--expire=now", "--all")
    lab.git("gc", "-q", "--prune=now")
    assert lab.git("cat-file", "-t", commit) == "commit"
    release_ended(lab.home, lab.journal)
    assert len(kept(lab)) == 1, "it waits"
    os.kill(lab.journal.runs.get(run).worker_pid or 0, signal.SIGTERM)
    lab.finish(run)
    wait_until(lambda: not kept(lab), what="the commit is released")
    lab.git("gc", "-q", "--prune=now")
    with pytest.raises(subprocess.CalledProcessError):
        lab.git("cat-file", "-t", commit)


def test_what_a_killed_worker_kept_is_released_once_its_run_is_over(lab: Lab) -> None:
    watch = begin(lab, steps=SLOW)
    change(lab, "one")
    [run] = watch.look()
    lab.transport(run, RunState.RUNNING)
    lab.kill_worker(run)
    lab.journal.runs.set_state(run, RunState.INTERRUPTED)
    release_ended(lab.home, lab.journal)
    assert len(kept(lab)) == 1, "it may go on"
    lab.journal.runs.set_state(run, RunState.CANCELLED)
    lab.git("update-ref", "refs/podium/runs/999", "HEAD")
    release_ended(lab.home, lab.journal)
    assert not kept(lab)
