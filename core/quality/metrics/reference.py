"""Scikit-learn's functions, which give every value that is reported and that it has a definition of."""

from __future__ import annotations

from typing import Any


def scored(function: str, truth: Any, answers: Any, **options: Any) -> float:
    """Returns what the function of `sklearn.metrics` returns."""
    import sklearn.metrics

    known: Any = sklearn.metrics
    return float(getattr(known, function)(truth, answers, **options))
