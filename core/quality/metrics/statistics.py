"""The forms that metrics take, so that thousands of resamples of many rows cost little: sums over rows, counts of
classes, areas under curves, and functions of the drawn rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .model import Floats, Rows

# Distinct scores told apart while resampling; the value on all rows tells apart all of them.
MAX_GROUPS = 4096


class Sums:
    """A function of sums over rows: `terms` of shape (rows, k), and what makes a value of their k sums."""

    def __init__(self, terms: NDArray[Any], combine: Callable[[Floats], float]) -> None:
        self._terms, self._combine = terms, combine

    def value(self, rows: Rows) -> float:
        return float(self._combine(self._terms[rows].sum(axis=0, dtype=float)))


class Influence:
    """A metric by how much each row moves it: the first term of its expansion (Hájek 1968; Efron's infinitesimal
    jackknife). For averages of many curves, where the next term is too small to be seen, and each curve again too
    costly."""

    def __init__(self, value: float, influences: Floats) -> None:
        """`influences`, one per row, have the mean 0."""
        self._value, self._influences = value, influences

    def value(self, rows: Rows) -> float:
        return self._value + float(self._influences[rows].mean())


class OfRows:
    """A function of the rows' own values, such as their median."""

    def __init__(self, values: NDArray[Any], function: Callable[[NDArray[Any]], float]) -> None:
        self._values, self._function = values, function

    def value(self, rows: Rows) -> float:
        return float(self._function(self._values[rows]))


class Hits:
    """A function of three counts per class: rows of the class that are answered with it, rows answered with it, and
    rows of it."""

    def __init__(
        self,
        truth: NDArray[Any],
        labels: NDArray[Any],
        classes: int,
        combine: Callable[[Floats, Floats, Floats], float],
    ) -> None:
        """`truth` and `labels` are numbers of classes, of shape (rows)."""
        import numpy as np

        self._truth, self._labels = truth.astype(np.intp), labels.astype(np.intp)
        self._classes, self._combine = classes, combine

    def value(self, rows: Rows) -> float:
        import numpy as np

        truth, labels = self._truth[rows], self._labels[rows]
        hits = np.bincount(truth[truth == labels], minlength=self._classes)
        answered = np.bincount(labels, minlength=self._classes)
        there = np.bincount(truth, minlength=self._classes)
        return float(self._combine(hits.astype(float), answered.astype(float), there.astype(float)))


class Areas:
    """The areas under the ROC curves of several outcomes, each against the rest, and what makes one value of them."""

    def __init__(
        self, outcomes: Sequence[NDArray[Any]], scores: Sequence[Floats], combine: Callable[[Floats, Floats], float]
    ) -> None:
        """`outcomes` are 1 or 0 and `scores` numbers, of shape (rows), one of each per curve. `combine` gets the areas
        and the number of positive rows of each."""
        self._curves = [_Curve(outcome, score) for outcome, score in zip(outcomes, scores, strict=True)]
        self._combine = combine

    def value(self, rows: Rows) -> float:
        import numpy as np

        found = [curve.at(rows) for curve in self._curves]
        areas, positive = (np.asarray(column, dtype=float) for column in zip(*found, strict=True))
        return float(self._combine(areas, positive))


class _Curve:
    def __init__(self, outcome: NDArray[Any], scores: Floats) -> None:
        import numpy as np

        groups = grouped(scores)
        # One number says both the score's group and the class, so that one count of the drawn rows answers for both.
        self._keys = (groups * 2 + outcome.astype(np.intp)).astype(np.int16)
        self._length = 2 * (int(groups.max(initial=0)) + 1)

    def at(self, rows: Rows) -> tuple[float, float]:
        import numpy as np

        counts = np.bincount(self._keys[rows], minlength=self._length).astype(float)
        return area_of_counts(counts[1::2], counts[0::2]), float(counts[1::2].sum())


def grouped(scores: Floats) -> Rows:
    """Returns for each score the number of its group in ascending order, in at most MAX_GROUPS of about one size."""
    import numpy as np

    _, groups = np.unique(scores, return_inverse=True)
    distinct = int(groups.max(initial=0)) + 1
    return groups * MAX_GROUPS // distinct if distinct > MAX_GROUPS else groups


def below_and_above(positive: NDArray[Any], scores: Floats) -> tuple[Floats, Floats]:
    """Returns for each row the share of the negatives whose score is lower, and the share of the positives whose score
    is higher; equal ones count half."""
    import numpy as np

    _, groups = np.unique(scores, return_inverse=True)
    ups = np.bincount(groups, weights=positive)
    downs = np.bincount(groups) - ups
    below = (downs.cumsum() - downs / 2) / downs.sum()
    above = 1.0 - (ups.cumsum() - ups / 2) / ups.sum()
    return below[groups], above[groups]


def area_of_counts(positive: Floats, negative: Floats) -> float:
    """Returns the area under the ROC curve (the share of pairs in which the positive row has the higher score, ties
    counting half) from the number of positives and negatives per score, scores ascending; NaN without one of them."""
    pairs = float(positive.sum() * negative.sum())
    below = negative.cumsum() - negative / 2
    # Not `positive @ below`: BLAS would start threads for so small a product, and on a busy machine wait for them.
    return float((positive * below).sum() / pairs) if pairs else float("nan")


def ratio(top: Any, bottom: Any) -> Any:
    """Returns top / bottom, and 0 where the bottom is 0: scikit-learn's convention for precision without
    predictions."""
    import numpy as np

    return np.divide(top, bottom, out=np.zeros_like(np.asarray(top, dtype=float)), where=np.asarray(bottom) != 0)


def mean(sums: Floats) -> float:
    """Returns the first sum divided by the second, which counts the rows."""
    return float(ratio(sums[0], sums[1]))


def one_hot(numbers: NDArray[Any], many: int) -> NDArray[Any]:
    """Returns a column for each of `many` classes: 1 where the number is the class's, else 0."""
    import numpy as np

    return np.asarray(np.equal.outer(numbers, np.arange(many)), dtype=np.int8)


def beside_ones(*columns: Any) -> NDArray[Any]:
    """Returns the columns as terms, with a last column of ones that counts the rows."""
    import numpy as np

    return np.column_stack([*columns, np.ones(len(columns[0]))]).astype(float)
