"""One agent and many machines that are not there: python benchmarks/scale.py [--environments 500] [--quick]

Environments with `driver: docker` on hosts over ssh, each host a simulated engine behind a Unix socket
(tests/servers/fleet/), a journal with a million runs, and pushes to branches that each start a pipeline. Measured are
the agent's CPU, memory, threads and descriptors while all is well; how long a replica that was killed is away, alone
and with a whole host; what a push costs; and what a person waits for. Beside each: the same of a tenth of the fleet,
in the same run. What is simulated and what is not is in docs/scale.md.

Besides, with an agent that has nothing else to do: `--pushes` a minute into a bare repository on disk, whether or not
it gets through (_pushes.py), whose runs have one step, `true`; and as many that say `[skip ci]`. `--pushes-only`
measures just that.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import _fleet
import _pushes
import year
from _fleet import Size
from _measuring import Report, mebibytes, parser, share, timed
from _measuring import seconds as seconds_

PER_REPLICA = 1.5  # times the CPU for each replica of a smaller fleet
FIRST_PAINT = 1.5
QUICK = Size(6, 3, 2, 2_000, pipelines=2)
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """What one process has used and has now; `children` are those that have ended and were waited for."""

    cpu: float
    children: float
    memory: float
    threads: int
    descriptors: int


def used(pid: int) -> Used:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    own, children = (int(fields[11]) + int(fields[12])) / TICKS, (int(fields[13]) + int(fields[14])) / TICKS
    return Used(own, children, memory, int(fields[17]), descriptors)


class World:
    """A project, its engines and its agent."""

    def __init__(
        self, home: Path, size: Size, fleet: _fleet.Fleet, agent: subprocess.Popen[bytes], rounds: Mapping[str, float]
    ) -> None:
        self.home, self.size, self.fleet, self.agent, self.rounds = home, size, fleet, agent, rounds
        self.journal = sqlite3.connect(home / ".podium/journal.db", timeout=60, isolation_level=None)

    def one(self, sql: str, *values: object) -> float:
        return float(self.journal.execute(sql, values).fetchone()[0] or 0)

    def until(self, there: Callable[[], object], what: str, patience: float) -> float:
        """Waits, and returns the seconds that it took."""
        began = time.monotonic()
        while not there():
            if self.agent.poll() is not None:
                raise SystemExit(f"the agent ended: {(self.home / 'agent.txt').read_text()[-2000:]}")
            if time.monotonic() - began > patience:
                raise SystemExit(f"{what}: not within {patience:.0f} s")
            time.sleep(0.02)
        return time.monotonic() - began

    def docker(self, host: int, method: str, path: str) -> int:
        """Asks a simulated engine, as somebody does who is logged in there."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(60)
            line.connect(str(self.fleet.socket(host)))
            connection = http.client.HTTPConnection("docker")
            connection.sock = line
            connection.request(method, path)
            return connection.getresponse().status

    def host_of(self, environment: str) -> int:
        return int(environment.rpartition("-")[2]) % self.size.hosts + 1


