"""What the cockpit costs on a real terminal (a pty): python benchmarks/cockpit.py [--quick]

First useful paint and memory with 1,000 runs, key -> paint while a log grows by 20,000 lines/s, CPU when nothing
happens, and exit with every thread blocked. Beside the first paint stands the smallest Textual app, started in turns
with ours: nothing of Textual's can be faster. Ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from podium.core.engine.paths import step_log  # noqa: E402
from podium.core.identity.processes import started_at  # noqa: E402
from podium.core.journal import Journal  # noqa: E402

from tests.tui.seed import seed  # noqa: E402
from tests.tui.terminal import Terminal  # noqa: E402

RUNS = 1_000
RATE = 20_000
PAINT, MEMORY, KEY_P95, IDLE, EXIT = 0.45, 80, 0.040, 0.01, 0.4
FLOOR = (
    "from textual.app import App\nfrom textual.widgets import Static\nclass A(App):\n    def compose(self): yield"
    " Static('HELLO-FLOOR')\nA().run()"
)
BLOCKED = """
import sys, threading, time
from pathlib import Path
from podium.core.cockpit import Cockpit
from podium.tui import app
class Stuck(Cockpit):
    def environments(self): time.sleep(1000)
    def runs(self, **_): threading.Event().wait()
    def versions(self, *_): time.sleep(1000)
    def changed(self): time.sleep(1000)
sys.exit(app.run(Stuck(Path(sys.argv[1]))))
"""
WRITER = """
import sys, time
rate, path = int(sys.argv[1]), sys.argv[2]
line = "2026-01-01T00:00:00.000Z o round 1234  loss 0.5521  roc_auc 0.7379  the rest of a line of a training\\n"
with open(path, "a", buffering=1 << 16) as file:
    began, written = time.perf_counter(), 0
    while True:
        due = int((time.perf_counter() - began) * rate)
        file.write(line * (due - written)); file.flush(); written = due
        time.sleep(0.01)
