"""Workers that are killed, steps that misbehave, disks and directories that refuse."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState, StepState
from podium.core.engine.recovery import recover
from podium.core.engine.submit import cancel, resume
from podium.core.journal import Journal

from tests.engine.lab import Lab, running, wait_for_file, wait_gone
from tests.runner.scale import scaled
from tests.support import wait_until

DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
"""


def test_a_killed_worker_is_noticed_and_its_run_resumed(lab: Lab) -> None:
    lab.pipeline("""
a: {run: "echo a >> done"}
b: {run: "echo $$ > pid; test -e quick || sleep 60; echo b >> done", needs: [a]}
c: {run: "echo c >> done", needs: [b]}
""")
    run = lab.start()
    pid = int(wait_for_file(lab.home / "pid"))
    wait_until(lambda: lab.steps(run.id)["b"].state is StepState.RUNNING)
    assert recover(lab.journal) == []
    lab.kill_worker(run.id)
    assert running(pid)
    assert recover(lab.journal) == [run.id]
    assert recover(lab.journal) == []
    found = lab.journal.runs.get(run.id)
    assert found.state is RunState.INTERRUPTED
    assert "is gone" in found.message
    steps = lab.steps(run.id)
    assert [steps[name].state for name in "abc"] == [StepState.SUCCEEDED, StepState.INTERRUPTED, StepState.PENDING]
    wait_gone(pid)
    lab.write("quick", "")
    resume(lab.project, lab.journal, run.id, "anna")
    found, steps = lab.finish(run.id)
    assert found.state is RunState.SUCCEEDED
    assert (lab.home / "done").read_text().split() == ["a", "b", "c"]


