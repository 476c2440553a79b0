"""The slices of a gate's rows: those of each value of a column, where there are enough of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.frozen import Frozen
from ..domain.project import Check
from ..domain.text import one_line
from ..domain.text.format import count
from ..domain.verdicts import CheckResult, Verdict
from .checks import CheckInputs, name_of
from .metrics import Unmeasurable
from .subjects import GateData

if TYPE_CHECKING:
    from numpy.typing import NDArray

# More slices than this say that the column is a quantity or an id; judging each would mean nothing.
MAX_SLICES = 200
_NAMED = 5


class Slice(Frozen):
    name: str
    mask: NDArray[Any]
    rows: int


def sliced(
    check: Check, bench: CheckInputs, judge_all: Callable[[Sequence[Slice]], list[CheckResult]]
) -> Sequence[CheckResult]:
    """Returns what `judge_all` says of the slices that are large enough, and which are not."""
    small: list[str] = []
    slices: list[Slice] = []
    for column in check.slices:
        found, others = slices_by(bench.data, column, check.min_rows)
        slices += found
        small += others
    if not slices:
        raise Unmeasurable(
            f"no slice by {', '.join(check.slices)} has {count(check.min_rows, 'row')}",
            hint="Lower min_rows, or give the gate more data.",
        )
    results = judge_all(slices)
    if small:
        message = f"{count(len(slices), 'slice')} judged; {not_judged(small, check.min_rows)}"
        results.append(CheckResult(name_of(check), Verdict.PASS, message, slice="(small slices)"))
    return results


def slices_by(data: GateData, column: str, least: int) -> tuple[list[Slice], list[str]]:
    """Returns the slices of at least `least` rows in the order of their values, and the names of the smaller ones.
    Rows without a value are a slice of their own. Raises Unmeasurable if there is no such column, or if it has too many
    slices."""
    if column not in data.frame.columns:
        raise Unmeasurable(f"the gate's data has no column {column!r} to slice by")
    values = data.frame[column].astype("string").fillna("(missing)")
    counts = values.value_counts().sort_index()
    large = counts[counts >= least]
    if len(large) > MAX_SLICES:
        hint = "Raise min_rows, or slice by another column."
        raise Unmeasurable(f"{column!r} has {len(counts)} values; slices are for columns with few", hint=hint)
    # Only here, each value is compared with all rows: of the small ones there may be as many as rows.
    slices = [
        Slice(_name(column, value), (values == value).to_numpy(dtype=bool), int(rows)) for value, rows in large.items()
    ]
    return slices, [_name(column, value) for value in counts[counts < least].index]


def not_judged(small: Sequence[str], least: int) -> str:
    """Returns in words that slices of fewer than `least` rows were not judged, and the first of them."""
    shown = ", ".join(small[:_NAMED]) + (" …" if len(small) > _NAMED else "")
    return f"{len(small)} of fewer than {count(least, 'row')} were not judged: {shown}"


def _name(column: str, value: Any) -> str:
    return f"{column}={one_line(str(value))[:60]}"
