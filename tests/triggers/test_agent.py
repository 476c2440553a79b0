"""The agent as a process of its own: what it starts, what it survives, and that there is only one."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from podium.core.child import run_main
from podium.core.domain.runs import Run, RunState, Trigger
from podium.core.errors import Refused, RunFailed
from podium.core.identity.machine import Machine
from podium.core.identity.processes import started_at
from podium.core.triggers import agent, daemon

from tests.engine.lab import Lab, running, wait_gone
from tests.runner.scale import scaled
from tests.support import wait_until

STEPS = 'show: {run: "cat word.txt"}'
ON = "on: {push: main}"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "my project")
    lab.write(".gitignore", ".podium/\n")
    lab.write("word.txt", "one\n")
    lab.pipeline(STEPS, extra=ON)
    lab.git("init", "-q", "-b", "main")
    lab.commit("first")
    yield lab
    daemon.stop(lab.journal)
    lab.close()


def start(lab: Lab) -> int:
    status = daemon.start(lab.project, lab.journal)
    assert status.pid
    wait_until(lambda: lab.journal.values.get("push:main:main"), what="the agent has looked at the branch")
    return status.pid


def pushed(lab: Lab, commit: str) -> Run:
    return wait_until(
        lambda: next((run for run in lab.journal.runs.page() if run.commit == commit), None), what="the push is noticed"
    )


def said(lab: Lab) -> str:
    return (lab.home / ".podium" / "agent.log").read_text()


def test_what_servers_and_files_say_is_one_line_that_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A log is looked at with `cat`, and `podium watch` writes on a terminal. A line without a time would also be taken
    for what an agent says of its end."""
    agent.print_line("pushes: a\x1b]0;pwned\x07\x1b[2J\x9b2Jb\rc\nd\u202e")
    printed = capsys.readouterr().out
    assert re.fullmatch(r"\S{20} pushes: ab c d\n", printed), printed

    def refuse() -> None:
        raise Refused("a\x1b[2Jb", hint="c\x1b]0;pwned\x07d")

    assert run_main(refuse, agent.cleaned_lines) == Refused.exit_code
    assert capsys.readouterr().err == "ab\ncd\n"


def test_a_commit_to_a_watched_branch_starts_its_pipeline(lab: Lab) -> None:
    start(lab)
    assert lab.journal.runs.page() == [], "what was there before the agent is no push"
    lab.git("checkout", "-q", "-b", "other")
    lab.write("word.txt", "elsewhere\n")
    lab.commit("on a branch that nobody watches")
    lab.git("checkout", "-q", "main")
    lab.write("word.txt", "two\n")
    commit = lab.commit("second")
    run = pushed(lab, commit)
    assert (run.trigger, run.who, run.branch) == (Trigger.PUSH, "podium watch", "main")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED
    assert lab.log(run.id, "show") == "two"
    assert len(lab.journal.runs.page()) == 1


def test_it_installs_the_hook_that_wakes_it(lab: Lab) -> None:
    own = lab.home / ".git" / "hooks" / "post-commit"
    own.parent.mkdir(exist_ok=True)
    own.write_text("#!/bin/sh\necho mine >> hooked\n")
    own.chmod(0o755)
    start(lab)
    wait_until(lambda: "agent.wake" in own.read_text(), what="the hook")
    lab.write("word.txt", "two\n")
    pushed(lab, lab.commit("second"))
    assert (lab.home / "hooked").read_text() == "mine\n", "the user's own hook goes on working"


def test_below_the_top_of_a_repository_a_commit_is_noticed_at_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "repository" / "models")
    lab.pipeline('show: {run: "true"}', extra=ON)
    lab.write(".gitignore", ".podium/\n")
    lab.git("init", "-q", "-b", "main", "..")
    lab.commit("first")
    try:
        start(lab)
        lab.write("more", "x")
        commit = lab.commit("second")
        wait_until(
            lambda: [run.commit for run in lab.journal.runs.page()] == [commit],
            5,
            what="noticed long before the ten seconds of a look",
        )
    finally:
        daemon.stop(lab.journal)
        lab.close()


def test_hooks_that_are_kept_elsewhere_are_left_alone_and_pushes_noticed_all_the_same(lab: Lab, tmp_path: Path) -> None:
    lab.git("config", "core.hooksPath", str(tmp_path / "shared"))
    start(lab)
    wait_until(lambda: "pushes are found by checking the branches" in said(lab))
    lab.write("word.txt", "two\n")
    pushed(lab, lab.commit("second"))
    assert not (tmp_path / "shared").exists()


def test_of_several_pushes_during_a_run_the_last_one_runs_next(lab: Lab) -> None:
    lab.pipeline('show: {run: "while ! test -e ' + f"'{lab.home}/go'" + '; do sleep 0.05; done"}', extra=ON)
    lab.commit("slow")
    start(lab)
    commits = []
    for word in ("two", "three", "four"):
        lab.write("word.txt", word)
        commits.append(lab.commit(word))
        if len(commits) == 1:
            first = pushed(lab, commits[0])
            lab.transport(first.id, RunState.RUNNING)
    lab.write("go", "")
    last = pushed(lab, commits[-1])
    lab.finish(last.id)
    assert [run.commit for run in lab.journal.runs.page()] == [commits[2], commits[0]]


