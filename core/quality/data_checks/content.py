"""What is in the columns: missing values, values out of range, categories that are new, rows that come twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ...domain.text.format import count
from ...domain.verdicts import CheckResult, Verdict
from ..bootstrap import holm
from ..column_types import plain
from .hashing import row_hashes
from .kinds import TEXT, TIME, TRUTH, in_utc, kind_of
from .profile import ColumnProfile
from .rows import SIGNIFICANT, Rows, by_column, named, result, shown


def missing(rows: Rows) -> Sequence[CheckResult]:
    """Judges the share of missing values of each column, against the limit or the training data."""
    gaps = {name: int(rows.frame[name].isna().sum()) for name in rows.columns()}
    total = max(1, len(rows.frame))
    shares = {name: number / total for name, number in gaps.items()}
    if rows.spec.max_missing is not None:
        return [by_column("missing", rows, shares, rows.spec.max_missing, "missing values")]
    known = rows.known()
    both = [name for name in gaps if name in known.columns]
    adjusted = holm([_more_than(gaps[name], total, known.columns[name].missing, known.rows) for name in both])
    bad = {
        name: f"{shares[name]:.2%} instead of {known.columns[name].missing / known.rows:.2%}"
        for name, p in zip(both, adjusted, strict=True)
        if p < SIGNIFICANT
    }
    worst = max(shares.values(), default=0.0)
    if bad:
        message = f"more values are missing than in {known.shown}, beyond chance: {named(bad)}"
        return [result("missing", rows, Verdict.FAIL, message, value=worst)]
    message = f"no more values are missing than in {known.shown}, by more than chance; at most {worst:.2%} of a column"
    return [result("missing", rows, Verdict.PASS, message, value=worst)]


def _more_than(gaps: int, rows: int, known_gaps: int, known_rows: int) -> float:
    """Returns the p-value of Fisher's exact test that the first share is not the larger one."""
    from scipy import stats

    found: Any = cast("Any", stats).hypergeom.sf(gaps - 1, rows + known_rows, gaps + known_gaps, rows)
    return float(found)


def ranges(rows: Rows) -> Sequence[CheckResult]:
    """Judges the share of each column's values that lie outside of those of the training data. Infinite ones do."""
    shares: dict[str, float] = {}
    details: dict[str, str] = {}
    for name in rows.columns():
        known = rows.known().columns.get(name)
        if name == rows.spec.time or known is None or known.low is None or kind_of(rows.frame[name]) != known.kind:
            continue  # rows of a later time are what `time` asks for
        values = plain(rows.frame[name].dropna())
        if not len(values):
            continue
        outside, low, high = _outside(values, known)
        shares[name] = outside / len(values)
        details[name] = f" ({shown(low)} … {shown(high)} instead of {shown(known.low)} … {shown(known.high)})"
    what = f"values outside of the range of {rows.known().shown}"
    return [by_column("ranges", rows, shares, rows.spec.max_out_of_range, what, details)]


def _outside(values: Any, known: ColumnProfile) -> tuple[int, Any, Any]:
    """Returns (how many are outside, the smallest, the largest)."""
    if known.kind == TIME:
        values = in_utc(values)
    elif values.dtype.kind == "O":
        values = values.astype(float)
    return int(((values < known.low) | (values > known.high)).sum()), values.min(), values.max()


def categories(rows: Rows) -> Sequence[CheckResult]:
    """Judges the share of each column's values that are words which the training data does not have."""
    shares: dict[str, float] = {}
    details: dict[str, str] = {}
    for name in rows.columns():
        known = rows.known().columns.get(name) if name != rows.spec.time else None
        if known is None or known.categories is None or kind_of(rows.frame[name]) not in (TEXT, TRUTH):
            continue
        values = plain(rows.frame[name].dropna()).map(str)
        new = values[~values.isin(known.categories)]
        shares[name] = len(new) / max(1, len(values))
        details[name] = f" ({', '.join(shown(word) for word in new.value_counts().index[:3])})"
    what = f"values that {rows.known().shown} does not have"
    return [by_column("categories", rows, shares, rows.spec.max_unseen, what, details)]


def duplicates(rows: Rows) -> Sequence[CheckResult]:
    """Judges the share of rows that have come before in the same table, by the columns that are looked at."""
    import numpy as np

    columns, total = rows.columns(), len(rows.frame)
    again = total - len(np.unique(row_hashes(rows.frame, columns)))
    share, limit = again / max(1, total), rows.spec.max_duplicates
    verdict = Verdict.FAIL if share > limit else Verdict.PASS
    message = f"{count(again, 'row')} ({share:.2%}) of {rows.shown} came before, by {count(len(columns), 'column')}"
    return [result("duplicates", rows, verdict, message, value=share, limit=limit)]
