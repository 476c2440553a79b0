"""Two tables, column by column: how far the current rows are from the reference, and whether that is more than chance.

The value of the whole is that of one column: the one that is least likely by chance where a chance is asked for, else
the one that is farthest away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..domain.frozen import Frozen
from ..domain.monitoring import ColumnMeasurement, Histogram
from ..quality.bootstrap import holm
from .columns import Column
from .statistics import distances
from .statistics.bins import binned, is_continuous
from .statistics.resampling import exchanged
from .statistics.tails import Law, Stricter, null_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

LEAST_CELLS = 10
GONE = "no request has it"
_SHOWN_VALUES = 20
_OTHERS = "others"
_LONGEST_NAME = 80
# Digits of a share in a histogram, which is looked at.
_DIGITS = 5


class Compared(Frozen):
    """The columns that were compared, in their order, and the one that stands for all."""

    columns: tuple[ColumnMeasurement, ...]
    value: float | None = None
    critical: float | None = None
    p_value: float | None = None
    """Of the whole: the smallest one, corrected for the number of columns."""
    column: str = ""
    """The one that value and critical are of."""


def compare(
    measure: str,
    reference: Mapping[str, Column],
    current: Mapping[str, Column],
    *,
    nulls: Mapping[str, Law] | None = None,
    chance: float | None = None,
) -> Compared:
    """Compares each column of the reference with the current one. With `chance`, the share of windows without any
    change that may be beyond it (0..1), `nulls` has what is known of each column without any change."""
    columns = [_column(measure, each, current.get(name), nulls) for name, each in reference.items()]
    known = [each for each in columns if each.value is not None]
    if not known:
        return Compared(tuple(columns))
    if nulls is None or chance is None:
        first = max(known, key=lambda each: each.value or 0.0)
        return Compared(tuple(columns), first.value, column=first.column, p_value=None)
    found = _judged(columns, nulls, chance)
    if measure != distances.WASSERSTEIN:
        return found
    held = _held_against_exchanges(found, reference, current, nulls)
    made = [
        replace(each, p_value=held[each.column].p_value(each.value or 0.0)) if each.column in held else each
        for each in columns
    ]
    return _judged(made, {**nulls, **held}, chance) if held else found


def _held_against_exchanges(
    found: Compared, reference: Mapping[str, Column], current: Mapping[str, Column], nulls: Mapping[str, Law]
) -> Mapping[str, Stricter]:
    """Returns what is known of the columns that are beyond their critical values, now with the distances of their own
    rows exchanged: what a long tail does is not seen otherwise."""
    samples = {
        each.column: (reference[each.column].cells, current[each.column].cells)
        for each in found.columns
        if each.value is not None and each.critical is not None and each.value > each.critical
    }
    drawn = exchanged({name: both for name, both in samples.items() if is_continuous(both[0])})
    return {name: Stricter((nulls[name], null_of(distances.WASSERSTEIN, each))) for name, each in drawn.items()}


def _judged(columns: Sequence[ColumnMeasurement], nulls: Mapping[str, Law], chance: float) -> Compared:
    """Gives each column its critical value after Holm's step-down correction (1979), in which the n-th least likely of
    k columns is held against chance / (k - n + 1)."""
    known = [each for each in columns if each.value is not None and each.p_value is not None]
    adjusted = holm([each.p_value or 0.0 for each in known])
    order = sorted(range(len(known)), key=lambda place: (known[place].p_value or 0.0, -(known[place].value or 0.0)))
    critical = {
        known[place].column: nulls[known[place].column].critical(chance / (len(known) - rank))
        for rank, place in enumerate(order)
    }
    made = tuple(_with_critical(each, critical.get(each.column)) for each in columns)
    first = known[order[0]]
    return Compared(made, first.value, critical[first.column], adjusted[order[0]], first.column)


def _with_critical(column: ColumnMeasurement, critical: float | None) -> ColumnMeasurement:
    return ColumnMeasurement(column.column, column.value, critical, column.p_value, column.histogram, column.message)


def _column(
    measure: str, reference: Column, current: Column | None, nulls: Mapping[str, Law] | None
) -> ColumnMeasurement:
    why = _unfit(measure, reference, current)
    if why or current is None:
        return ColumnMeasurement(reference.name, None, message=why)
    value = distances.distance(measure, reference.cells, current.cells)
    if nulls is None:
        chance = distances.p_value(measure, reference.cells, current.cells)
    else:
        chance = nulls[reference.name].p_value(value)
    return ColumnMeasurement(reference.name, value, p_value=chance, histogram=histogram(reference.cells, current.cells))


def _unfit(measure: str, reference: Column, current: Column | None) -> str:
    """Returns in words why a column is not compared; empty if it is."""
    if reference.unfit:
        return reference.unfit
    if len(reference.cells) < LEAST_CELLS:
        return f"the reference has {len(reference.cells)} values; at least {LEAST_CELLS} are needed"
    why = distances.unfit(measure, reference.cells)
    if why:
        return why
    if current is None:
        return GONE
    if current.foreign and len(current.cells) < LEAST_CELLS:
        kind = "numbers" if reference.numeric else "words"
        return f"{current.foreign} of {current.rows} values are no {kind}, as the reference has them"
    if len(current.cells) < LEAST_CELLS:
        return f"{len(current.cells)} of {current.rows} requests have a value; at least {LEAST_CELLS} are needed"
    return ""


def fit(measure: str, reference: Mapping[str, Column], current: Mapping[str, Column]) -> dict[str, Column]:
    """Returns the columns of the reference that can be compared."""
    return {name: each for name, each in reference.items() if not _unfit(measure, each, current.get(name))}


def histogram(reference: Array, current: Array) -> Histogram:
    """Returns the shares of both, by the bins that PSI has; of many values the commonest. Values that the reference
    does not have are counted and not named: what one request alone says is nobody else's business."""
    found = binned(reference, current)
    before, now = found.shares
    if found.edges is not None:
        return Histogram(_rounded(before), _rounded(now), edges=tuple(float(f"{edge:.6g}") for edge in found.edges))
    assert found.values is not None
    known = found.reference > 0
    order = (-(before + now) * known).argsort(kind="stable")[: int(known.sum())]
    shown = sorted(order[:_SHOWN_VALUES].tolist())
    names = [_name(found.values[place]) for place in shown]
    shares = [[float(each[place]) for place in shown] for each in (before, now)]
    rest = len(before) - len(shown)
    if rest:
        names.append(f"{rest} {_OTHERS}")
        for each in shares:
            each.append(max(0.0, 1.0 - sum(each)))
    return Histogram(_rounded(shares[0]), _rounded(shares[1]), names=tuple(names))


def _name(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def _rounded(shares: Any) -> tuple[float, ...]:
    return tuple(round(float(share), _DIGITS) for share in shares)
