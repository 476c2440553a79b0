"""Drift between the training data and the rows of a gate: how far the distributions of a column are apart, and whether
that may be chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ...domain.frozen import Frozen
from ...domain.text.format import count
from ...domain.verdicts import CheckResult, Verdict
from ..bootstrap import holm
from ..column_types import plain
from .kinds import EMPTY, NUMBER, TEXT, TRUTH, kind_of
from .rows import SIGNIFICANT, Rows, named, result, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 10
# Numbers with so few different values are compared value by value, as words are.
_FEW = 20
# Words beside the most frequent ones count as one.
WORDS = 50
# What a share of an empty bin is taken for, as Evidently does: the logarithm of 0 is no number.
_EMPTY_SHARE = 1e-4


class _Distance(Frozen):
    psi: float
    p: float


def drift(rows: Rows) -> Sequence[CheckResult]:
    """Judges the population stability index of each column. One above the limit fails if a two-sample test (of
    Kolmogorov and Smirnov for numbers, chi-squared for words) finds it significant after Holm's correction."""
    known, limit = rows.known(), rows.spec.max_drift
    found: dict[str, _Distance] = {}
    for name in rows.columns():
        if name in known.sample.columns and name != rows.spec.time:
            distance = _distance(plain(known.sample[name]), plain(rows.frame[name]))
            if distance is not None:
                found[name] = distance
    if not found:
        message = f"{rows.shown} and {known.shown} have no column of numbers or words in common"
        return [result("drift", rows, Verdict.ERROR, message, limit=limit)]
    adjusted = dict(zip(found, holm([each.p for each in found.values()]), strict=True))
    far = {name: each for name, each in found.items() if each.psi > limit}
    sure = {name: f"{each.psi:.3f}" for name, each in far.items() if adjusted[name] < SIGNIFICANT}
    worst = max(found, key=lambda name: found[name].psi)
    verdict = Verdict.FAIL if sure else Verdict.INCONCLUSIVE if far else Verdict.PASS
    if sure:
        message = f"the index is above {limit:g} for {named(sure)}"
    elif far:
        words = named({name: f"{each.psi:.3f}" for name, each in far.items()})
        message = f"the index is above {limit:g} for {words}, which {count(len(rows.frame), 'row')} cannot tell from"
        message += f" chance (p {min(adjusted[name] for name in far):.2g} after Holm)"
    else:
        message = f"the index of {count(len(found), 'column')} is at most {found[worst].psi:.3f} ({shown(worst)})"
    return [result("drift", rows, verdict, f"{message}, against {known.shown}", value=found[worst].psi, limit=limit)]


def _distance(reference: Any, current: Any) -> _Distance | None:
    """Returns how far the second column is from the first; None for kinds that cannot be compared."""
    kinds = {kind_of(reference), kind_of(current)} - {EMPTY}
    if kinds == {NUMBER}:
        return _of_numbers(reference.to_numpy(dtype=float), current.to_numpy(dtype=float))
    if kinds and kinds <= {TEXT, TRUTH}:
        return _of_words(reference, current)
    return None


def _of_numbers(reference: NDArray[Any], current: NDArray[Any]) -> _Distance:
    """Bins are the reference's deciles; missing and infinite values are a bin of their own."""
    import numpy as np
    import pandas
    from scipy import stats

    finite, now = reference[np.isfinite(reference)], current[np.isfinite(current)]
    if len(np.unique(finite)) <= _FEW:
        return _of_words(pandas.Series(reference), pandas.Series(current))
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, BINS + 1))[1:-1]) if len(finite) else np.empty(0)
    counts = [
        np.append(np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1), size - len(values))
        for values, size in ((finite, len(reference)), (now, len(current)))
    ]
    gaps = _chi2(np.asarray([[len(finite), counts[0][-1]], [len(now), counts[1][-1]]]))
    if not len(finite) or not len(now):
        return _Distance(psi(*counts), gaps)
    test: Any = cast("Any", stats).ks_2samp(finite, now, method="asymp")
    return _Distance(psi(*counts), min(1.0, 2 * min(float(test.pvalue), gaps)))


def _of_words(reference: Any, current: Any) -> _Distance:
    import numpy as np

    before, now = (values.astype(object).where(values.notna(), "").map(str) for values in (reference, current))
    frequent = before.value_counts().index[:WORDS]
    counts = [values.where(values.isin(frequent), "\0other").value_counts() for values in (before, now)]
    names = list(dict.fromkeys([*counts[0].index, *counts[1].index]))
    table = np.asarray([[each.get(name, 0) for name in names] for each in counts])
    return _Distance(psi(table[0], table[1]), _chi2(table))


def psi(reference: NDArray[Any], current: NDArray[Any]) -> float:
    """Returns the population stability index of two rows of counts over the same bins: the sum of (q − p) · ln(q / p)
    over the shares of both (Siddiqi, Credit Risk Scorecards, 2006)."""
    import numpy as np

    p, q = reference / max(1, reference.sum()), current / max(1, current.sum())
    either = (p > 0) | (q > 0)
    p, q = np.maximum(p[either], _EMPTY_SHARE), np.maximum(q[either], _EMPTY_SHARE)
    return float(((q - p) * np.log(q / p)).sum())


def _chi2(table: NDArray[Any]) -> float:
    from scipy import stats

    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not bool((table.sum(axis=1) > 0).all()):
        return 1.0
    test: Any = cast("Any", stats).chi2_contingency(table, correction=False)
    return float(test.pvalue)
