"""How a worker comes to life: by fork from a process with one thread, as a new interpreter from any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState

from tests.engine.lab import Lab, running
from tests.runner.scale import scaled
from tests.support import wait_until

STARTER = """
    import os, signal, sys, threading, time
    from pathlib import Path
    from podium.core.config import load
    from podium.core.engine.submit import submit_pipeline
    from podium.core.journal import Journal

    home = Path(sys.argv[1])
    if "thread" in sys.argv:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    journal = Journal.open(home / ".podium/journal.db")
    print("before", end=" ")
    run = submit_pipeline(load(home), journal, "main", who="starter")
    journal.values.set("after", "yes")
    print(run.id, os.getpid(), flush=True)
    if "stay" in sys.argv:
        time.sleep(60)
"""


INTERRUPTED = """
    import os, signal, sys
    from pathlib import Path
    from podium.core.config import load
    from podium.core.engine.submit import submit_pipeline
    from podium.core.journal import Journal

    def interrupt(number, frame):
        raise KeyboardInterrupt

    signal.signal(getattr(signal, sys.argv[2]), interrupt)
    forked = os.fork

    def fork():
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))
        return forked()

    os.fork = fork
    home = Path(sys.argv[1])
    journal = Journal.open(home / ".podium/journal.db")
    try:
        submit_pipeline(load(home), journal, "main", who="starter")
    except KeyboardInterrupt:
        journal.values.set("after", "yes")
"""


def start(lab: Lab, *words: str, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(STARTER), str(lab.home), *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, **env}
    )


def comm(pid: int | None) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.mark.parametrize(
    ("words", "env", "name"),
    [((), {}, "podium-worker"), (("thread",), {}, "python"), ((), {"PODIUM_SPAWN": "1"}, "python")],
)
def test_the_run_is_the_same_either_way(lab: Lab, words: tuple[str, ...], env: dict[str, str], name: str) -> None:
    wait = "echo > started; while ! test -e go; do sleep 0.02; done"
    lab.pipeline(
        f'a: {{run: "{wait}; for f in /proc/$$/fd/*; do readlink $f || true; done"}}\nb: {{run: "true", needs: [a]}}'
    )
    child = start(lab, *words, **env)
    out, _ = child.communicate(timeout=scaled(20))
    assert out.split()[0] == "before", "what was buffered is printed once"
    assert len(out.split()) == 3
    wait_until((lab.home / "started").exists)
    run = wait_until(lambda: (found := lab.journal.runs.page()[0]).worker_pid and found)
    assert comm(run.worker_pid).startswith(name)
    fields = Path(f"/proc/{run.worker_pid}/stat").read_text().rsplit(")", 1)[1].split()
    assert (fields[3], fields[4]) == (str(run.worker_pid), "0"), "a session of its own, no terminal"
    assert lab.journal.values.get("after") == "yes"
    lab.write("go", "")
    run, _ = lab.finish(run.id)
    assert run.state is RunState.SUCCEEDED
    assert len(lab.log(run.id, "a").splitlines()) == 3, "no descriptor of ours"
    assert lab.worker_log(run.id) == ""


@pytest.mark.parametrize("number", ["SIGINT", "SIGHUP", "SIGTERM"])
def test_an_interrupt_waits_until_a_worker_is_started(lab: Lab, number: str) -> None:
    """The journal is closed for the fork; whoever was interrupted still has it to stop what it had started."""
    lab.pipeline('a: {run: "true"}')
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTED), str(lab.home), number]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(20), start_new_session=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert lab.journal.values.get("after") == "yes"
    run, _ = lab.finish(lab.journal.runs.page()[0].id)
    assert run.state is RunState.SUCCEEDED


def test_a_forked_worker_survives_whoever_started_it(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo > started; while ! test -e go; do sleep 0.02; done"}')
    child = start(lab, "stay")
    assert child.stdout
    wait_until((lab.home / "started").exists)
    run = wait_until(lambda: (found := lab.journal.runs.page()[0]).worker_pid and found)
    os.killpg(child.pid, signal.SIGINT)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait(scaled(10))
    child.stdout.close()
    assert running(run.worker_pid)
    lab.write("go", "")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED


def test_a_defect_in_a_forked_worker_is_found_in_its_log(lab: Lab) -> None:
    lab.pipeline('a: {run: "true"}')
    broken = STARTER + "\n    # "
    code = textwrap.dedent(broken).replace(
        'print("before"', 'import podium.core.engine.worker as w; w.serve = lambda *a: 1 / 0; print("before"'
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(lab.home)], capture_output=True, text=True, timeout=scaled(20), check=False
    )
    assert out.stderr == ""
    from podium.core.engine.recovery import recover

    run = lab.journal.runs.page()[0]
    wait_until(lambda: recover(lab.journal) == [run.id])
    assert "ZeroDivisionError" in lab.journal.runs.get(run.id).message


def test_the_starter_is_not_held_by_its_worker(lab: Lab) -> None:
    """`podium run -d | cat` must end when the command does: the worker may not keep the pipe open."""
    lab.pipeline('a: {run: "echo > started; sleep 30"}')
    code = textwrap.dedent(STARTER)
    subprocess.run([sys.executable, "-c", code, str(lab.home)], capture_output=True, timeout=scaled(15), check=True)
    wait_until((lab.home / "started").exists)
