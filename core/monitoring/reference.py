"""The rows that a window is compared with: a file, a gate's data, the first requests of a version, or earlier ones of
the same season. Of a file it keeps a sample that is drawn while it is read, and the same one each time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..domain.frozen import Frozen
from ..labels import frames
from ..labels.store import LabelStore
from ..quality import tables
from ..quality.outside.datasets import of_version
from .moment import Moment, NoData
from .window import MAX_REFERENCE_ROWS, PREDICTIONS, Window, predicted, thinned, window_of

if TYPE_CHECKING:
    from pandas import DataFrame

_SEED = 20_240_229
# How many earlier weeks, and how many earlier years.
_WEEKS, _YEARS = 12, 3
_HOUR, _WEEK = 3600.0, 7 * 86_400.0


class Reference(Frozen):
    """Rows to compare with."""

    table: DataFrame
    words: str
    """What they are, for a person."""
    until: float = 0.0
    """Requests up to this moment belong to it, and to no window; in seconds since the epoch."""
    warnings: tuple[str, ...] = ()


def load(moment: Moment, store: LabelStore) -> Reference:
    """Returns a monitor's reference that is none of a season. Raises NoData, and what reading a file raises, if there
    is none."""
    wanted = moment.monitor.reference
    if wanted.first:
        return _first(moment, store)
    if wanted.gate:
        gate = moment.project.gates[wanted.gate]
        table = _sampled(_place(moment, gate.data), gate.data)
        targets = [gate.target, *gate.targets]
        return Reference(table.drop(columns=targets, errors="ignore"), f"the data of gate {gate.name}")
    table = _sampled(_place(moment, wanted.file), wanted.file)
    if moment.monitor.of == PREDICTIONS:
        names = [name for name in table.columns if str(name).partition("[")[0].partition(".")[0] == "prediction"]
        if not names:
            hint = "add one, or compare with {first: N} or {same: weekday}"
            raise NoData(f"{wanted.file} has no column `prediction`", hint=hint)
        table = predicted(table[names[0]].tolist()) if names == ["prediction"] else table[names]
    return Reference(table, wanted.file)


def _place(moment: Moment, named: str) -> Path:
    return of_version(moment.project, named, moment.model, moment.version)


def _first(moment: Moment, store: LabelStore) -> Reference:
    number, version = moment.monitor.reference.first, moment.version
    captured = moment.monitor.of != PREDICTIONS
    requests = [*islice(store.each(version=version, captured=captured), number)]
    found = window_of(frames.of(requests, captured=captured), predictions=not captured)
    if len(requests) < number:
        raise NoData(f"{len(requests):,} of the first {number:,} requests to version {version} are kept so far")
    words = f"the first {number:,} requests to version {version}"
    gone = f"the very first are not kept any more: these are the first {number:,} that are"
    warnings = (gone,) if store.forgot(before=requests[0].at) else ()
    return Reference(thinned(found.table, MAX_REFERENCE_ROWS), words, found.end or 0.0, warnings)


def of_season(moment: Moment, store: LabelStore, window: Window) -> Reference:
    """Returns the reference of a window that is compared with earlier requests of the same season. Raises NoData if
    there are none."""
    import pandas as pd

    captured = moment.monitor.of != PREDICTIONS
    start, end = moment.start or window.start or moment.now, moment.now if moment.start else window.end or moment.now
    weekly = moment.monitor.reference.same == "weekday"
    middle = datetime.fromtimestamp((start + end) / 2, UTC)
    parts: list[Any] = []
    for after, until in _weeks(start, end) if weekly else _months(middle):
        found = frames.load(store, after, until, MAX_REFERENCE_ROWS, captured=captured)
        parts.append(window_of(found, predictions=not captured).table)
    parts = [part for part in parts if len(part)]
    words = "the same time of earlier weeks" if weekly else f"{middle:%B} of earlier years"
    if not parts:
        raise NoData(f"there are no requests of {words}: `retain: labels` says how long requests are kept")
    table = thinned(cast("Any", pd).concat(parts, ignore_index=True), MAX_REFERENCE_ROWS)
    return Reference(table, f"requests of {words}")


def _weeks(start: float, end: float) -> Iterator[tuple[float, float]]:
    """Yields (start, end) of the same time of earlier weeks, in whole hours, so that it is the same one for an hour.
    A day of the week would not do: on a Saturday morning most of the last 24 hours are a Friday's."""
    low, high = math.floor(start / _HOUR) * _HOUR, math.ceil(end / _HOUR) * _HOUR
    for week in range(_WEEKS, 0, -1):
        yield low - week * _WEEK, min(high - week * _WEEK, start)


def _months(middle: datetime) -> Iterator[tuple[float, float]]:
    """Yields (start, end) of a moment's month in earlier years, in UTC."""
    first = middle.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    for year in range(_YEARS, 0, -1):
        yield _year_before(first, year), _year_before(following, year)


def _year_before(day: datetime, years: int) -> float:
    return day.replace(year=day.year - years).timestamp()


def _sampled(path: Path, shown: str) -> Any:
    """Returns a sample of a table, drawn while it is read: each row has a random number, and the least of them stay."""
    import numpy as np
    import pandas as pd

    generator = np.random.default_rng(_SEED)
    kept: Any = pd.DataFrame()
    keys = np.empty(0)
    for part in parts(path, shown):
        kept = cast("Any", pd).concat([kept, part], ignore_index=True) if len(keys) else part
        keys = np.append(keys, generator.random(len(part)))
        if len(keys) > MAX_REFERENCE_ROWS:
            chosen = np.sort(np.argpartition(keys, MAX_REFERENCE_ROWS)[:MAX_REFERENCE_ROWS])
            kept, keys = kept.iloc[chosen], keys[chosen]
    return _plain(kept)


def _plain(table: Any) -> Any:
    """Returns a table with the types that requests can have: decimals become numbers, and so do categories of
    numbers."""
    made: dict[Any, Any] = {}
    for name in table.columns:
        cells = table[name]
        if str(cells.dtype) == "category":
            made[name] = cells.astype(cells.cat.categories.dtype)
        elif cells.dtype == object and isinstance(next(iter(cells.dropna()), None), Decimal):
            made[name] = cells.astype(float)
    return table.assign(**made) if made else table


def parts(path: Path, shown: str) -> Iterator[Any]:
    """Yields a table a part at a time. Raises NoData if it is not there, and Unmeasurable if it cannot be read."""
    if not path.exists():
        raise NoData(f"{shown} is not there", hint="it is a file of the project's directory")
    yield from tables.batches(path, shown)
