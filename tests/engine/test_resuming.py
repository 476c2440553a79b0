"""Resumed runs find what they left, or make it again; a run keeps what it made although it is killed."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from podium.core.domain.engines.shells import LocalShell
from podium.core.domain.runs import RunState
from podium.core.engine import paths
from podium.core.engine.shell import shell
from podium.core.engine.submit import resume

from tests.engine.lab import Lab, running, wait_for_file
from tests.support import wait_until

SHARED = """
data: {run: "mkdir -p data; echo ${{ params.until }} > data/d", outputs: [data/]}
train: {run: "cat data/d; test -e may-train", needs: [data]}
"""


def test_what_another_run_left_in_the_working_tree_is_not_trained_on(lab: Lab) -> None:
    lab.pipeline(SHARED, extra='params: {until: "0"}')
    first, _ = lab.run(params={"until": "1"})
    second, _ = lab.run(params={"until": "2"})
    assert (first.state, second.state) == (RunState.FAILED, RunState.FAILED)
    lab.write("may-train", "")
    resume(lab.project, lab.journal, first.id, "anna")
    run, steps = lab.finish(first.id)
    assert run.state is RunState.SUCCEEDED
    assert lab.log(run.id, "train").split("\n")[-1] == "1", "its own data, from the cache"
    assert steps["data"].cached


def test_a_resumed_run_of_another_commit_is_dirty(lab: Lab) -> None:
    lab.write(".gitignore", ".podium/\nmay-go-on\n")
    lab.pipeline('a: {run: "echo 1 > out", outputs: [out]}\nb: {run: "test -e may-go-on", needs: [a]}')
    lab.git("init", "-q", "-b", "main")
    first = lab.commit("first")
    run, _ = lab.run()
    assert (run.commit, run.dirty) == (first, False)
    lab.write("more.txt", "")
    lab.commit("second")
    lab.write("may-go-on", "")
    resume(lab.project, lab.journal, run.id, "anna")
    run, _ = lab.finish(run.id)
    assert (run.state, run.commit, run.dirty) == (RunState.SUCCEEDED, first, True)


def test_a_fresh_run_that_resumes_does_again_only_what_it_had_not_done(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo a >> trace; echo 1 > out", outputs: [out]}\nb: {run: "test -e may-go-on", needs: [a]}')
    lab.run()
    run, _ = lab.run(fresh=True)
    assert (lab.home / "trace").read_text() == "a\na\n"
    lab.write("may-go-on", "")
    resume(lab.project, lab.journal, run.id, "anna")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED
    assert (lab.home / "trace").read_text() == "a\na\n"


def test_what_a_long_step_made_is_kept_although_its_worker_is_killed(lab: Lab) -> None:
    lab.pipeline(
        'a: {run: "sleep 0.6; echo a >> trace; echo 1 > out", outputs: [out]}\nb: {run: "echo $$ > pid; sleep 60",'
        " needs: [a]}"
    )
    run = lab.start()
    wait_for_file(lab.home / "pid")
    lab.kill_worker(run.id)
    _, steps = lab.run(lab.pipeline('a: {run: "sleep 0.6; echo a >> trace; echo 1 > out", outputs: [out]}'))
    assert steps["a"].cached and (lab.home / "trace").read_text() == "a\n"


def test_half_a_checked_out_commit_is_checked_out_again(lab: Lab) -> None:
    lab.write(".gitignore", ".podium/\n")
    lab.write("here", "")
    lab.pipeline('a: {run: "ls; echo $$ > pid; test -e quick || sleep 60"}')
    lab.git("init", "-q", "-b", "main")
    lab.commit("first")
    run = lab.start(commit="HEAD")
    top = paths.worktree(lab.home / ".podium", run.id)
    wait_for_file(top / "pid")
    lab.kill_worker(run.id)
    # As a worker leaves it that is killed while git writes files: some are there, and nothing says that all are.
    (top / "here").unlink()
    paths.checked_out_marker(lab.home / ".podium", run.id).unlink()
    resume(lab.project, lab.journal, run.id, "anna")
    wait_until(lambda: (top / "here").exists() and (top / "pid").exists(), 20, what="the step runs in a whole one")
    lab.kill_worker(run.id)
    (top / "quick").touch()
    resume(lab.project, lab.journal, run.id, "anna")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED


def test_a_shell_in_which_somebody_looks_at_a_step_outlives_a_resume(lab: Lab) -> None:
    lab.pipeline('a: {run: "test -e may-go-on"}')
    run, _ = lab.run()
    session = shell(lab.project, lab.journal, run.id, "a")
    assert isinstance(session, LocalShell)
    pid = os.spawnve(os.P_NOWAIT, "/bin/sleep", ["sleep", "60"], dict(session.env))
    try:
        lab.write("may-go-on", "")
        resume(lab.project, lab.journal, run.id, "anna")
        assert lab.finish(run.id)[0].state is RunState.SUCCEEDED
        assert running(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_an_experiment_that_a_script_makes_keeps_its_artifacts(lab: Lab) -> None:
    """Not in the worktree, which goes when the run has succeeded."""
    lab.write(".gitignore", ".podium/\n")
    lab.write("train.py", 'import mlflow\nwith mlflow.start_run():\n    mlflow.log_text("trained", "model.txt")\n')
    lab.pipeline('train: {run: "python train.py"}')
    lab.git("init", "-q", "-b", "main")
    lab.commit("first")
    run, _ = lab.run(commit="HEAD", timeout=90)
    assert run.state is RunState.SUCCEEDED, lab.log(run.id, "train")
    wait_until(lambda: not paths.worktree(lab.home / ".podium", run.id).exists())
    (kept,) = (lab.home / ".podium/mlflow/artifacts").rglob("model.txt")
    assert kept.read_text() == "trained"


def test_names_and_words_that_are_not_utf_8(lab: Lab) -> None:
    odd = Path(os.fsdecode(b"raw/caf\xe9.csv"))
    (lab.home / "raw").mkdir()
    (lab.home / odd).write_text("1\n")
    os.utime(lab.home / odd, (1, 1))  # long ago, so that its hash is remembered
    lab.pipeline('a: {run: "cp -r raw out", inputs: [raw/], outputs: [out/]}')
    run, steps = lab.run(why=os.fsdecode(b"caf\xe9"))
    assert run.state is RunState.SUCCEEDED, (run.message, steps)
    assert run.why == "caf?"
    shutil.rmtree(lab.home / "out")
    assert lab.run()[1]["a"].cached
    assert (lab.home / os.fsdecode(b"out/caf\xe9.csv")).read_text() == "1\n"