"""


def wait(what: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.perf_counter() + seconds
    while not what():
        if time.perf_counter() > deadline:
            raise SystemExit("the cockpit did not answer within 30 s")
        time.sleep(0.0005)


def appeared(terminal: Terminal, word: bytes, since: int = 0) -> float:
    """When the word came to the terminal: the clock of the thread that reads it."""
    wait(lambda: terminal.output.find(word, since) >= 0)
    at = terminal.output.find(word, since) + len(word)
    return next(moment for moment, length in terminal.times if length >= at)


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    return (
        next(
            int(line.split()[1])
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
        / 1024
    )


def leave(terminal: Terminal, key: str) -> float:
    began = time.perf_counter()
    terminal.press(key)
    terminal.wait_exit(30)
    return time.perf_counter() - began


def first_paint(home: Path, times: int) -> tuple[list[float], list[float], list[float], float]:
    """(ours, the floor's, our exits, our memory)."""
    ours: list[float] = []
    floor: list[float] = []
    exits: list[float] = []
    most = 0.0
    for _ in range(times):
        with Terminal(["-m", "podium.tui", str(home)]) as terminal:
            ours.append(appeared(terminal, "✓ ".encode()) - terminal.started)
            time.sleep(0.5)
            most = max(most, memory(terminal.process.pid))
            exits.append(leave(terminal, "q"))
        with Terminal(["-c", FLOOR]) as terminal:
            floor.append(appeared(terminal, b"HELLO-FLOOR") - terminal.started)
            leave(terminal, "\x11")
    return ours, floor, exits, most


def keys_while_a_log_grows(home: Path, log: Path, presses: int) -> tuple[list[float], float, float]:
    """(key -> paint, our share of a core meanwhile, memory). `k` leaves the end of the log and `G` goes back to it:
    each says so on the frame."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(RATE), str(log)])
    waits: list[float] = []
    try:
        with Terminal(["-m", "podium.tui", str(home), "runs"]) as terminal:
            appeared(terminal, b"following")
            terminal.press("l")
            time.sleep(1.0)
            began, used = time.perf_counter(), cpu(terminal.process.pid)
            for number in range(presses):
                key, word = ("k", b"from line") if number % 2 == 0 else ("G", b"following")
                pressed = time.perf_counter()
                since = terminal.press(key)
                waits.append(appeared(terminal, word, since) - pressed)
                time.sleep(0.03 + 0.017 * (number % 7))
            share = (cpu(terminal.process.pid) - used) / (time.perf_counter() - began)
            size = memory(terminal.process.pid)
            leave(terminal, "\x11")
    finally:
        writer.kill()
        writer.wait()
    return waits, share, size


def idle_share(home: Path, seconds: float) -> tuple[float, int]:
    """(share of a core, bytes to the terminal a second) of a cockpit that nobody touches."""
    with Terminal(["-m", "podium.tui", str(home)]) as terminal:
        appeared(terminal, "✓ ".encode())
        time.sleep(3.0)
        used, written = cpu(terminal.process.pid), len(terminal.output)
        time.sleep(seconds)
        result = (cpu(terminal.process.pid) - used) / seconds, int((len(terminal.output) - written) / seconds)
        leave(terminal, "q")
    return result


def blocked_exit(home: Path, times: int) -> list[float]:
    exits: list[float] = []
    for _ in range(times):
        with Terminal(["-c", BLOCKED, str(home)]) as terminal:
            appeared(terminal, b"Needs you")
            time.sleep(0.5)
            exits.append(leave(terminal, "q"))
    return exits


def prepare(home: Path) -> Path:
    """The seeded project, its newest runs held by this process so that they count as alive; the log that will grow."""
    seed(home, runs=RUNS, now=time.time()).close()
    with Journal.open(home / ".podium" / "journal.db") as journal:
        for run in journal.runs.active():
            journal.runs.set_worker(run.id, os.getpid(), started_at(os.getpid()))
            journal.runs.heartbeat(run.id)
        newest = journal.runs.page(limit=1)[0]
    return step_log(home / ".podium", newest.id, "train[depth=8,rate=0.05]")


def end_runs(home: Path) -> None:
    with Journal.open(home / ".podium" / "journal.db") as journal:
        for run in journal.runs.active():
            journal.runs.set_state(run.id, "succeeded")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    quick = parser.parse_args().quick
    missed = 0

    def line(what: str, value: str, bound: str = "", *, ok: bool = True) -> None:
        nonlocal missed
        missed += not ok
        print(f"{what:<58}{value:>22}  {bound}{'' if ok else '   MISSED'}", flush=True)

    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "project"
        log = prepare(home)
        ours, floor, exits, most = first_paint(home, 5 if quick else 11)
        paint, hello = statistics.median(ours), statistics.median(floor)
        line("first useful paint, 1,000 runs", f"{paint:.3f} s", f"at most {PAINT} s", ok=paint <= PAINT)
        line("  the smallest Textual app, in turns with it", f"{hello:.3f} s", f"{paint / hello:.2f}x")
        line("  memory", f"{most:.0f} MB", f"at most {MEMORY} MB", ok=most <= MEMORY)
        waits, share, size = keys_while_a_log_grows(home, log, 60 if quick else 200)
        ordered = sorted(waits)
        p95 = ordered[int(len(ordered) * 0.95)]
        line(
            f"key -> paint, a log growing by {RATE:,} lines/s: p95",
            f"{p95 * 1000:.1f} ms",
            f"at most {KEY_P95 * 1000:.0f} ms",
            ok=p95 <= KEY_P95,
        )
        line("  p50, most", f"{statistics.median(waits) * 1000:.1f} ms, {ordered[-1] * 1000:.0f} ms")
        line("  CPU meanwhile, memory", f"{share * 100:.0f} %, {size:.0f} MB")
        active, _ = idle_share(home, 5 if quick else 20)
        end_runs(home)
        idle, written = idle_share(home, 5 if quick else 20)
        line(
            "CPU when nothing happens",
            f"{idle * 100:.2f} %",
            f"at most {IDLE * 100:.0f} %, {written} bytes/s",
            ok=idle <= IDLE,
        )
        line("  while a run goes on and its seconds count", f"{active * 100:.2f} %")
        blocked = statistics.median(blocked_exit(home, 3 if quick else 7))
        line("exit, every thread blocked", f"{blocked:.3f} s", f"at most {EXIT} s", ok=blocked <= EXIT)
        line("  exit otherwise", f"{statistics.median(exits):.3f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
