"""Monitors of drift: how far the latest inputs or predictions are from the reference. Runs in a child process
(apart.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..domain.monitoring import ColumnMeasurement, Measurement
from ..domain.project import MonitorSpec
from ..domain.text import one_line
from ..labels.store import LabelStore
from . import reference as references
from . import window as windows
from .columns import Column, column, columns
from .comparison import Compared, compare, fit
from .moment import Moment, NoData
from .nulls import nulls
from .rates import chance
from .reference import Reference
from .window import MAX_REQUESTS, Window

# Columns that a sentence names.
_NAMED = 5


def measure(moment: Moment) -> Measurement:
    """Returns the distance of the latest requests from the reference, by column and of the whole. Raises NoData if
    there is nothing to compare."""
    moment.require_service()
    reference, window = sides(moment)
    before = columns(reference.table, moment.monitor.columns)
    now = alike(before, window)
    found = _compared(moment, before, now)
    if found.value is None:
        why = found.columns[0].message if found.columns else "the reference has none of these columns"
        raise NoData(f"no column can be compared: {why}")
    return moment.measured(
        found.value,
        start=window.start,
        end=window.end,
        rows=window.rows,
        version=window.version,
        critical=found.critical,
        p_value=found.p_value,
        columns=(*found.columns, *_absent(moment.monitor, before)),
        warnings=(*warnings_of(moment.monitor, reference, window), *vanished(moment, before, window)),
        message=_words(found, reference),
    )


def _words(found: Compared, reference: Reference) -> str:
    """Says which column stands for all: by a rate of false alarms that need not be the farthest one."""
    if found.critical is None:
        return f"{found.column} is the farthest from {reference.words}"
    return f"{found.column} is the least likely by chance, beside {reference.words}"


def sides(moment: Moment) -> tuple[Reference, Window]:
    """Returns what is compared: the reference, and the window of requests after it."""
    with LabelStore.open(moment.project.state, moment.monitor.environment) as store:
        store.collect()
        if moment.monitor.reference.same:
            window = windows.latest(moment, store)
            return references.of_season(moment, store, window), window
        reference = references.load(moment, store)
        return reference, windows.latest(moment, store, after=reference.until)


def alike(before: Mapping[str, Column], window: Window) -> dict[str, Column]:
    """Returns the window's columns as the types of the reference's."""
    table: Any = window.table
    return {name: column(name, table[name], like) for name, like in before.items() if name in table}


def _compared(moment: Moment, before: Mapping[str, Column], now: Mapping[str, Column]) -> Compared:
    measured, stated = moment.monitor.measure, chance(moment.project, moment.monitor)
    if stated is None:
        return compare(measured, before, now)
    usable = fit(measured, before, now)
    sizes = {name: len(now[name].cells) for name in usable}
    known = nulls(moment.project.state, moment.monitor.name, measured, usable, sizes)
    return compare(measured, before, now, nulls=known, chance=stated)


def _absent(monitor: MonitorSpec, before: Mapping[str, Column]) -> list[ColumnMeasurement]:
    return [
        ColumnMeasurement(name, None, message="the reference does not have it")
        for name in monitor.columns
        if name not in before
    ]


def expected(moment: Moment, name: str) -> bool:
    """Tells whether requests are known to have a column: those of the reference had it, or the monitor names it. A file
    may have what no request has, such as the target."""
    spec, environment = moment.monitor.reference, moment.project.environments.get(moment.monitor.environment)
    if environment is not None and name in environment.never_kept:
        return False
    return name in moment.monitor.columns or bool(spec.first or spec.same)


def vanished(moment: Moment, before: Iterable[Any], window: Window) -> tuple[str, ...]:
    """Returns a sentence about columns that requests are known to have, and none of the window has."""
    table: Any = window.table
    gone = [one_line(str(each)) for each in before if each not in table and expected(moment, str(each))]
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    return (f"no request of the window has {', '.join(gone[:_NAMED])}{more}",) if gone else ()


def warnings_of(monitor: MonitorSpec, reference: Reference, window: Window) -> tuple[str, ...]:
    """Returns why the value may not hold, in words."""
    found = [*reference.warnings]
    if len(reference.table) < window.rows:
        found.append(f"the reference has fewer rows ({len(reference.table):,}) than the window ({window.rows:,})")
    if monitor.rows is not None and window.rows < monitor.rows:
        found.append(f"{window.rows:,} of {monitor.rows:,} rows so far")
    if monitor.rows is None and window.rows >= MAX_REQUESTS:
        found.append(f"the window has more: the newest {window.rows:,} rows were looked at")
    if len(window.table) < window.rows:
        found.append(f"{len(window.table):,} of {window.rows:,} rows, evenly spaced, were compared")
    if len(window.versions) > 1:
        served = ", ".join(f"v{each}" for each in window.versions)
        found.append(f"several versions answered in the window: {served}")
    return tuple(found)
