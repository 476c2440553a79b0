"""Monitors of the age of data by a column: its latest time. Runs in a child process (apart.py)."""

from __future__ import annotations

from typing import Any, cast

from ..domain.monitoring import Measurement
from . import reference as references
from .freshness import aged
from .moment import Moment, NoData


def measure(moment: Moment) -> Measurement:
    """Returns the seconds since the latest time in the monitor's column. Times without a zone are UTC. Raises NoData
    if it has none, and for numbers: whether they are seconds or days, and since when, is not known."""
    import pandas

    pd: Any = cast("Any", pandas)
    monitor = moment.monitor
    latest: Any = None
    for part in references.parts(moment.project.root / monitor.path, monitor.path):
        if monitor.column not in part.columns:
            known = ", ".join(map(str, part.columns[:20]))
            raise NoData(f"{monitor.path} has no column {monitor.column!r}", hint=f"it has: {known}")
        cells = part[monitor.column]
        if cells.dtype.kind in "iuf" and cells.notna().any():
            raise NoData(f"column {monitor.column!r} of {monitor.path} has numbers, and no times", hint="write dates")
        times = pd.to_datetime(cells, utc=True, errors="coerce", format="mixed").max()
        latest = times if latest is None or (pd.notna(times) and times > latest) else latest
    if latest is None or pd.isna(latest):
        raise NoData(f"column {monitor.column!r} of {monitor.path} has no times")
    return aged(moment, float(latest.timestamp()))