def test_recovery_leaves_other_peoples_processes_alone(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo $$ > pid; sleep 60"}')
    run = lab.start()
    wait_for_file(lab.home / "pid")
    bystander = subprocess.Popen(
        ["sleep", "60"], env={"PODIUM_RUN": str(run.id), "PODIUM_HOME": "/elsewhere", "PATH": os.environ["PATH"]}
    )
    try:
        lab.kill_worker(run.id)
        recover(lab.journal)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_worker_that_never_came_is_noticed(lab: Lab) -> None:
    from podium.core.domain.runs import PIPELINE, Trigger

    run = lab.journal.runs.create(
        kind=PIPELINE, name="main", trigger=Trigger.PERSON, who="x", created=time.time() - 3600
    )
    assert recover(lab.journal) == [run.id]
    assert "never reported" in lab.journal.runs.get(run.id).message


def test_a_second_worker_for_the_same_run_does_nothing(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo x >> started; while [ ! -e go ]; do sleep 0.1; done"}')
    run = lab.start()
    wait_for_file(lab.home / "started")
    command = [sys.executable, "-P", "-m", "podium.core.engine.worker", str(lab.home), str(run.id)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=scaled(20), stdin=subprocess.DEVNULL)
    assert second.returncode == 4
    assert "has a worker already" in second.stderr
    (lab.home / "go").touch()
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED
    assert (lab.home / "started").read_text().split() == ["x"]


def test_a_worker_by_hand_reads_the_project_itself(lab: Lab) -> None:
    from podium.core.domain.runs import PIPELINE, Trigger

    lab.pipeline('a: {run: "echo hello"}')
    run = lab.journal.runs.create(kind=PIPELINE, name="main", trigger=Trigger.PERSON, who="x", workspace=str(lab.home))
    command = [sys.executable, "-P", "-m", "podium.core.engine.worker", str(lab.home), str(run.id)]
    assert subprocess.run(command, timeout=scaled(20), stdin=subprocess.DEVNULL, check=False).returncode == 0
    assert lab.log(run.id, "a") == "hello"


def test_a_time_out_ends_the_whole_group(lab: Lab) -> None:
    lab.pipeline("""a: {run: "sleep 60 & echo $! > pid; wait", timeout: 300ms}""")
    run, steps = lab.run()
    assert run.state is RunState.FAILED
    assert steps["a"].message.startswith("timed out after 0.3 s")
    wait_gone(int((lab.home / "pid").read_text()))


def test_who_ignores_term_is_killed(lab: Lab) -> None:
    lab.pipeline(
        """a: {run: "trap 'echo asked' TERM; echo $$ > pid; while :; do sleep 0.2 || true; echo goes on; done", timeout: 200ms}"""
    )
    run, _steps = lab.run()
    assert run.state is RunState.FAILED
    assert "goes on" in lab.log(run.id, "a").partition("asked")[2], "it had time to end by itself"
    assert "killed" in lab.log(run.id, "a", "p")
    wait_gone(int((lab.home / "pid").read_text()))


@pytest.mark.parametrize("name", ["HUP", "INT", "TERM", "PIPE"])
def test_a_step_ignores_no_signal_whatever_its_worker_and_who_started_that_do(lab: Lab, name: str) -> None:
    """A shell cannot trap what was ignored when it started."""
    lab.pipeline(f"""a: {{run: "trap 'echo trapped' {name}; kill -{name} $$; echo after"}}""")
    before = signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)
    try:
        run, _ = lab.run()
    finally:
        signal.signal(getattr(signal, f"SIG{name}"), before)
    assert run.state is RunState.SUCCEEDED
    assert lab.log(run.id, "a").split() == ["trapped", "after"]


def test_a_second_cancel_is_harmless_and_a_step_may_clean_up(lab: Lab) -> None:
    lab.pipeline(
        """a: {run: "trap 'sleep 0.3; echo clean > cleaned; exit 1' TERM; echo > started; while :; do sleep 0.1; done"}"""
    )
    run = lab.start()
    wait_until((lab.home / "started").exists)
    cancel(lab.journal, run.id, "anna")
    cancel(lab.journal, run.id, "otto")
    found, _ = lab.finish(run.id)
    assert found.message == "cancelled by anna"
    assert (lab.home / "cleaned").read_text() == "clean\n"


@pytest.mark.parametrize("how", ["background", "daemon"])
def test_children_left_behind_are_ended_and_do_not_hold_the_step(lab: Lab, how: str) -> None:
    lab.write("daemon.py", DAEMON)
    command = (
        "sleep 100000 & echo $! > pid"
        if how == "background"
        else f"{sys.executable} daemon.py pid; while ! test -s pid; do sleep 0.01; done"
    )
    lab.pipeline(f'a: {{run: "{command}"}}\nb: {{run: "true", needs: [a]}}')
    run, _steps = lab.run()
    assert run.state is RunState.SUCCEEDED
    wait_gone(int((lab.home / "pid").read_text()))
    assert "left processes running" in lab.log(run.id, "a", "p")


def test_a_time_out_reaches_children_that_left_the_group(lab: Lab) -> None:
    lab.write("daemon.py", DAEMON)
    lab.pipeline(f'a: {{run: "{sys.executable} daemon.py pid; sleep 60", timeout: 1s}}')
    run, _ = lab.run()
    assert run.state is RunState.FAILED
    wait_gone(int((lab.home / "pid").read_text()))


def test_what_one_step_leaves_does_not_touch_a_step_beside_it(lab: Lab) -> None:
    lab.pipeline("""
leaves: {run: "(sleep 60 &) ; true"}
beside: {run: "(sleep 0.4; echo child) & sleep 0.6; echo fine"}
""")
    run, _steps = lab.run(jobs=2)
    assert run.state is RunState.SUCCEEDED
    assert lab.log(run.id, "beside").split() == ["child", "fine"]


def test_a_flood_without_line_ends_and_with_escapes(lab: Lab) -> None:
    lab.write(
        "flood.py",
        "import sys\n"
        "sys.stdout.buffer.write(b'x' * 20_000_000)\n"
        "sys.stdout.buffer.write(b'\\n\\x1b[2J\\x1b]0;title\\x07\\x00\\xff\\xfe tail')\n"
        "sys.stdout.flush()\n",
    )
    lab.pipeline(f'a: {{run: "{sys.executable} flood.py"}}\nb: {{run: "seq 1 200000"}}')
    run, _steps = lab.run()
    assert run.state is RunState.SUCCEEDED
    log = (lab.home / f".podium/runs/{run.id}/a.log").read_bytes()
    assert log.count(b"x") > 19_900_000
    assert b"\x1b[2J" in log
    assert b"tail" in log
    assert lab.log(run.id, "b").split() == [str(n) for n in range(1, 200001)]


def test_the_first_and_the_last_words_are_in_the_log(lab: Lab) -> None:
    lab.pipeline("""a: {run: "printf first; sleep 0.1; printf last >&2; kill -9 $$"}""")
    run, steps = lab.run()
    assert steps["a"].message == "ended by signal 9 (SIGKILL)\nlast"
    assert steps["a"].exit_code == -9
    assert lab.log(run.id, "a", "o") == "first"


def test_a_step_sees_no_terminal_and_no_input(lab: Lab) -> None:
    lab.pipeline("""a: {run: "cat; test ! -t 0; if (: < /dev/tty) 2>/dev/null; then exit 1; fi"}""")
    assert lab.run()[0].state is RunState.SUCCEEDED


def test_a_step_inherits_no_descriptor_of_ours(lab: Lab) -> None:
    lab.pipeline("""a: {run: "for f in /proc/$$/fd/*; do readlink $f || true; done"}""")
    run, _ = lab.run()
    assert len(lab.log(run.id, "a").splitlines()) == 3


@pytest.mark.parametrize("name", ["with space", 'it\'s "quoted"', "Grüße-日本", "$(touch owned)", "-n"])
def test_any_directory_name_will_do(tmp_path: Path, name: str) -> None:
    lab = Lab(tmp_path / name)
    try:
        lab.pipeline("""
a: {run: "mkdir -p out; pwd > out/where; echo 1 > 'out/ä b'", outputs: [out/]}
b: {run: "cat out/where", needs: [a], inputs: [out/]}
""")
        run, steps = lab.run()
        assert run.state is RunState.SUCCEEDED, (run.message, steps)
        assert lab.log(run.id, "b") == str(lab.home)
        import shutil

        shutil.rmtree(lab.home / "out")
        run, steps = lab.run()
        assert steps["a"].cached
        assert (lab.home / "out/ä b").read_text() == "1\n"
        assert not (lab.home / "owned").exists()
    finally:
        lab.close()


def test_two_runs_that_write_the_same_path_go_one_after_the_other(lab: Lab) -> None:
    lab.pipeline(
        """
a: {run: "echo in >> trace; mkdir -p out; echo ${{ params.n }} > out/x; sleep 0.5; cat out/x; echo out >> trace", outputs: [out/]}
b: {run: "cat out/x", needs: [a]}
""",
        extra='params: {n: "0"}',
    )
    first, second = lab.start(params={"n": "1"}), lab.start(params={"n": "2"})
    seen: set[str] = set()
    wait_until(
        lambda: seen.add(lab.journal.runs.get(second.id).message) or lab.journal.runs.get(second.id).state.finished, 20
    )
    wait_until(lambda: lab.journal.runs.get(first.id).state.finished, 20)
    assert (lab.home / "trace").read_text().split() == ["in", "out", "in", "out"]
    for run, value in ((first, "1"), (second, "2")):
        assert lab.journal.runs.get(run.id).state is RunState.SUCCEEDED
        assert lab.log(run.id, "b") == value
    waited = [lab.journal.runs.get(run.id) for run in (first, second)]
    assert all(run.message == "" for run in waited)


def test_two_runs_that_share_nothing_run_together(lab: Lab) -> None:
    steps = 'a: {run: "echo > here-${{ params.n }}; while ! test -e here-${{ params.other }}; do sleep 0.02; done"}'
    lab.pipeline(steps, extra='params: {n: "", other: ""}')
    first = lab.start(params={"n": "1", "other": "2"})
    second = lab.start(params={"n": "2", "other": "1"})
    assert lab.finish(first.id)[0].state is RunState.SUCCEEDED
    assert lab.finish(second.id)[0].state is RunState.SUCCEEDED


@contextlib.contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Processes that are started in here cannot make a file grow beyond `size` bytes: what a full disk looks like to
    them."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_log_that_cannot_grow_says_what_is_missing(lab: Lab) -> None:
    lab.pipeline('a: {run: "seq 1 400000; echo end"}')
    with small_disk(1_000_000):
        run = lab.start()
    run, steps = lab.finish(run.id)
    assert run.state is RunState.SUCCEEDED
    assert "is incomplete" in steps["a"].message


def test_a_journal_that_cannot_grow_ends_the_run_and_its_steps(lab: Lab) -> None:
    lab.pipeline(
        'a: {run: "echo $$ > pid; sleep 60"}\n' + "\n".join(f'b{n}: {{run: "true", needs: [a]}}' for n in range(50))
    )
    size = (lab.home / ".podium/journal.db-wal").stat().st_size
    with small_disk(size + 200_000):
        run = lab.start()
    pid = int(wait_for_file(lab.home / "pid"))
    for number in range(200):
        lab.journal.values.set(f"filler{number}", "x" * 2000)
    wait_until(lambda: recover(lab.journal) == [run.id])
    wait_gone(pid)
    found = lab.journal.runs.get(run.id)
    assert found.state is RunState.INTERRUPTED
    assert "journal" in found.message


def test_a_directory_that_cannot_be_written(lab: Lab) -> None:
    from podium.core.errors import RunFailed

    lab.pipeline('a: {run: "true"}')
    (lab.home / ".podium" / "runs").write_text("a file where a directory should be")
    with pytest.raises(RunFailed, match="worker cannot be started"):
        lab.start()
    assert [run.state for run in lab.journal.runs.page()] == [RunState.FAILED]


def test_the_worker_is_light_and_has_no_terminal(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo > started; sleep 60"}')
    run = lab.start()
    wait_until((lab.home / "started").exists)
    pid = lab.journal.runs.get(run.id).worker_pid
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    assert fields[3] == str(pid)
    assert fields[4] == "0"
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "numpy" not in maps
    heavy = ("mlflow", "docker", "textual", "pandas", "numpy", "httpx", "yaml", "psutil")
    code = f"import sys, podium.core.engine.worker; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=scaled(20)).stdout.strip()
        == "[]"
    )


def test_the_heartbeat_goes_on(lab: Lab) -> None:
    lab.pipeline('a: {run: "sleep 2.5"}')
    run = lab.start()
    beats: set[float] = set()
    wait_until(
        lambda: beats.add(lab.journal.runs.get(run.id).heartbeat or 0) or lab.journal.runs.get(run.id).state.finished,
        10,
    )
    assert len(beats) >= 3


def test_a_locked_journal_is_waited_for(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo > started; sleep 0.3"}')
    run = lab.start()
    wait_until((lab.home / "started").exists)
    with Journal.open(lab.home / ".podium/journal.db") as other, other.transaction():
        other.values.set("x", "y")
        time.sleep(1.5)
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED
