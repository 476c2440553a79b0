"""Steps in containers that misbehave, are ended, or lose their worker: nothing strays, nothing is lost, and what
happened is said."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from podium.core.cockpit import Cockpit
from podium.core.containers import Engine
from podium.core.domain.runs import RunState, StepState
from podium.core.engine.executors.container import orphans
from podium.core.engine.recovery import recover
from podium.core.engine.submit import cancel, resume

from tests.engine.executors.step_lab import StepLab
from tests.engine.lab import wait_for_file, wait_gone
from tests.servers.pausing import pause
from tests.support import wait_until


@pytest.fixture
def lab(tmp_path: Path, engine: Engine) -> Iterator[StepLab]:
    lab = StepLab(tmp_path / "project", engine)
    yield lab
    lab.close()


def child_of(lab: StepLab, run_id: int) -> int:
    """The process that looks after the container."""
    worker = lab.journal.runs.get(run_id).worker_pid
    assert worker is not None
    return wait_until(
        lambda: next(
            (
                one.pid
                for one in psutil.Process(worker).children()
                if "podium.core.engine.executors.container.supervisor" in one.cmdline()
            ),
            0,
        )
    )


# Endings


def test_out_of_memory_is_told_apart_from_a_kill(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f"""
greedy: {{image: "{shell_image}", memory: 16m, run: "head -c 200000000 /dev/zero | tail"}}
killed: {{image: "{shell_image}", memory: 64m, run: "kill -KILL $$"}}
""")
    _, steps = lab.run()
    assert (
        steps["greedy"].message
        == "out of memory: the container needed more than its limit of 16 MiB (exit code 137)\nraise `memory` of the"
        " step, or have it use less"
    )
    assert steps["greedy"].exit_code == 137
    assert steps["killed"].message.startswith("killed (exit code 137), but not for want of memory")


def test_cancel_gives_the_command_time_to_clean_up(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f"""
a: {{image: "{shell_image}", run: "sh -c 'trap \\"sleep 0.5; echo cleaned >cleaned; exit 0\\" TERM; echo ready; while :; do sleep 0.05; done'; echo after"}}
""")
    run = lab.start()
    lab.wait_for_log(run.id, "a", "ready")
    cancel(lab.journal, run.id, "tester")
    found, steps = lab.finish(run.id)
    assert found.state is RunState.CANCELLED
    assert steps["a"].state is StepState.CANCELLED
    assert (lab.home / "cleaned").read_text() == "cleaned\n"
    assert "killed" not in lab.log(run.id, "a", "p")
    assert lab.containers() == []


def test_who_ignores_being_told_to_end_is_killed(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "trap \'\' TERM; echo ready; while :; do sleep 1; done"}}')
    run = lab.start()
    lab.wait_for_log(run.id, "a", "ready")
    cancel(lab.journal, run.id, "tester")
    found, _ = lab.finish(run.id)
    assert found.state is RunState.CANCELLED
    assert "still running after 5 s: killed" in lab.log(run.id, "a", "p")
    assert lab.containers() == []


def test_a_step_that_takes_too_long_is_ended_and_its_container_kept(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "echo ready; sleep 60", timeout: 5s}}')
    run, steps = lab.run()
    assert run.state is RunState.FAILED
    assert steps["a"].message.startswith("timed out after 5 s")
    assert [each["State"] for each in lab.containers()] == ["exited"]


def test_what_the_command_leaves_running_is_told_to_end(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(
        f'a: {{image: "{shell_image}", run: "sh -c \'trap \\"echo told >told; exit\\" TERM; while :; do sleep 0.05;'
        " done' & echo started\"}"
    )
    run, _ = lab.run()
    assert run.state is RunState.SUCCEEDED
    assert "left processes running" in lab.log(run.id, "a")
    assert (lab.home / "told").read_text() == "told\n"


def test_cancelling_while_the_image_is_fetched(lab: StepLab) -> None:
    """A registry that never answers: a socket that listens and says nothing."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        lab.pipeline(f'a: {{image: "127.0.0.1:{silent.getsockname()[1]}/nothing:1", run: "true"}}')
        run = lab.start()
        lab.wait_for_log(run.id, "a", "pulling 127.0.0.1")
        cancel(lab.journal, run.id, "tester")
        found, _ = lab.finish(run.id, timeout=5)
        assert found.state is RunState.CANCELLED


def test_an_image_that_nobody_has(lab: StepLab, engine: Engine) -> None:
    lab.pipeline('a: {image: "127.0.0.1:9/no/such:1", run: "true", retries: 0}')
    _, steps = lab.run()
    assert steps["a"].message.startswith("pulling 127.0.0.1:9/no/such:1: the engine cannot reach the registry: ")
    assert "check that the registry is running" in steps["a"].message


def test_an_image_without_a_shell(lab: StepLab, engine: Engine) -> None:
    lab.write("bare/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    lab.pipeline('a: {build: bare, run: "true"}')
    _, steps = lab.run()
    assert "the image has no /bin/sh" in steps["a"].message
    assert lab.containers() == []


# Output


def test_a_lot_of_output_arrives_whole(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "seq 1 400000; seq 1 100000 >&2"}}')
    run, _ = lab.run(timeout=60)
    assert run.state is RunState.SUCCEEDED
    lines = lab.log(run.id, "a", "o").splitlines()[1:]
    assert (len(lines), lines[0], lines[-1]) == (400_000, "1", "400000")
    assert lab.log(run.id, "a", "e").splitlines()[-1] == "100000"


def test_output_without_an_end_and_with_escapes_is_as_with_processes(lab: StepLab, shell_image: str) -> None:
    command = "printf 'no end \\033[31mred\\033[0m \\377'"
    lab.pipeline(f"""
a: {{image: "{shell_image}", run: "{command.replace(chr(92), chr(92) * 2)}"}}
b: {{run: "{command.replace(chr(92), chr(92) * 2)}"}}
""")
    run, _ = lab.run()
    assert lab.log(run.id, "a").splitlines()[1:] == lab.log(run.id, "b").splitlines()


def test_output_is_there_while_it_runs(lab: StepLab, shell_image: str) -> None:
    waiting = "while test ! -e {}; do sleep 0.05; done"
    lab.pipeline(
        f'a: {{image: "{shell_image}", run: "echo one; {waiting.format("two")}; echo two; {waiting.format("three")}"}}'
    )
    run = lab.start()
    lab.wait_for_log(run.id, "a", "one")
    lab.write("two", "")
    lab.wait_for_log(run.id, "a", "two")
    lab.write("three", "")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED


# Workers that die

COUNTING = (
    "i=0; while test ! -e go; do i=$((i+1)); echo line $i; echo line $i >&2; sleep 0.02; done; echo $i >count; echo"
    " the end"
)


def counted(lab: StepLab, run_id: int, stream: str) -> list[str]:
    return [line for line in lab.log(run_id, "a", stream).splitlines() if not line.startswith("container ")]


def test_a_container_whose_worker_was_killed_is_taken_over(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "{COUNTING}"}}')
    run = lab.start()
    lab.wait_for_log(run.id, "a", "line 5")
    container, child = lab.running(), child_of(lab, run.id)
    lab.kill_worker(run.id)
    wait_gone(child)
    assert recover(lab.journal) == [run.id]
    assert lab.running() == container
    time.sleep(0.3)
    resume(lab.project, lab.journal, run.id, "tester")
    lab.wait_for_log(run.id, "a", "is taken over")
    lab.write("go", "")
    found, steps = lab.finish(run.id)
    assert found.state is RunState.SUCCEEDED
    count = int((lab.home / "count").read_text())
    assert counted(lab, run.id, "o") == [
        *(f"line {number}" for number in range(1, count + 1)),
        "the end",
    ], "no line twice, none missing"
    assert counted(lab, run.id, "e") == [f"line {number}" for number in range(1, count + 1)]
    assert steps["a"].exit_code == 0
    assert lab.containers() == []


def test_a_whole_tree_that_was_killed_leaves_a_container_that_has_ended_meanwhile(
    lab: StepLab, shell_image: str
) -> None:
    lab.pipeline(
        f'a: {{image: "{shell_image}", run: "echo begun; while test ! -e go; do sleep 0.05; done; echo the end; exit'
        ' 7"}'
    )
    run = lab.start()
    lab.wait_for_log(run.id, "a", "begun")
    child = child_of(lab, run.id)
    os.kill(child, signal.SIGSTOP)
    lab.kill_worker(run.id)
    os.kill(child, signal.SIGKILL)
    wait_gone(child)
    lab.write("go", "")
    wait_until(lambda: lab.containers()[0]["State"] == "exited", what="the container has ended")
    recover(lab.journal)
    resume(lab.project, lab.journal, run.id, "tester")
    found, steps = lab.finish(run.id)
    assert found.state is RunState.FAILED
    assert steps["a"].exit_code == 7
    assert counted(lab, run.id, "o") == ["begun", "the end"]


