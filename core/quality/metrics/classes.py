"""Metrics of labels: accuracy, precision, recall and F1, for two classes, many, and several at a time.

An average over classes is one over those that occur in the rows' truth (scikit-learn's `labels=`): a slice without a
class is not judged by it, and candidate and champion are averaged over the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...domain.metrics import BINARY, MULTILABEL
from .model import ModelAnswers, Statistic
from .options import Options, place_of
from .reference import scored
from .statistics import Hits, Sums, beside_ones, mean, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .model import Floats


def accuracy(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the share of rows that are answered right; of several labels, all of them."""
    assert answers.labels is not None
    right = answers.labels == answers.truth
    return Sums(beside_ones(right.all(axis=1) if answers.task == MULTILABEL else right), mean)


def exact_accuracy(answers: ModelAnswers, options: Options) -> float:
    return scored("accuracy_score", answers.truth, answers.labels)


def precision(answers: ModelAnswers, options: Options) -> Statistic:
    return _counted("precision", answers, options)


def recall(answers: ModelAnswers, options: Options) -> Statistic:
    return _counted("recall", answers, options)


def f1(answers: ModelAnswers, options: Options) -> Statistic:
    return _counted("f1", answers, options)


def exact_precision(answers: ModelAnswers, options: Options) -> float:
    return _exact("precision_score", answers, options)


def exact_recall(answers: ModelAnswers, options: Options) -> float:
    return _exact("recall_score", answers, options)


def exact_f1(answers: ModelAnswers, options: Options) -> float:
    return _exact("f1_score", answers, options)


def _counted(name: str, answers: ModelAnswers, options: Options) -> Statistic:
    import numpy as np

    assert answers.labels is not None

    def combine(hits: Floats, answered: Floats, there: Floats) -> float:
        return _averaged(name, hits, answered, there, place, options.average)

    place = _place(answers, options)
    if answers.task != MULTILABEL:
        return Hits(answers.truth, answers.labels, max(2, len(answers.classes)), combine)
    truth, labels = answers.truth.astype(np.int8), answers.labels.astype(np.int8)
    terms, many = np.hstack([truth * labels, labels, truth]), truth.shape[1]
    return Sums(terms, lambda sums: combine(sums[:many], sums[many : 2 * many], sums[2 * many :]))


def _averaged(name: str, hits: Floats, answered: Floats, there: Floats, place: int | None, average: str) -> float:
    """Returns precision, recall or F1 of the counts: of the class at `place`, or the average."""
    if place is not None:
        return float(_of(name, hits, answered, there)[place])
    if average == "micro":
        return float(_of(name, *(each.sum(keepdims=True) for each in (hits, answered, there)))[0])
    present = there > 0
    if not present.any():
        return 0.0
    each = _of(name, hits, answered, there)[present]
    return float(each.mean() if average == "macro" else (each * there[present]).sum() / there.sum())


def _of(name: str, hits: Floats, answered: Floats, there: Floats) -> NDArray[Any]:
    if name == "f1":
        return ratio(2 * hits, answered + there)
    return ratio(hits, answered if name == "precision" else there)


def _place(answers: ModelAnswers, options: Options) -> int | None:
    """Returns the place of the class that is measured; None for an average."""
    if options.of_class is not None:
        return place_of(options.of_class, answers)
    return 1 if answers.task == BINARY and not options.average else None


def _exact(function: str, answers: ModelAnswers, options: Options) -> float:
    import numpy as np

    truth, labels = answers.truth, answers.labels
    place = _place(answers, options)
    if place is not None:
        truth, labels = _one(truth, place), _one(labels, place)
        return scored(function, truth, labels, zero_division=0)
    several = answers.task == MULTILABEL
    there = truth.sum(axis=0) if several else np.bincount(truth.astype(int), minlength=max(2, len(answers.classes)))
    chosen = np.arange(len(there)) if options.average == "micro" else np.flatnonzero(there)
    if not chosen.size:
        return 0.0
    return scored(function, truth, labels, labels=chosen, average=options.average, zero_division=0)


def _one(values: Any, place: int) -> NDArray[Any]:
    """Returns 1 where the class at `place` is, else 0."""
    return values[:, place] if values.ndim > 1 else (values == place).astype(int)
