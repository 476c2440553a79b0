"""How the rows of a gate's table belong together: groups, series, times, how far ahead they look, and what the naive
forecast of their series errs by."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from ...domain.project import Gate, Series
from ..metrics import Units, Unmeasurable, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Fewer rows of history than this beyond a season are no measure of its naive forecast.
_LEAST_HISTORY = 2


def units_of(gate: Gate, frame: Any) -> Units:
    """Returns how the rows are drawn again. Raises Unmeasurable if a column that the gate names is missing, or has
    gaps."""
    import numpy as np

    series = gate.series or Series()
    column = gate.group or series.by
    groups = _codes(frame, column, "group" if gate.group else "series.by") if column else None
    if not series.time:
        return Units(groups)
    times = _codes(frame.assign(**{series.time: _moments(frame, series.time)}), series.time, "series.time")
    many = int(times.max(initial=-1)) + 1
    ahead = steps_of(gate, frame)
    farthest = int(ahead.max(initial=1)) if ahead is not None else 1
    # Errors of forecasts h ahead go together over h - 1 times; the cube root is the usual order of a block.
    block = max(math.ceil(many ** (1 / 3)), min(farthest, many))
    return Units(groups, np.asarray(times), block)


def steps_of(gate: Gate, frame: Any) -> NDArray[Any] | None:
    """Returns how far ahead each row looks; None if the gate does not say which column has it."""
    import numpy as np

    if gate.series is None or not gate.series.horizon:
        return None
    name = gate.series.horizon
    values = _column(frame, name, "series.horizon")
    if values.dtype.kind not in "iuf" or bool(values.isna().any()) or bool((values != values.round()).any()):
        raise Unmeasurable(f"the column {name!r} (series.horizon) has to hold whole numbers")
    return np.asarray(values.to_numpy(), dtype=np.intp)


def scale_of(gate: Gate, frame: Any, read: Callable[[str], Any]) -> NDArray[Any] | None:
    """Returns for each row the mean absolute error of the naive forecast (the value one season earlier) on its series
    in the history, which `read` returns as a table; None without a history."""
    import numpy as np

    series = gate.series
    if series is None or not series.history:
        return None
    history = read(series.history)
    needed = [name for name in (gate.target, series.by, series.time) if name]
    missing = [name for name in needed if name not in history.columns]
    if missing:
        raise Unmeasurable(
            f"{series.history} has no column {listed(missing)}", hint=f"It has: {listed(history.columns)}."
        )
    if series.time:
        history = history.iloc[_moments(history, series.time).argsort(kind="stable")]
    if not series.by:
        return np.full(len(frame), _naive(history[gate.target], series, "the series"))
    known = {name: _naive(part, series, f"series {name!r}") for name, part in _parts(gate, frame, history)}
    return np.asarray([known[name] for name in frame[series.by].tolist()], dtype=float)


def _parts(gate: Gate, frame: Any, history: Any) -> list[tuple[Any, Any]]:
    """Returns the history of each series that the rows have. Raises Unmeasurable if one has none."""
    assert gate.series is not None
    by = gate.series.by
    parts = dict(list(history.groupby(by, sort=False)[gate.target]))
    wanted = list(dict.fromkeys(frame[by].tolist()))
    without = [name for name in wanted if name not in parts]
    if without:
        raise Unmeasurable(f"{gate.series.history} has no rows of {by} {listed(without, 5)}")
    return [(name, parts[name]) for name in wanted]


def _naive(values: Any, series: Series, what: str) -> float:
    import numpy as np

    numbers = np.asarray(values.dropna().to_numpy(), dtype=float)
    if len(numbers) < series.season + _LEAST_HISTORY:
        words = f"{what} has {len(numbers)} rows in {series.history}, too few for a season of {series.season}"
        raise Unmeasurable(words)
    error = float(abs(numbers[series.season :] - numbers[: -series.season]).mean())
    if not error > 0 or not math.isfinite(error):
        raise Unmeasurable(f"{what} never changes in {series.history}: there is no naive error to compare with")
    return error


def _moments(frame: Any, name: str) -> Any:
    """Returns a column of times in a form that has an order. A CSV has text, whose order is not always that of time.
    Raises Unmeasurable for text that is no time."""
    import pandas

    column = _column(frame, name, "series.time")
    if column.dtype.kind in "iufM" or not bool(column.notna().all()):
        return column
    convert: Any = cast("Any", pandas).to_datetime
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it parses one by one
            return convert(column, utc=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise Unmeasurable(f"the column {name!r} (series.time) holds {str(column.iloc[0])[:40]!r}, no time") from error


def _codes(frame: Any, name: str, key: str) -> NDArray[Any]:
    """Returns the number of each row's value, in their order."""
    import numpy as np

    column = _column(frame, name, key)
    gaps = int(column.isna().sum())
    if gaps:
        raise Unmeasurable(f"the column {name!r} ({key}) is missing in {gaps} of {len(column)} rows")
    try:
        codes = column.factorize(sort=True)[0]
    except TypeError:  # values that have no order
        codes = column.astype("string").factorize(sort=True)[0]
    return np.asarray(codes, dtype=np.intp)


def _column(frame: Any, name: str, key: str) -> Any:
    if name not in frame.columns:
        hint = f"It has: {listed(frame.columns)}."
        raise Unmeasurable(f"the gate's data has no column {name!r} ({key})", hint=hint)
    return frame[name]
