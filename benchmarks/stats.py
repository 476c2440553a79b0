"""What it costs to know what 20 containers use once a second: this process, and the engine, from cgroup files and
from streams; and following a log.

    python benchmarks/stats.py [--containers 20] [--seconds 15] [--lines 300000] [--quick]

Measured is the agent's whole part: reading, rates, and writing the samples into a journal. The peer is `docker stats`
of the same containers: its own CPU, and the engine's. The engine's own CPU is what it used more than in a stretch
without any of it. Following compares the file of a container that has ended with `docker logs -f > file` of the same
container, in turns.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from _measuring import Report, in_turns, parser, per_second, share, timed

# Of the CPU time of `docker stats` with the engine's for it: by cgroup files, and by a stream for each.
FILES, STREAMS = 0.25, 1.3
LINES = 0.5
WHAT, LOG = "containers measured once a second", "a container's log into its file"
LINE = "GET /invocations 200 4.2ms some more text that a server says, of usual length"


@dataclass(frozen=True)
class Cost:
    ours: float
    engine: float
    measured: int


def watching(home: Path, engine: Any, seconds: float, *, local: bool | None, count: int) -> Cost:
    """What the agent's part takes. `local` None: nothing is measured, which shows what else goes on."""
    from podium.core.containers.observe.snapshot import take
    from podium.core.containers.observe.stats import Stats
    from podium.core.journal import Journal
    from podium.core.triggers.containers import samples_of

    from tests.containers.yard import Yard

    yard = Yard(home, engine, "")
    picture = take(engine, yard.project, yard.environment)
    assert len(picture.containers) == count
    pending: list[Any] = []
    written = 0
    stats = (
        Stats(engine, lambda found: pending.extend(samples_of("production", found, time.time())), local=local)
        if local is not None
        else None
    )
    with Journal.open(yard.project.state / "journal.db") as journal:
        if stats is not None:
            stats.see(picture)
        time.sleep(min(3.0, seconds))
        daemon, ours, began = _daemon(), time.process_time(), time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(1.0)
            taken, pending[:] = list(pending), []
            if taken:
                journal.samples.add(taken)
                written += len(taken)
        took = time.monotonic() - began
        cost = Cost((time.process_time() - ours) / took, (_daemon() - daemon) / took, written)
    if stats is not None:
        stats.close()
    return cost


def docker_stats(seconds: float) -> Cost:
    """What `docker stats` of all containers takes."""
    with subprocess.Popen(["docker", "stats"], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        try:
            whole = psutil.Process(process.pid)
            time.sleep(min(3.0, seconds))
            daemon, used, began = _daemon(), sum(whole.cpu_times()[:2]), time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
            return Cost((sum(whole.cpu_times()[:2]) - used) / took, (_daemon() - daemon) / took, 0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def _daemon() -> float:
    """CPU seconds of the engine that answers at the usual socket, as far as it can be told from others: all daemons
    of that name."""
    total = 0.0
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "dockerd":
            with contextlib.suppress(psutil.Error):
                total += sum(process.cpu_times()[:2])
    return total


def lines(yard: Any, engine: Any, directory: Path, count: int, rounds: int) -> dict[str, float]:
    """Lines a second of docker and of ours."""
    from podium.core.containers.observe.log_collector import LogKeeper
    from podium.core.containers.observe.snapshot import take

    one = yard.run("talker", f"seq 1 {count} | sed 's|$| {LINE}|'")
    engine.api.wait(one)
    picture = take(engine, yard.project, yard.environment)
    own = directory / "own.log"

    def docker() -> None:
        with (directory / "docker.log").open("wb") as out:
            subprocess.run(["docker", "logs", "-f", one], stdout=out, check=True)

    def keep() -> None:
        kept = LogKeeper(engine, lambda each: own if each.id == one else directory / f"{each.replica}.log")
        kept.see(picture)
        while not kept._followers[one].caught_up or kept._followers[one].alive:
            time.sleep(0.002)
        kept.close()

    def ours() -> float:
        own.unlink(missing_ok=True)
        rate = count / timed(keep)
        with own.open("rb") as found:
            there = sum(1 for _ in found)
        if there != count:
            raise SystemExit(f"{there} of {count} lines were kept")
        return rate

    return in_turns({"docker": lambda: count / timed(docker), "ours": ours}, rounds)


def measure(report: Report, engine: Any, containers: int, seconds: float, count: int, rounds: int) -> None:
    from tests.containers.yard import Yard
    from tests.servers import images

    with tempfile.TemporaryDirectory(prefix="podium-bench-") as directory:
        yard = Yard(Path(directory), engine, images.ensure(engine.api, images.SHELL))
        try:
            for number in range(containers):
                yard.run(f"production-v1-{number}", "while :; do sleep 0.5; done")
            args = (Path(directory), engine, seconds)
            nothing, files, streams = (watching(*args, local=local, count=containers) for local in (None, True, False))
            theirs = docker_stats(seconds)
            rates = lines(yard, engine, Path(directory), count, rounds)
        finally:
            yard.close()
    peer = theirs.ours + max(0.0, theirs.engine - nothing.engine)
    for name, cost, most in (("cgroup files", files, FILES), ("streams", streams, STREAMS)):
        used = cost.ours + max(0.0, cost.engine - nothing.engine)
        what = f"{containers} {WHAT}, by {name}"
        report.compare(what, used, "`docker stats`", peer, most=most, show=share)
        report.figure(
            "  of which the agent's part; samples", f"{share(cost.ours):>18}   {cost.measured / seconds:.0f}/s"
        )
    rate = per_second("lines")
    report.compare(LOG, rates["ours"], "docker logs -f >file", rates["docker"], least=LINES, show=rate)


def main() -> int:
    from podium.core.containers import open_engine
    from podium.core.containers.engine.address import LOCAL_SOCKET, parse
    from podium.core.errors import PodiumError

    options_of = parser(__doc__)
    options_of.add_argument("--containers", type=int, default=20)
    options_of.add_argument("--seconds", type=float, default=15.0)
    options_of.add_argument("--lines", type=int, default=300_000)
    options = options_of.parse_args()
    report = Report()
    sizes = (2, 1.0, 2000, 1) if options.quick else (options.containers, options.seconds, options.lines, 3)
    try:
        engine = open_engine(parse(f"unix://{LOCAL_SOCKET}"))
    except PodiumError as error:
        report.not_measured(WHAT, error.message)
        report.not_measured(LOG, error.message)
        return report.end()
    with engine:
        measure(report, engine, *sizes)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
