"""Measures in a child process what reads rows: pandas is loaded there, not in the agent, and what it takes ends with
it. The child stores what it measured; for one that ended without a word, this process stores that."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from .. import priority
from ..child import run_main
from ..config.latest import Latest
from ..domain.monitoring import Measurement, MonitorKind
from ..domain.project import MonitorSpec, Project
from ..domain.text import telling_line
from ..journal import Journal
from ..preload.piped import run
from .moment import Moment, measured

# What one evaluation may take, in seconds, and how much memory beyond what the libraries need, in bytes.
TIMEOUT = 180.0
MEMORY = 2 << 30
_NICE = 10
# Processes that want to run for each processor, of which one that gives way gets little.
_BUSY = 3.0
_OUT_OF_MEMORY = "it needed more memory than an evaluation may take: take a smaller window, or fewer columns"


def measure_apart(
    project: Project, journal: Journal, monitor: MonitorSpec, timeout: float | None = None
) -> Measurement:
    """Evaluates one monitor in a child process, stores what it measured and returns it."""
    timeout = _time_of(project, monitor) if timeout is None else timeout
    before = journal.measurements.newest_id()
    why = ""
    try:
        code, _, errors = run(
            project.state, __name__, [str(project.home), monitor.name], cwd=project.home, timeout=timeout
        )
        if code:
            why = f"its process ended with {code}: {telling_line(errors)}".rstrip(": ")
    except subprocess.TimeoutExpired:
        why = f"it took more than {timeout:g} s: {_advice()}"
    except OSError as error:
        why = f"its process cannot be started: {error.strerror or error}"
    stored = any(each.monitor == monitor.name for _, each in journal.measurements.after(before))
    found = journal.measurements.latest(monitor.name) if stored else None
    if found is None:
        found = Moment(project, journal, monitor).nothing(why or "it was taken out of podium.yaml meanwhile")
        journal.measurements.add(found)
    return found


def _advice() -> str:
    """Returns what may help. The child gives way to all others, so on a machine that has much more to do than it can, a
    small window takes long, too."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load <= _BUSY * processors:
        return "take a smaller window, or fewer columns"
    return f"the machine is busy (a load of {load:.0f} on {processors} processors), or the window is too large"


def main(arguments: Sequence[str]) -> int:
    """Evaluates a monitor in this process and returns its exit code."""
    return run_main(lambda: _evaluate(Path(arguments[0]), arguments[1]))


def _evaluate(home: Path, name: str) -> None:
    priority.lower(priority.below(_NICE))
    project = Latest(home).project()
    monitor = project.monitors.get(name)
    if monitor is None:
        return
    if monitor.kind is not MonitorKind.INFRA:  # it reads no rows, and its program's memory is not this process's
        _bound_memory()
    with Journal.open(project.state / "journal.db") as journal:
        moment = Moment(project, journal, monitor, time.time())
        journal.measurements.add(_measured(moment))


def _measured(moment: Moment) -> Measurement:
    try:
        return measured(moment, _KINDS[moment.monitor.kind])
    except MemoryError:
        return moment.nothing(_OUT_OF_MEMORY)


def _drift(moment: Moment) -> Measurement:
    from . import drift

    return drift.measure(moment)


def _data(moment: Moment) -> Measurement:
    from . import data

    return data.measure(moment)


def _quality(moment: Moment) -> Measurement:
    from . import realised

    return realised.measure(moment)


def _estimate(moment: Moment) -> Measurement:
    from . import estimated

    return estimated.measure(moment)


def _age(moment: Moment) -> Measurement:
    from . import data_age

    return data_age.measure(moment)


def _declared(moment: Moment) -> Measurement:
    from . import declared

    return declared.measure(moment)


def _time_of(project: Project, monitor: MonitorSpec) -> float:
    """Returns how long an evaluation may take, in seconds: a tool has the time that podium.yaml gives it, up to a
    bound."""
    infra = project.infra.get(monitor.measure) if monitor.kind is MonitorKind.INFRA else None
    if infra is None:
        return TIMEOUT
    from .declared import LONGEST

    return max(TIMEOUT, min(infra.timeout, LONGEST))


_KINDS: Mapping[MonitorKind, Callable[[Moment], Measurement]] = {
    MonitorKind.DRIFT: _drift,
    MonitorKind.DATA: _data,
    MonitorKind.QUALITY: _quality,
    MonitorKind.ESTIMATE: _estimate,
    MonitorKind.FRESHNESS: _age,
    MonitorKind.INFRA: _declared,
}


def _bound_memory() -> None:
    """Limits this process's memory to what it has by now and MEMORY (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
