"""What the cockpit costs on a real terminal (a pty): python benchmarks/cockpit.py [--quick]

First useful paint and memory with 10,000 runs, key -> paint while a log grows by 20,000 lines/s, and beside 20 live
charts by 50,000 lines/s, and exit with every thread blocked, each beside the smallest Textual app, in turns: nothing of
Textual's can be faster. CPU when nothing happens stands beside `python -c pass`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from _measuring import Report, cost, mebibytes, parser, seconds
from podium.core.engine.paths import step_log
from podium.core.identity.processes import started_at
from podium.core.journal import Journal

from tests.tui.seed import seed
from tests.tui.terminal import Terminal

RUNS = 10_000
RATE, LIVE_RATE = 20_000, 50_000
# Times the smallest Textual app's.
PAINT, MEMORY, KEY, EXIT = 1.5, 1.6, 3.0, 1.5
# The same beside 20 charts: of the median, the 95th and the 99th percentile.
LIVE_MEDIAN, LIVE_P95, LIVE_P99 = 5.0, 16.0, 25.0
# A second in which nothing happens, beside the CPU time of starting a Python.
IDLE = 0.8
SIZE, LARGE = (120, 40), (200, 60)  # columns and rows; the latter for twenty charts
SMALLEST = "the smallest Textual app"
FLOOR = """
from textual.app import App
from textual.widgets import Static
class Smallest(App):
    BINDINGS = [("k", "say('from line')"), ("G", "say('following')")]
    def compose(self): yield Static('HELLO-FLOOR')
    def action_say(self, words): self.query_one(Static).update(words)
Smallest().run()
"""
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
# A log and twenty charts that get a value twice a second, made of the cockpit's own parts.
LIVE = """
import math, sys
from itertools import count
from pathlib import Path
from podium.core.cockpit import Cockpit
from podium.screens.base import PodiumScreen
from podium.tui.application import PodiumApp
from podium.tui.widgets.charts.chart import Chart
from podium.tui.widgets.charts.chart_draw import ChartData, Plotted
from podium.tui.widgets.log_view import LogView
from textual.containers import Grid
home, log = map(Path, sys.argv[1:])
class Live(PodiumScreen):
    title_id = "runs"
    first_pane = "log"
    DEFAULT_CSS = "Live #charts { height: 4fr; grid-size: 5 4; } Live #log { height: 1fr; }"
    def body(self):
        with Grid(id="charts"):
            for number in range(20):
                yield Chart(f"signal {number}", id=f"chart-{number}")
        yield LogView("Log", id="log")
    def on_mount(self):
        self.moments = count()
        self.query_one(LogView).open(log, "a training")
    def tick(self):
        super().tick()
        at = next(self.moments)
        if at % 2:
            return
        points = [(x, math.sin(x / 9)) for x in range(at, at + 120)]
        for number, chart in enumerate(self.query(Chart)):
            chart.set_data(ChartData((Plotted("value", tuple((x, y * (number + 1)) for x, y in points)),)))
class App(PodiumApp):
    def get_default_screen(self): return Live()
App(Cockpit(home)).run()
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


def wait(what: Callable[[], object], patience: float = 60.0) -> None:
    deadline = time.perf_counter() + patience
    while not what():
        if time.perf_counter() > deadline:
            raise SystemExit("the cockpit did not answer within a minute")
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


@dataclass
class Starts:
    """Of each start: the first useful paint, the exit, the memory in MiB."""

    paints: list[float] = field(default_factory=list)
    exits: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def add(self, arguments: list[str], word: bytes, key: str) -> None:
        with Terminal(arguments) as terminal:
            self.paints.append(appeared(terminal, word) - terminal.started)
            time.sleep(0.5)
            self.memory.append(memory(terminal.process.pid))
            self.exits.append(leave(terminal, key))


def starts(home: Path, times: int) -> tuple[Starts, Starts]:
    """(ours, the floor's), in turns."""
    ours, floor = Starts(), Starts()
    Starts().add(["-m", "podium.tui", str(home)], "✓ ".encode(), "q")  # compiles what is not compiled yet
    for _ in range(times):
        ours.add(["-m", "podium.tui", str(home)], "✓ ".encode(), "q")
        floor.add(["-c", FLOOR], b"HELLO-FLOOR", "\x11")
    return ours, floor