def test_a_container_that_would_do_something_else_now_is_removed(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "echo old >>trace; sleep 60"}}')
    run = lab.start()
    wait_for_file(lab.home / "trace")
    container = lab.running()
    lab.kill_worker(run.id)
    recover(lab.journal)
    lab.pipeline(f'a: {{image: "{shell_image}", run: "echo new >>trace"}}')
    resume(lab.project, lab.journal, run.id, "tester")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED
    assert (lab.home / "trace").read_text() == "old\nnew\n"
    assert container not in {each["Id"] for each in lab.containers()}


def test_a_failed_step_is_done_again_and_its_old_container_goes(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "test -e good", retries: 1, backoff: 0.1s}}')
    run, steps = lab.run()
    assert steps["a"].attempt == 2
    (kept,) = lab.containers()
    assert kept["Id"] == steps["a"].results["container"]
    assert kept["Names"][0].endswith("-failed")
    lab.write("good", "")
    resume(lab.project, lab.journal, run.id, "tester")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED
    assert lab.containers() == []


def test_a_child_that_was_killed_fails_the_step_and_its_container_goes_with_the_next_attempt(
    lab: StepLab, shell_image: str
) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "echo $$ >>pids; while test ! -e go; do sleep 0.05; done"}}')
    run = lab.start()
    wait_for_file(lab.home / "pids")
    os.kill(child_of(lab, run.id), signal.SIGKILL)
    _, steps = lab.finish(run.id)
    assert steps["a"].message == "ended by signal 9 (SIGKILL)"
    lab.write("go", "")
    resume(lab.project, lab.journal, run.id, "tester")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED
    assert lab.containers() == []


def test_an_interrupted_run_can_be_given_up_with_its_container(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "echo begun; sleep 60"}}\nb: {{run: "true", needs: [a]}}')
    run = lab.start()
    lab.wait_for_log(run.id, "a", "begun")
    lab.kill_worker(run.id)
    cockpit = Cockpit(lab.home)
    assert cockpit.runs.recover() == [run.id]
    assert lab.running()
    cockpit.runs.cancel(run.id, why="not needed")
    found = cockpit.runs.get(run.id)
    assert found.run.state is RunState.CANCELLED
    assert {step.state for step in found.steps} == {StepState.CANCELLED}
    wait_until(lambda: not lab.containers(), what="its container is gone")


def test_a_resumed_run_that_has_no_use_for_the_container_has_it_removed(lab: StepLab, shell_image: str) -> None:
    """Another run has done the same meanwhile: the step is restored, and what the killed worker had begun goes."""
    lab.write("in.txt", "7")
    waiting = "while test ! -e go; do sleep 0.05; done; cp in.txt out.txt"
    lab.pipeline(f'a: {{image: "{shell_image}", run: "echo begun; {waiting}", inputs: [in.txt], outputs: [out.txt]}}')
    run = lab.start()
    lab.wait_for_log(run.id, "a", "begun")
    container = lab.running()
    pause(lab.engine.api, container)
    lab.kill_worker(run.id)
    recover(lab.journal)
    lab.write("go", "")
    assert lab.run()[0].state is RunState.SUCCEEDED
    resume(lab.project, lab.journal, run.id, "tester")
    _, steps = lab.finish(run.id)
    assert steps["a"].cached
    wait_until(lambda: not lab.containers(), what="the paused container is gone")


def test_what_is_kept_has_bounds(lab: StepLab, shell_image: str) -> None:
    cells = ", ".join(map(str, range(orphans.MAX_KEPT + 2)))
    lab.pipeline(
        f'a: {{image: "{shell_image}", network: false, matrix: {{n: [{cells}]}}, fail_fast: false, run: "exit 1"}}'
    )
    run, _ = lab.run(jobs=4, timeout=60)
    assert run.state is RunState.FAILED
    assert len(lab.containers()) == orphans.MAX_KEPT