def _rounds(home: Path, seconds: float) -> Mapping[str, float]:
    """Returns what the agent's rounds cost (_rounds.py)."""
    command = [sys.executable, str(Path(__file__).with_name("_rounds.py")), str(home), str(seconds)]
    environment = _fleet.environment_of_process(home)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise SystemExit(f"the rounds could not be weighed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


@contextmanager
def world(home: Path, size: Size, seconds: float) -> Iterator[World]:
    """Starts all of it; the agent has begun when it is left to the caller, and nothing is settled yet."""
    with _fleet.fleet(home, size) as fleet, (home / "agent.txt").open("wb") as said:
        rounds = _rounds(home, seconds)
        agent = subprocess.Popen(
            [sys.executable, "-m", "podium.core.triggers.agent", str(home)],
            env=_fleet.environment_of_process(home),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        made = World(home, size, fleet, agent, rounds)
        try:
            yield made
        finally:
            made.journal.close()
            agent.send_signal(signal.SIGTERM)
            try:
                agent.wait(60)
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()


@dataclass(frozen=True)
class Rest:
    """A fleet on which nothing happens: shares of one core, MiB, and what is written each second."""

    seen: float
    cpu: float
    engines: float
    memory: float
    threads: int
    descriptors: int
    samples: float


def at_rest(there: World, seconds: float, patience: float) -> Rest:
    """Waits until the agent follows every environment, and measures it then."""
    seen = there.until(
        lambda: there.one("SELECT count(*) FROM pictures") >= there.size.environments, "snapshots", patience
    )
    # The first round of everything costs more than those that follow.
    time.sleep(seconds)
    before, engines, rows = used(there.agent.pid), used(there.fleet.pid), there.one("SELECT sum(number) FROM samples")
    time.sleep(seconds)
    after = used(there.agent.pid)
    return Rest(
        seen,
        (after.cpu - before.cpu) / seconds,
        (used(there.fleet.pid).cpu - engines.cpu) / seconds,
        after.memory,
        after.threads,
        after.descriptors,
        (there.one("SELECT sum(number) FROM samples") - rows) / seconds,
    )


def healed(there: World, number: int, patience: float) -> list[float]:
    """Kills one replica each of environments here and there; returns for how long each was away."""
    drawn = random.Random(7).sample(range(there.size.environments), number)
    return _killed(there, [f"env-{each:03}" for each in drawn], 1, patience)


def host_lost(there: World, patience: float) -> list[float]:
    """Kills every replica of one host, whose engine starts none of them again."""
    mine = [f"env-{number:03}" for number in range(0, there.size.environments, there.size.hosts)]
    return _killed(there, mine, there.size.replicas, patience)


def _killed(there: World, environments: list[str], number: int, patience: float) -> list[float]:
    """Kills `number` replicas of each; returns how long each was away: until it was started, has answered its health
    check and is noted as ready."""
    waiting: dict[tuple[str, str], str] = {}
    for environment in environments:
        rows = there.journal.execute(
            "SELECT id, container FROM replicas WHERE environment = ? ORDER BY id LIMIT ?", (environment, number)
        ).fetchall()
        waiting |= {(environment, replica): container for replica, container in rows}
    began = time.monotonic()
    before = {key: there.one("SELECT started FROM replicas WHERE environment = ? AND id = ?", *key) for key in waiting}
    for (environment, _), container in waiting.items():
        if there.docker(there.host_of(environment), "POST", f"/v1.41/containers/{container}/kill") != 204:
            raise SystemExit(f"{container} could not be killed")
    found: list[float] = []

    def back() -> bool:
        sql = "SELECT count(*) FROM replicas WHERE environment = ? AND id = ? AND state = 'ready' AND started > ?"
        for key in [each for each in waiting if there.one(sql, *each, before[each])]:
            del waiting[key]
            found.append(time.monotonic() - began)
        return not waiting

    there.until(back, "a dead replica is there again", patience)
    return found


@dataclass(frozen=True)
class Pushed:
    """What pushes cost: seconds of CPU each, the agent's own meanwhile, and that of the processes that it started."""

    rate: float
    started: float
    until_run: float
    own: float
    children: float


def pushed(there: World, each_minute: float, seconds: float) -> Pushed:
    """Pushes to one branch after the other, as often as is asked, and waits for the runs."""
    runs = there.one("SELECT max(id) FROM runs")
    before, began = used(there.agent.pid), time.monotonic()
    number, waits = 0, []
    while time.monotonic() - began < seconds:
        waits.append(_push(there, number))
        number += 1
        time.sleep(max(0.0, began + number * 60.0 / each_minute - time.monotonic()))
    took = time.monotonic() - began
    sql = "SELECT count(*) FROM runs WHERE id > ? AND state IN ('queued', 'running', 'waiting')"
    there.until(lambda: not there.one(sql, runs), "the runs end", 300.0)
    after, started = used(there.agent.pid), there.one("SELECT count(*) FROM runs WHERE id > ?", runs)
    children = (after.children - before.children) / max(1.0, started)
    return Pushed(number / took * 60, started, statistics.median(waits), (after.cpu - before.cpu) / number, children)


def _push(there: World, number: int) -> float:
    """Commits to a branch; returns how long it took until its run was noted."""
    branch = f"b{number % there.size.pipelines}"
    words = ["git", "-C", str(there.home), "-c", "user.name=anna", "-c", "user.email=anna@localhost"]
    parent = subprocess.check_output([*words, "rev-parse", branch], text=True, timeout=60).strip()
    commit = [*words, "commit-tree", f"{branch}^{{tree}}", "-p", parent, "-m", f"change {number}"]
    made = subprocess.check_output(commit, text=True, timeout=60).strip()
    began = time.monotonic()
    # As a push does it, with the hook that rings the agent's bell.
    subprocess.run([*words, "update-ref", f"refs/heads/{branch}", made], check=True, timeout=60)
    while not there.one('SELECT count(*) FROM runs WHERE "commit" = ?', made):
        if time.monotonic() - began > 60:
            return 60.0
        time.sleep(0.01)
    return time.monotonic() - began


def person(there: World) -> tuple[float, float]:
    """Returns what a person waits for: the cockpit's first paint, and `podium status`."""
    os.environ["PATH"] = _fleet.environment_of_process(there.home)["PATH"]
    return year.first_paint(there.home), timed(lambda: year.command(there.home, "status"))


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--environments", type=int, default=500)
    options.add_argument("--hosts", type=int, default=50)
    options.add_argument("--replicas", type=int, default=10)
    options.add_argument("--runs", type=int, default=1_000_000)
    options.add_argument("--pushes", type=float, default=200.0, help="a minute")
    options.add_argument("--pushes-only", action="store_true")
    options.add_argument("--seconds", type=float, default=30.0, help="of each measurement")
    chosen = options.parse_args()
    size = Size(chosen.environments, chosen.hosts, chosen.replicas, chosen.runs, pipelines=40)
    seconds, kills = (1.0, 1) if chosen.quick else (chosen.seconds, 10)
    size = QUICK if chosen.quick else size
    tenth = replace(
        size, environments=max(2, size.environments // 10), hosts=max(2, size.hosts // 10), runs=size.runs // 10
    )
    os.environ["NO_COLOR"] = "1"
    report = Report()
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as scratch:
        minute = (60.0, 3.0) if chosen.quick else (chosen.pushes, 2 * seconds)
        _many_pushes(report, Path(scratch) / "run", *minute)
        _many_pushes(report, Path(scratch) / "skipped", *minute, skipped=True)
        if chosen.pushes_only:
            return report.end()
        few = _measure(report, Path(scratch) / "few", tenth, seconds, kills, 0.0)
        whole = _measure(report, Path(scratch) / "all", size, seconds, kills, chosen.pushes)
    report.compare(
        "the agent's work for each replica, CPU",
        *(whole.work / size.all_replicas, "a tenth of the fleet", few.work / tenth.all_replicas),
        most=PER_REPLICA,
    )
    report.compare("cockpit: first useful paint", whole.paint, "a tenth of it", few.paint, most=FIRST_PAINT)
    report.compare("podium status", whole.status, "a tenth of it", few.status)
    return report.end()


def _many_pushes(report: Report, home: Path, rate: float, seconds: float, *, skipped: bool = False) -> None:
    """Pushes alone, into a bare repository, as many as are asked for."""
    found = _pushes.measured(home, rate, seconds, skipped=skipped)
    words = "pushes that say [skip ci]" if skipped else "pushes to 40 branches, each run"
    first, last = _pushes.quarters(found.noted if skipped else found.waits)
    report.figure(words, f"{found.pushed:>19}; {found.rate:.0f} a minute, at a load of {os.getloadavg()[0]:.0f}")
    report.figure("  done a minute, to the end of the last", f"{found.reached:>19.0f}")
    what = "passed over" if skipped else "run noted"
    report.figure(f"  from a push until it is {what}, median", f"{statistics.median(found.noted):>17.1f} s")
    report.figure("  until its step begins, of the first quarter; of the last", f"{first:>17.1f} s; {last:.1f} s")
    report.figure("  not begun when the last was made", f"{found.left:>19}")
    costs = f"{found.agent:>17.3f} s; {found.started:.2f} s; {found.pusher:.2f} s"
    report.figure("  CPU of each: agent; what it started; git push", costs)
    report.figure("  the machine's CPU that was used meanwhile", f"{share(found.busy):>19}")


@dataclass(frozen=True)
class Measured:
    """What has bounds."""

    work: float
    paint: float
    status: float


def _measure(report: Report, home: Path, size: Size, seconds: float, kills: int, pushes: float) -> Measured:
    report.figure("", str(size))
    patience = 60.0 + size.all_replicas / 5
    with world(home, size, min(seconds, 5.0)) as there:
        costs = there.rounds
        wanted = size.environments * (costs["healing"] + costs["signals"]) + size.containers * costs["statistics"]
        words = ", ".join(f"{name} {costs[name] * 1e3:.2f} ms" for name in ("healing", "signals", "statistics"))
        report.figure("CPU: of an environment; of a container's second", f"    {words}")
        report.figure("CPU of all of it once a second, reckoned", f"{share(wanted):>19}")
        report.figure("reading podium.yaml, CPU", f"{seconds_(costs['podium.yaml']):>18}")
        rest = at_rest(there, seconds, patience)
        report.figure("until every environment is followed", f"{rest.seen:>17.1f} s")
        report.figure("the agent's CPU; that of the simulated engines", f"{share(rest.cpu):>19}; {share(rest.engines)}")
        what = f"{mebibytes(rest.memory):>19}; {rest.threads:,}; {rest.descriptors:,}"
        report.figure("its memory; threads; descriptors", what)
        report.figure("samples kept", f"{rest.samples:>17.0f}/s")
        away = healed(there, kills, patience)
        report.figure(f"{len(away)} replicas here and there, killed, are away: median; at most", _away(away))
        away = host_lost(there, patience)
        report.figure(f"all {len(away)} of a host, likewise", _away(away))
        if pushes:
            found = pushed(there, pushes, 2 * seconds)
            report.figure("pushes a minute; runs", f"{found.rate:>19.0f}; {found.started:.0f}")
            report.figure("from a push to its run, median", f"{found.until_run:>17.2f} s")
            costs = f"{found.own:>17.3f} s; {found.children:.2f} s"
            report.figure("CPU of the agent for each; of what it started", costs)
        return Measured(wanted, *person(there))


def _away(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):>17.1f} s; {max(seconds):.1f} s"


if __name__ == "__main__":
    sys.exit(main())
