"""The kinds of models that a gate judges."""

from __future__ import annotations

BINARY = "binary"
MULTICLASS = "multiclass"
MULTILABEL = "multilabel"
REGRESSION = "regression"
FORECASTING = "forecasting"
RANKING = "ranking"
TEXT = "text"
TASKS = (BINARY, MULTICLASS, MULTILABEL, REGRESSION, FORECASTING, RANKING, TEXT)