def keys(terminal: Terminal, presses: int) -> list[float]:
    """Key -> paint. `k` leaves the end of the log and `G` goes back to it: each says so on the frame."""
    waits: list[float] = []
    time.sleep(1.0)
    for number in range(presses):
        key, word = ("k", b"from line") if number % 2 == 0 else ("G", b"following")
        pressed = time.perf_counter()
        since = terminal.press(key)
        waits.append(appeared(terminal, word, since) - pressed)
        time.sleep(0.03 + 0.017 * (number % 7))
    return waits


def keys_while_a_log_grows(
    arguments: list[str], begin: str, size: tuple[int, int], log: Path, rate: int, presses: int, turns: int
) -> tuple[list[float], list[float]]:
    """(ours, the floor's), in turns beside the same writer. `begin` goes to the log."""
    ours: list[float] = []
    floor: list[float] = []
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(rate), str(log)])
    try:
        for _ in range(turns):
            with Terminal(arguments, size=size) as terminal:
                appeared(terminal, b"following")
                if begin:
                    terminal.press(begin)
                ours += keys(terminal, presses // turns)
                leave(terminal, "\x11")
            with Terminal(["-c", FLOOR], size=size) as terminal:
                appeared(terminal, b"HELLO-FLOOR")
                floor += keys(terminal, presses // turns)
                leave(terminal, "\x11")
    finally:
        writer.kill()
        writer.wait()
    return ours, floor


def percentile(waits: list[float], share: float) -> float:
    return sorted(waits)[int(len(waits) * share)]


def show_keys(report: Report, home: Path, log: Path, presses: int, turns: int) -> None:
    runs = ["-m", "podium.tui", str(home), "runs"]
    waits, least = keys_while_a_log_grows(runs, "l", SIZE, log, RATE, presses, turns)
    ours, floor = percentile(waits, 0.95), percentile(least, 0.95)
    report.compare("key -> paint, a log growing: p95", ours, SMALLEST, floor, most=KEY)
    report.compare("key -> paint: median", statistics.median(waits), SMALLEST, statistics.median(least))
    live = ["-c", LIVE, str(home), str(log)]
    waits, least = keys_while_a_log_grows(live, "", LARGE, log, LIVE_RATE, presses, turns)
    for what, share, most in (("median", 0.5, LIVE_MEDIAN), ("p95", 0.95, LIVE_P95), ("p99", 0.99, LIVE_P99)):
        ours, floor = percentile(waits, share), percentile(least, share)
        report.compare(f"key -> paint, 20 live charts and a log: {what}", ours, SMALLEST, floor, most=most)


def idle_share(home: Path, length: float) -> tuple[float, float]:
    """(CPU seconds, bytes to the terminal) of each second of a cockpit that nobody touches."""
    with Terminal(["-m", "podium.tui", str(home)]) as terminal:
        appeared(terminal, "✓ ".encode())
        time.sleep(min(3.0, length))
        used, written = cpu(terminal.process.pid), len(terminal.output)
        time.sleep(length)
        result = (cpu(terminal.process.pid) - used) / length, (len(terminal.output) - written) / length
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


def prepare(home: Path, runs: int) -> Path:
    """The seeded project, its newest runs held by this process so that they count as alive; the log that will grow."""
    seed(home, runs=runs, now=time.time()).close()
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


def idle(report: Report, home: Path, length: float) -> None:
    active, _ = idle_share(home, length)
    end_runs(home)
    still, written = idle_share(home, length)
    started = statistics.median(cost([sys.executable, "-c", "pass"]).cpu for _ in range(5))
    report.compare("CPU of a second when nothing happens", still, "`python -c pass`", started, most=IDLE)
    report.figure("  bytes to the terminal", f"{written:>16,.0f}/s")
    report.figure("  CPU of a second while a run goes on", f"{seconds(active):>18}")


def main() -> int:
    options = parser(__doc__).parse_args()
    times, presses, turns, length = (1, 8, 1, 1.0) if options.quick else (11, 200, 4, 20.0)
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "project"
        log = prepare(home, 50 if options.quick else RUNS)
        ours, floor = starts(home, times)
        paint, hello = statistics.median(ours.paints), statistics.median(floor.paints)
        report.compare("first useful paint, 10,000 runs", paint, SMALLEST, hello, most=PAINT)
        size = max(ours.memory), max(floor.memory)
        report.compare("memory", size[0], SMALLEST, size[1], most=MEMORY, show=mebibytes)
        show_keys(report, home, log, presses, turns)
        idle(report, home, length)
        exits, blocked = statistics.median(floor.exits), statistics.median(blocked_exit(home, times))
        report.compare("exit, every thread blocked", blocked, SMALLEST, exits, most=EXIT)
        report.compare("exit otherwise", statistics.median(ours.exits), SMALLEST, exits)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
