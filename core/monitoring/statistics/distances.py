"""Distances of two samples of one column. The tests compare each with Evidently's on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .bins import binned, is_continuous, without_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

PSI, JS, WASSERSTEIN, KS, CHI2 = "psi", "js", "wasserstein", "ks", "chi2"
# Of numbers alone, and of categories alone; the others are of both.
OF_NUMBERS, OF_CATEGORIES = (WASSERSTEIN, KS), (CHI2,)
# A deviation below this one does not scale a distance.
_LEAST_DEVIATION = 0.001
# The exact p-value of Kolmogorov and Smirnov's test costs a step for each pair of rows.
_MAX_PAIRS = 4_000_000


def distance(measure: str, reference: Array, current: Array) -> float:
    """Returns the distance of `current` from `reference`: 0 if they are the same, larger the more they differ. Both
    have rows, and no missing ones."""
    return _DISTANCES[measure](reference, current)


def psi(reference: Array, current: Array) -> float:
    """Returns the population stability index, the sum of (c - r) ln(c / r) over bins: the symmetric Kullback-Leibler
    divergence (Siddiqi, Credit Risk Scorecards, 2006)."""
    shares = binned(reference, current).shares
    return float(psi_of_shares(*shares))


def psi_of_shares(reference: Array, current: Array) -> Any:
    """Returns the index of shares over the same bins; the last axis has the bins, the others are kept."""
    import numpy as np

    reference, current = without_zeros(reference), without_zeros(current)
    return ((reference - current) * np.log(reference / current)).sum(axis=-1)


def js(reference: Array, current: Array) -> float:
    """Returns the Jensen-Shannon distance, the root of the divergence in natural units, 0 to 0.8326 (Endres and
    Schindelin, 2003)."""
    return float(js_of_shares(*binned(reference, current).shares))


def js_of_shares(reference: Array, current: Array) -> Any:
    """Returns the distance of shares over the same bins; the last axis has the bins, the others are kept."""
    from scipy.spatial.distance import jensenshannon

    return cast("Any", jensenshannon)(reference, current, axis=-1)


def wasserstein(reference: Array, current: Array) -> float:
    """Returns the earth mover's distance in standard deviations of the reference (of 0.001 at least)."""
    import numpy as np
    from scipy import stats

    moved = float(cast("Any", stats).wasserstein_distance(reference, current))
    return moved / max(float(np.std(reference)), _LEAST_DEVIATION)


def ks(reference: Array, current: Array) -> float:
    """Returns Kolmogorov and Smirnov's statistic, the largest difference of the two distribution functions, 0..1."""
    import numpy as np

    first, second = np.sort(reference), np.sort(current)
    everything = np.concatenate([first, second])
    below = np.searchsorted(first, everything, side="right") / len(first)
    return float(np.abs(below - np.searchsorted(second, everything, side="right") / len(second)).max())


def ks_p_value(reference: Array, current: Array) -> float:
    """Returns the p-value of Kolmogorov and Smirnov's test of two samples: exact for small ones, scipy's approximation
    for large ones."""
    from scipy import stats

    few = len(reference) * len(current) <= _MAX_PAIRS
    return float(cast("Any", stats).ks_2samp(reference, current, method="auto" if few else "asymp").pvalue)


def chi2(reference: Array, current: Array) -> float:
    """Returns Pearson's chi-square per row of `current`, so that windows of different sizes compare."""
    found = binned(reference, current)
    return float(chi2_of_counts(found.reference, found.current)) / len(current)


def chi2_of_counts(reference: Array, current: Array) -> Any:
    """Returns Pearson's statistic of `current` against the shares of `reference`. A value that the reference never
    had is expected as often as one row of it would be. The last axis has the values, the others are kept."""
    import numpy as np

    scale = current.sum(axis=-1, keepdims=True) / reference.sum(axis=-1, keepdims=True)
    expected = np.maximum(reference, 1) * scale
    # A value that neither has is no value: it neither was expected nor came.
    return np.where((reference > 0) | (current > 0), (current - expected) ** 2 / expected, 0.0).sum(axis=-1)


def chi2_p_value(reference: Array, current: Array) -> float:
    """Returns the p-value of Pearson's test, with one degree of freedom less than there are values."""
    from scipy.stats import chi2 as distribution

    found = binned(reference, current)
    values = len(found.reference)
    if values < 2:
        return 1.0
    return float(cast("Any", distribution).sf(float(chi2_of_counts(found.reference, found.current)), values - 1))


def p_value(measure: str, reference: Array, current: Array) -> float | None:
    """Returns what theory says of the chance of such a distance without any change; None where it says nothing."""
    if measure == KS:
        return ks_p_value(reference, current)
    return chi2_p_value(reference, current) if measure == CHI2 else None


def unfit(measure: str, reference: Array) -> str:
    """Returns in words why a measure does not fit a column; empty if it does."""
    numbers = reference.dtype.kind in "iuf"
    if measure in OF_NUMBERS and not numbers:
        return f"{measure} compares numbers, and this column has categories"
    if measure in OF_CATEGORIES and is_continuous(reference):
        return f"{measure} compares categories, and this column has numbers"
    return ""


_DISTANCES = {PSI: psi, JS: js, WASSERSTEIN: wasserstein, KS: ks, CHI2: chi2}
