"""Runs of pushed commits, in worktrees of their own, and what hand-started runs note of the commit."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState, StepState, Trigger
from podium.core.engine import paths
from podium.core.engine.submit import resume
from podium.core.errors import NotFound
from podium.core.retention.runs import worktrees
from podium.core.retention.scene import Scene

from tests.engine.lab import Lab, wait_for_file
from tests.support import wait_until

STEPS = """
data: {run: "mkdir -p data; cp source.txt data/", inputs: [source.txt], outputs: [data/]}
show: {run: "cat data/source.txt; pwd; echo $PODIUM_COMMIT; echo $PODIUM_HOME", needs: [data]}
"""


@pytest.fixture
def repository(lab: Lab) -> Lab:
    lab.write(".gitignore", ".podium/\ndata/\n")
    lab.write("source.txt", "one\n")
    lab.pipeline(STEPS)
    lab.git("init", "-q", "-b", "main")
    lab.commit("first")
    return lab


def test_a_pushed_commit_has_files_of_its_own(repository: Lab) -> None:
    lab = repository
    first = lab.git("rev-parse", "HEAD")
    lab.write("source.txt", "not committed\n")
    run = lab.start(commit="HEAD", branch="main", trigger=Trigger.PUSH)
    assert run.commit == first
    run, _steps = lab.finish(run.id)
    assert run.state is RunState.SUCCEEDED, (run.message, lab.worker_log(run.id))
    worktree = paths.worktree(lab.home / ".podium", run.id)
    assert lab.log(run.id, "show").split("\n") == ["one", str(worktree), first, str(lab.home)]
    assert (run.commit, run.branch, run.dirty, run.workspace) == (first, "main", False, str(worktree))
    assert (lab.home / "source.txt").read_text() == "not committed\n"
    assert not (lab.home / "data").exists()
    wait_until(lambda: not worktree.exists())
    assert "worktrees" not in lab.git("worktree", "list")


def test_commits_share_the_cache_and_run_at_the_same_time(repository: Lab) -> None:
    lab = repository
    first, _ = lab.run(commit="HEAD")
    lab.write("README", "more\n")
    lab.commit("second")
    second, steps = lab.run(commit="HEAD")
    assert steps["data"].cached
    assert steps["data"].origin == first.id
    assert lab.log(second.id, "show").startswith("one\n")
    one, two = lab.start(commit="HEAD"), lab.start(commit="HEAD~1")
    assert lab.finish(one.id)[0].state is RunState.SUCCEEDED
    assert lab.finish(two.id)[0].state is RunState.SUCCEEDED


def test_a_condition_sees_the_defaults_of_the_commits_parameters(repository: Lab) -> None:
    lab = repository
    lab.pipeline(
        'a: {run: "echo here", when: "params.n == 1"}\nb: {run: "true", when: "params.n == 2"}',
        extra='params: {n: "1"}',
    )
    lab.commit("conditions")
    run, steps = lab.run(commit="HEAD")
    assert run.state is RunState.SUCCEEDED, steps
    assert (steps["a"].state, steps["b"].state) == (StepState.SUCCEEDED, StepState.SKIPPED)


def test_the_pipeline_is_the_one_of_the_commit(repository: Lab) -> None:
    lab = repository
    old = lab.git("rev-parse", "HEAD")
    lab.pipeline('other: {run: "true"}')
    run, steps = lab.run(commit=old)
    assert set(steps) == {"data", "show"}
    lab.write("podium.yaml", "project: [")
    lab.git("commit", "-qam", "broken")
    broken = lab.git("rev-parse", "HEAD")
    lab.pipeline(STEPS)
    run, steps = lab.run(commit=broken)
    assert run.state is RunState.FAILED
    assert "podium.yaml" in run.message
    assert steps == {}


def test_a_commit_without_a_project(repository: Lab) -> None:
    lab = repository
    lab.git("rm", "-q", "--cached", "podium.yaml")
    lab.git("commit", "-qm", "gone")
    run, _ = lab.run(commit="HEAD")
    assert run.state is RunState.FAILED
    assert "has no podium.yaml" in run.message


def test_an_unknown_commit_is_refused(repository: Lab) -> None:
    with pytest.raises(NotFound, match="no commit 'nothing'"):
        repository.start(commit="nothing")
    assert repository.journal.runs.count() == 0


def test_a_failed_run_keeps_its_worktree_and_resumes_in_it(repository: Lab) -> None:
    lab = repository
    lab.pipeline('a: {run: "echo a >> trace"}\nb: {run: "echo b >> trace; test -e fixed", needs: [a]}')
    lab.commit("fails")
    run, _ = lab.run(commit="HEAD")
    assert run.state is RunState.FAILED
    worktree = Path(run.workspace)
    (worktree / "fixed").touch()
    resume(lab.project, lab.journal, run.id, "anna")
    seen = wait_until(lambda: (worktree / "trace").read_text() if worktree.exists() else "gone")
    run, _ = lab.finish(run.id)
    assert run.state is RunState.SUCCEEDED
    assert seen in ("a\nb\n", "a\nb\nb\n", "gone")
    wait_until(lambda: not worktree.exists())


@pytest.mark.parametrize("outputs", ["", ", outputs: [made]"])
def test_a_failed_run_whose_worktree_was_pruned_makes_again_what_later_steps_read(
    repository: Lab, outputs: str
) -> None:
    lab = repository
    lab.pipeline(f'a: {{run: "echo x > made"{outputs}}}\nb: {{run: "cat made; test -e {lab.home}/fixed", needs: [a]}}')
    lab.commit("fails")
    run, _ = lab.run(commit="HEAD")
    assert run.state is RunState.FAILED
    scene = Scene(lab.project, lab.journal, time.time() + 15 * 86_400)
    assert [item.remove() for item in worktrees(scene)] == [1] and not Path(run.workspace).exists()
    assert "worktrees" not in lab.git("worktree", "list")
    lab.write("fixed", "")
    resume(lab.project, lab.journal, run.id, "anna")
    run, _ = lab.finish(run.id)
    assert run.state is RunState.SUCCEEDED, run.message


def test_a_killed_worker_of_a_commit_resumes(repository: Lab) -> None:
    lab = repository
    lab.pipeline('a: {run: "echo $$ > pid; test -e quick || sleep 60"}')
    lab.commit("slow")
    run = lab.start(commit="HEAD")
    worktree = paths.worktree(lab.home / ".podium", run.id)
    wait_for_file(worktree / "pid")
    lab.kill_worker(run.id)
    (worktree / "quick").touch()
    resume(lab.project, lab.journal, run.id, "anna")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED


def test_a_project_below_the_top_of_its_repository(tmp_path: Path) -> None:
    top = Lab(tmp_path / "mono")
    lab = Lab(tmp_path / "mono/models/flights")
    try:
        top.git("init", "-q", "-b", "main")
        top.write(".gitignore", ".podium/\n")
        lab.pipeline('a: {run: "pwd"}')
        top.commit("first")
        run, _ = lab.run(commit="HEAD")
        assert run.state is RunState.SUCCEEDED, run.message
        assert lab.log(run.id, "a") == str(paths.worktree(lab.home / ".podium", run.id) / "models/flights")
    finally:
        lab.close()
        top.close()


def test_a_run_by_hand_notes_the_commit_and_whether_it_differs(repository: Lab) -> None:
    lab = repository
    lab.pipeline('a: {run: "echo $MLFLOW_RUN_CONTEXT"}')
    lab.commit("second")
    run, _ = lab.run()
    assert (run.commit, run.branch, run.dirty) == (lab.git("rev-parse", "HEAD"), "main", False)
    lab.write("source.txt", "changed\n")
    run, _ = lab.run()
    assert run.dirty
    tags = json.loads(lab.log(run.id, "a"))
    assert (tags["podium.commit"], tags["podium.dirty"]) == (run.commit, "true")


def test_submodules_that_are_not_here_are_told(repository: Lab, tmp_path: Path) -> None:
    """Their directories are empty: a training that fails for it is not the commit's fault."""
    inner = tmp_path / "inner"
    shutil.copytree(repository.home / ".git", inner / ".git")
    repository.git("-C", str(inner), "reset", "-q", "--hard")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "lib")
    repository.commit("a submodule")
    repository.git("submodule", "deinit", "-q", "-f", "lib")
    shutil.rmtree(repository.home / ".git/modules")
    run, _ = repository.run(commit="HEAD")
    assert run.state is RunState.SUCCEEDED, repository.worker_log(run.id)
    told = "submodules are not here, so they are empty: lib; git submodule update --init --recursive"
    assert told in repository.worker_log(run.id)
