"""Monitors of data: the share of the latest requests that have what the reference never had. Runs in a child process
(apart.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..domain.monitoring import ColumnMeasurement, Measurement
from ..domain.text.format import count
from .comparison import GONE
from .drift import expected, sides, vanished, warnings_of
from .live import wilson
from .moment import Moment, NoData
from .statistics.violations import MISSING, Profile, profile, violations

ANY = "any"


def measure(moment: Moment) -> Measurement:
    """Returns the share of rows with a violation, with its interval, and each column's share. Raises NoData if there is
    nothing to compare."""
    import numpy as np

    moment.require_service()
    reference, window = sides(moment)
    before: Any = reference.table
    wrong = np.zeros(len(window.table), dtype=bool)
    found: list[ColumnMeasurement] = []
    for name in map(str, moment.monitor.columns or before.columns):
        column, flags = _column(moment, name, before, window.table)
        found.append(column)
        if flags is not None:
            wrong |= flags
    if all(each.value is None for each in found):
        raise NoData("no column can be compared: requests have none of the reference's")
    share = float(wrong.mean())
    low, high = wilson(share, len(wrong))
    return moment.measured(
        share,
        start=window.start,
        end=window.end,
        rows=window.rows,
        version=window.version,
        low=low,
        high=high,
        columns=tuple(found),
        warnings=(
            *warnings_of(moment.monitor, reference, window),
            *vanished(moment, before.columns, window),
            *_new(moment, before, window.table),
        ),
        message=f"{int(wrong.sum()):,} of {count(len(wrong), 'row')} have what is not in {reference.words}",
    )


def _column(moment: Moment, name: str, before: Any, now: Any) -> tuple[ColumnMeasurement, Any]:
    """Returns one column's share of rows with a violation, and which rows these are."""
    import numpy as np

    if name not in before:
        return ColumnMeasurement(name, None, message="the reference does not have it"), None
    known = profile(before[name])
    if name not in now:
        return _gone(moment, name, known, len(now))
    if known is None:
        return ColumnMeasurement(name, None, message="it has times, lists, or nothing"), None
    kinds = violations(known, now[name])
    wanted = moment.monitor.measure
    chosen: Mapping[str, Any] = kinds if wanted == ANY else {wanted: kinds[wanted]} if wanted in kinds else {}
    if not chosen:
        return ColumnMeasurement(name, None, message=f"{wanted} does not fit its type"), None
    flags: Any = np.any([*chosen.values()], axis=0)
    told = ", ".join(f"{int(each.sum()):,} {kind}" for kind, each in chosen.items() if each.any())
    return ColumnMeasurement(name, float(flags.mean()), message=told), flags


def _gone(moment: Moment, name: str, known: Profile | None, rows: int) -> tuple[ColumnMeasurement, Any]:
    """Returns what is said of a column that no request of the window has: it is missing in all of them, if they are
    known to have it."""
    import numpy as np

    missing = known is not None and known.complete and moment.monitor.measure in (ANY, MISSING)
    if not missing or not expected(moment, name):
        return ColumnMeasurement(name, None, message=GONE), None
    return ColumnMeasurement(name, 1.0, message=GONE), np.ones(rows, dtype=bool)


def _new(moment: Moment, before: Any, now: Any) -> tuple[str, ...]:
    """Returns a sentence about columns of requests that the reference does not have."""
    new = [str(name) for name in now.columns if name not in before.columns]
    are = "is" if len(new) == 1 else "are"
    return (f"{count(len(new), 'column')} of the requests {are} not in the reference",) if new else ()