def test_a_quarantined_commit_is_not_run(lab: Lab) -> None:
    start(lab)
    lab.write("word.txt", "bad\n")
    bad = lab.git("commit-tree", lab.git("write-tree"), "-p", "HEAD", "-m", "bad")
    lab.journal.quarantine.add(lab.project.mlflow.model, 1, bad, "anna", "it failed at night")
    lab.git("update-ref", "refs/heads/main", bad)
    wait_until(lambda: "quarantined (it failed at night), not run" in said(lab))
    assert lab.journal.runs.page() == []
    assert "push skipped" in [entry.action for entry in lab.journal.audit.page(10)]


def test_a_commit_whose_pipeline_is_broken_is_a_failed_run_and_not_tried_again(lab: Lab) -> None:
    start(lab)
    good = (lab.home / "podium.yaml").read_text()
    lab.write("podium.yaml", "project: [")
    broken = lab.commit("broken")
    run = pushed(lab, broken)
    found, _ = lab.finish(run.id)
    assert found.state is RunState.FAILED
    assert "podium.yaml" in found.message
    wait_until(lambda: "the last good one stays in force" in said(lab))
    (trouble,) = lab.journal.agent.status().troubles
    assert trouble.subject == "push to main (main)" and broken[:9] in trouble.words and "podium.yaml" in trouble.words
    lab.write("podium.yaml", good)
    assert lab.finish(pushed(lab, lab.commit("mended")).id)[0].state is RunState.SUCCEEDED
    assert lab.journal.agent.status().troubles == ()
    assert len(lab.journal.runs.page()) == 2


def test_a_broken_file_is_in_its_status_until_it_is_repaired(lab: Lab) -> None:
    start(lab)
    good = (lab.home / "podium.yaml").read_text()
    lab.write("podium.yaml", good + "pipelnes: {}\n")
    status = wait_until(lambda: (found := lab.journal.agent.status()).trouble and found, what="it says so")
    assert status.alive and re.search(r"podium\.yaml:\d+:1: pipelnes", status.trouble)
    lab.write("podium.yaml", good)
    wait_until(lambda: not lab.journal.agent.status().trouble, what="it is well again")
    wait_until(lambda: "podium.yaml has changed and was read again" in said(lab))


def test_killed_it_loses_nothing_and_the_next_one_goes_on(lab: Lab) -> None:
    lab.pipeline('show: {run: "echo begun; while ! test -e ' + f"'{lab.home}/go'" + '; do sleep 0.05; done"}', extra=ON)
    lab.commit("slow")
    pid = start(lab)
    lab.write("word.txt", "two\n")
    run = pushed(lab, lab.commit("two"))
    lab.transport(run.id, RunState.RUNNING)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not lab.journal.agent.status().alive
    lab.write("word.txt", "three\n")
    missed = lab.commit("nobody is there to notice")
    assert start(lab) != pid
    lab.write("go", "")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED, "the run had a worker of its own"
    assert lab.finish(pushed(lab, missed).id)[0].state is RunState.SUCCEEDED


def test_it_finds_a_run_whose_worker_was_killed(lab: Lab) -> None:
    start(lab)
    lab.pipeline('show: {run: "echo $$ > pid; sleep 60"}')
    run = lab.start()
    pid = int(wait_until(lambda: (lab.home / "pid").exists() and (lab.home / "pid").read_text().strip()))
    lab.kill_worker(run.id)
    lab.transport(run.id, RunState.INTERRUPTED)
    wait_gone(pid)
    wait_until(
        lambda: re.search(rf"run {run.id}: its worker is gone; .*podium resume {run.id}", said(lab)), what="it says so"
    )


