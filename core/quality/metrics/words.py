"""Metrics of text: whether an answer is exactly the expected one, and how many of its words are."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from .model import ModelAnswers, Statistic
from .options import Options
from .statistics import Sums, beside_ones, mean

if TYPE_CHECKING:
    from .model import Floats

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the share of answers that are the expected text, but for white space around it and the form of composed
    letters (Unicode NFC)."""
    return Sums(beside_ones(_each(answers, _equal)), mean)


def token_f1(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the mean F1 of the words of answer and expected text, as SQuAD's evaluation has it (Rajpurkar et al.
    2016): without case, punctuation and the English articles; two texts without words are equal."""
    return Sums(beside_ones(_each(answers, shared)), mean)


def shared(truth: str, answer: str) -> float:
    """Returns the F1 of the words of two texts."""
    expected, given = _tokens(truth), _tokens(answer)
    if not expected or not given:
        return float(expected == given)
    common = sum((Counter(expected) & Counter(given)).values())
    return 2 * common / (len(expected) + len(given))


def _equal(truth: str, answer: str) -> float:
    return float(_plain(truth) == _plain(answer))


def _each(answers: ModelAnswers, compare: Callable[[str, str], float]) -> Floats:
    import numpy as np

    assert answers.labels is not None
    pairs = zip(answers.truth.tolist(), answers.labels.tolist(), strict=True)
    return np.asarray([compare(truth, answer) for truth, answer in pairs], dtype=float)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _tokens(text: str) -> list[str]:
    lowered = unicodedata.normalize("NFC", text).lower().translate(_PUNCTUATION)
    return _ARTICLES.sub(" ", lowered).split()
