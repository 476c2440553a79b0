"""What it costs to know what 20 containers use once a second: this process, and the engine, from cgroup files and
from streams; and following a log.

    python benchmarks/stats.py [--containers 20] [--seconds 15] [--lines 300000]

Measured is the agent's whole part: reading, rates, and writing the samples into a journal. The engine's own CPU is
what it used more than in a stretch without any of it. Following compares the file of a container that has ended with
`docker logs -f > file` of the same container, in turns. Ends with 1 when the agent's part, by files, takes more than
5 % of a core, or keeps fewer than half of docker's lines a second.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BOUND = 0.05
LINES_BOUND = 0.5
LINE = "GET /invocations 200 4.2ms some more text that a server says, of usual length"


@dataclass(frozen=True)
class Cost:
    ours: float
    engine: float
    measured: int


def watching(home: Path, engine: Any, seconds: float, *, local: bool | None, count: int) -> Cost:
    """`local` None: nothing is measured, which shows what else goes on."""
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
        time.sleep(3.0)
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


def _daemon() -> float:
    """CPU seconds of the engine that answers at the usual socket, as far as it can be told from others: all daemons
    of that name."""
    total = 0.0
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "dockerd":
            with _gone():
                total += sum(process.cpu_times()[:2])
    return total


def _gone() -> Any:
    import contextlib

    return contextlib.suppress(psutil.Error)


def lines(yard: Any, engine: Any, directory: Path, count: int, rounds: int = 3) -> tuple[float, float]:
    """(docker's, ours) lines a second, medians."""
    from podium.core.containers.observe.log_collector import LogKeeper
    from podium.core.containers.observe.snapshot import take

    one = yard.run("talker", f"seq 1 {count} | sed 's|$| {LINE}|'")
    engine.api.wait(one)
    picture = take(engine, yard.project, yard.environment)
    rates: dict[str, list[float]] = {"docker": [], "ours": []}
    for _ in range(rounds):
        file = directory / "docker.log"
        with file.open("wb") as out:
            rates["docker"].append(
                count / _timed(lambda out=out: subprocess.run(["docker", "logs", "-f", one], stdout=out, check=True))
            )
        own = directory / "own.log"
        own.unlink(missing_ok=True)

        def keep(own: Path = own) -> None:
            kept = LogKeeper(engine, lambda each: own if each.id == one else directory / f"{each.replica}.log")
            kept.see(picture)
            while not kept._followers[one].caught_up or kept._followers[one].alive:
                time.sleep(0.002)
            kept.close()

        rates["ours"].append(count / _timed(keep))
        with own.open("rb") as found:
            there = sum(1 for _ in found)
        if there != count:
            raise SystemExit(f"{there} of {count} lines were kept")
    return statistics.median(rates["docker"]), statistics.median(rates["ours"])


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main() -> int:
    from podium.core.containers import open_engine
    from podium.core.containers.engine.address import LOCAL_SOCKET, parse
    from podium.core.errors import PodiumError

    from tests.containers.yard import Yard
    from tests.servers import images

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--lines", type=int, default=300_000)
    options = parser.parse_args()
    try:
        engine = open_engine(parse(f"unix://{LOCAL_SOCKET}"))
    except PodiumError as error:
        print(f"not measured: {error.message}")
        return 0
    with engine, tempfile.TemporaryDirectory(prefix="podium-bench-") as directory:
        yard = Yard(Path(directory), engine, images.ensure(engine.api, images.SHELL))
        try:
            for number in range(options.containers):
                yard.run(f"production-v1-{number}", "while :; do sleep 0.5; done")
            args = (Path(directory), engine, options.seconds)
            nothing, files, streams = (
                watching(*args, local=local, count=options.containers) for local in (None, True, False)
            )
            theirs, ours = lines(yard, engine, Path(directory), options.lines)
        finally:
            yard.close()
    print(
        f"{options.containers} containers once a second, share of one core (this process / the engine, over its"
        f" {nothing.engine:.1%} without):"
    )
    for name, cost in (("cgroup files", files), ("one stream each", streams)):
        print(
            f"  {name:<16} {cost.ours:6.2%} / {max(0.0, cost.engine - nothing.engine):6.2%}  "
            f" {cost.measured / options.seconds:.0f} samples/s"
        )
    print(
        f"a container's log into its file: {ours:,.0f} lines/s, `docker logs -f > file` {theirs:,.0f} lines/s:"
        f" {ours / theirs:.2f}x (at least {LINES_BOUND})"
    )
    missed = files.ours > BOUND or streams.ours > BOUND or ours / theirs < LINES_BOUND
    print("missed" if missed else f"met: at most {BOUND:.0%} of a core")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