def test_a_second_one_says_who_holds_the_place(lab: Lab) -> None:
    pid = start(lab)
    command = [sys.executable, "-m", "podium.cli", "-C", str(lab.home), "watch"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(30), stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"process {pid}" in done.stderr
    with pytest.raises(Refused, match=f"pid {pid}"):
        daemon.start(lab.project, lab.journal)
    assert running(pid)


@pytest.fixture
def other(lab: Lab) -> Iterator[tuple[int, float]]:
    """(pid, start time) of a process that a row of the journal may name as the agent; it ends at SIGTERM."""
    process = subprocess.Popen(["sleep", "600"])
    started = started_at(process.pid)
    assert started is not None
    yield process.pid, started
    process.kill()
    process.wait()
    lab.journal._database.run("DELETE FROM agent")


def test_it_ends_when_another_one_has_taken_its_place(lab: Lab, other: tuple[int, float]) -> None:
    pid = start(lab)
    lab.journal._database.run("UPDATE agent SET pid = ?, started = ?, who = 'ben'", other)
    try:
        wait_until(lambda: not running(pid), what="it has ended")
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        raise
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == Refused.exit_code
    assert "this process is not the project's agent any more" in said(lab)
    assert lab.journal.agent.status().pid == other[0], "the place is the other one's"


def test_one_on_another_host_is_not_ended_by_its_number(lab: Lab, other: tuple[int, float]) -> None:
    lab.journal.agent.claim(*other, "ben", machine=Machine("elsewhere", "another", "boot"))
    with pytest.raises(Refused, match="is running on elsewhere") as caught:
        daemon.stop(lab.journal)
    assert "there" in caught.value.hint and running(other[0])
    lab.journal._database.run("UPDATE agent SET heartbeat = heartbeat - 60")
    assert not daemon.stop(lab.journal) and running(other[0])


def test_one_that_hangs_is_ended_and_a_process_with_its_number_is_not(lab: Lab, other: tuple[int, float]) -> None:
    pid, started = other
    lab.journal.agent.claim(pid, started - 60.3, "ben")
    assert not daemon.stop(lab.journal) and running(pid)
    lab.journal.agent.claim(pid, started, "ben")
    lab.journal._database.run("UPDATE agent SET heartbeat = heartbeat - 60")
    assert daemon.stop(lab.journal) and not running(pid)


@contextmanager
def nobody() -> Generator[None]:
    """Inside, we are a user who may not end root's processes."""
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
def test_one_of_another_user_is_told(lab: Lab, other: tuple[int, float]) -> None:
    lab.journal.agent.claim(*other, "ben")
    with nobody(), pytest.raises(Refused, match="started by ben, and this user may not stop it"):
        daemon.stop(lab.journal)
    assert running(other[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_when_told_and_leaves_its_place(lab: Lab, number: signal.Signals) -> None:
    pid = start(lab)
    os.kill(pid, number)
    os.waitpid(pid, 0)
    assert not lab.journal.agent.status().alive
    assert said(lab).rstrip().endswith("stopped; what is deployed goes on serving")
    assert not (lab.home / ".podium" / "agent.wake").exists()
    assert not daemon.stop(lab.journal)


def test_one_that_cannot_start_says_why(lab: Lab, wrecked: Callable[[], None]) -> None:
    project = lab.project
    wrecked()
    with pytest.raises(RunFailed, match=r"ended at once \(exit code 2\)"):
        daemon.start(project, lab.journal)


@pytest.fixture
def wrecked(lab: Lab) -> Iterator[Callable[[], None]]:
    good = (lab.home / "podium.yaml").read_text()
    yield lambda: (lab.home / "podium.yaml").write_text("project: 1\nnonsense: 2\n") and None
    (lab.home / "podium.yaml").write_text(good)


def test_a_job_whose_journal_cannot_be_opened_for_a_while_goes_on_later(tmp_path: Path) -> None:
    """A disk that fails, or no descriptor left, when the agent begins: without the job that heals, nothing would be."""
    (tmp_path / "podium.yaml").write_text("project: p\n")
    file = tmp_path / ".podium/journal.db"
    file.parent.mkdir()
    file.write_bytes(b"no journal at all, and long enough to be seen to be none " * 20)
    stop, said, worked = threading.Event(), list[str](), threading.Event()
    job = agent.Job("health", 0.01, lambda project, journal: worked.set() if journal.check() == [] else None)
    thread = agent._thread(job, agent.WatchedConfiguration(tmp_path, said.append), stop, said.append)
    try:
        wait_until(lambda: said, what="the job says that it cannot")
        assert thread.is_alive() and not worked.is_set() and said[0].startswith("health: the journal")
        file.unlink()
        wait_until(worked.is_set, 20, what="the job goes on")
    finally:
        stop.set()
        thread.join(scaled(10))


def test_an_agent_that_cannot_read_what_plug_ins_there_are_does_not_end(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that has no descriptor left for it: that ends some time, and until then it heals what it can."""
    broken = tmp_path / "packages/broken-1.dist-info/entry_points.txt"
    broken.parent.mkdir(parents=True)
    broken.symlink_to(broken)  # whoever opens it gets an OSError
    monkeypatch.setenv("PYTHONPATH", str(broken.parents[1]))
    pid = start(lab)
    good = (lab.home / "podium.yaml").read_text()
    lab.write("podium.yaml", f"{good}environments: {{e: {{port: 5100, driver: nobody-has-it}}}}\n")
    wait_until(lambda: re.search(r"Z pushes: .*Too many levels of symbolic links", said(lab)), 20, what="it is told")
    broken.unlink()
    lab.pipeline(STEPS, extra=ON)
    lab.write("word.txt", "later\n")
    run = pushed(lab, lab.commit("later"))
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED and running(pid)


def test_a_directory_that_cannot_be_looked_at_is_not_one_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with agent.Place(state) as place:
        assert not place.left()
        monkeypatch.setattr(Path, "stat", lambda _self: _raise(OSError(errno.EIO, "Input/output error")))
        assert not place.left()
        monkeypatch.undo()
        state.rename(tmp_path / "elsewhere")
        assert place.left() and place.now() == tmp_path / "elsewhere"


def _raise(error: Exception) -> NoReturn:
    raise error
