"""Metrics of rankings: each query has a value, and the metric is their mean.

`truth` is a row's gain (0: not wanted). The value of a query stands at its first row, so that a resample of whole
queries is a sum over rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .model import ModelAnswers, Statistic, Unmeasurable
from .options import Options
from .statistics import Sums, mean, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .model import Floats, Rows


def ndcg(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the mean of each query's normalised discounted cumulative gain (Järvelin and Kekäläinen 2002) with
    scikit-learn's definition: linear gains, log2 discounts, equal scores share their places' discounts, and 0 for a
    query without a gain. A query of one row has no order and does not count."""
    return _of_queries(answers, options, _ndcg, least=2)


def average_precision(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the mean of each query's average precision: the mean, over the wanted rows that are among the first k, of
    the share of wanted rows up to there; a perfect order has 1, a query without wanted rows 0. Of equal scores the
    unwanted rows come first."""
    return _of_queries(answers, options, _precisions, least=1)


class _Queries:
    """The rows in the order of their queries. `place` counts from 0 in each query."""

    def __init__(self, groups: Rows, *keys: Any) -> None:
        """Within a query the rows are in the order of `keys`, the first one first."""
        import numpy as np

        self.order = np.lexsort((*reversed(keys), groups))
        self.starts = np.flatnonzero(np.diff(groups[self.order], prepend=-1))
        self.sizes = np.diff(self.starts, append=len(groups))
        self.place = np.arange(len(groups)) - np.repeat(self.starts, self.sizes)
        self.query = np.repeat(np.arange(len(self.starts)), self.sizes)

    def sums(self, values: Floats) -> Floats:
        import numpy as np

        return np.add.reduceat(values, self.starts)


def _of_queries(
    answers: ModelAnswers, options: Options, value: Callable[[ModelAnswers, int], tuple[_Queries, Floats]], least: int
) -> Statistic:
    import numpy as np

    if answers.units.groups is None:
        raise Unmeasurable("a ranking is judged query by query", hint="Say which column has the query: group: COLUMN.")
    queries, values = value(answers, options.k or answers.rows)
    counted = queries.sizes >= least
    if not counted.any():
        raise Unmeasurable("every query has one row only, which has no order")
    terms: NDArray[Any] = np.zeros((answers.rows, 2))
    terms[queries.order[queries.starts[counted]]] = np.column_stack([values[counted], np.ones(int(counted.sum()))])
    return Sums(terms, mean)


def _ndcg(answers: ModelAnswers, k: int) -> tuple[_Queries, Floats]:
    import numpy as np

    assert answers.units.groups is not None and answers.scores is not None
    gains = answers.truth
    by_score = _Queries(answers.units.groups, -answers.scores)
    found = by_score.sums(
        _shared(answers.scores[by_score.order], by_score, _discounts(by_score, k)) * gains[by_score.order]
    )
    by_gain = _Queries(answers.units.groups, -gains)
    best = by_gain.sums(_discounts(by_gain, k) * gains[by_gain.order])
    return by_score, np.asarray(ratio(found, best))


def _discounts(queries: _Queries, k: int) -> Floats:
    import numpy as np

    return np.where(queries.place < k, 1 / np.log2(queries.place + 2), 0.0)


def _shared(scores: Floats, queries: _Queries, discounts: Floats) -> Floats:
    """Returns the discounts with the mean of them where scores of a query are equal."""
    import numpy as np

    new = np.flatnonzero((np.diff(queries.query, prepend=-1) != 0) | (np.diff(scores, prepend=np.nan) != 0))
    sizes = np.diff(new, append=len(scores))
    return np.repeat(np.add.reduceat(discounts, new) / sizes, sizes)


def _precisions(answers: ModelAnswers, k: int) -> tuple[_Queries, Floats]:
    import numpy as np

    assert answers.units.groups is not None and answers.scores is not None
    wanted = (answers.truth > 0).astype(float)
    queries = _Queries(answers.units.groups, -answers.scores, wanted)
    hits = wanted[queries.order]
    before = np.concatenate([[0.0], hits.cumsum()])
    so_far = before[1:] - np.repeat(before[queries.starts], queries.sizes)
    precision = np.where(queries.place < k, hits * so_far / (queries.place + 1), 0.0)
    return queries, np.asarray(ratio(queries.sums(precision), np.minimum(queries.sums(hits), k)))
