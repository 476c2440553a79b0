"""The slices of a gate's rows: those of each value of a column, where there are enough of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.frozen import Frozen
from ..domain.project import Check
from ..domain.text.format import count
from ..domain.verdicts import CheckResult, Verdict
from .checks import CheckInputs, name_of
from .metrics import Unmeasurable
from .subjects import GateData

if TYPE_CHECKING:
    from numpy.typing import NDArray

# More slices than this say that the column is a quantity or an id; judging each would mean nothing.
MAX_SLICES = 200


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
    for one in _slices(check, bench.data):
        if one.rows >= check.min_rows:
            slices.append(one)
        else:
            small.append(one.name)
    if not slices:
        raise Unmeasurable(
            f"no slice by {', '.join(check.slices)} has {count(check.min_rows, 'row')}",
            hint="Lower min_rows, or give the gate more data.",
        )
    results = judge_all(slices)
    if small:
        shown = ", ".join(small[:5]) + (" …" if len(small) > 5 else "")
        message = (
            f"{len(slices)} slices judged; {len(small)} of fewer than {count(check.min_rows, 'row')} were not: {shown}"
        )
        results.append(CheckResult(name_of(check), Verdict.PASS, message, slice="(small slices)"))
    return results


def _slices(check: Check, data: GateData) -> Iterator[Slice]:
    for column in check.slices:
        if column not in data.frame.columns:
            raise Unmeasurable(f"the gate's data has no column {column!r} to slice by")
        values = data.frame[column].astype("string").fillna("(missing)")
        counts = values.value_counts()
        if int((counts >= check.min_rows).sum()) > MAX_SLICES:
            hint = "Raise min_rows, or slice by another column."
            raise Unmeasurable(f"{column!r} has {len(counts)} values; slices are for columns with few", hint=hint)
        for value in sorted(counts.index):
            mask = (values == value).to_numpy(dtype=bool)
            yield Slice(f"{column}={str(value)[:60]}", mask, int(counts[value]))
