"""The kinds of models, and the metrics by which each is judged."""

from .facts import (
    AVERAGES,
    FACTS,
    LABELS,
    MAXIMIZE,
    MINIMIZE,
    NUMBERS,
    PROBABILITIES,
    SCORES,
    WORDS,
    MetricFacts,
    is_function,
    tasks_of,
)
from .tasks import BINARY, FORECASTING, MULTICLASS, MULTILABEL, RANKING, REGRESSION, TASKS, TEXT

__all__ = [
    "AVERAGES",
    "BINARY",
    "FACTS",
    "FORECASTING",
    "LABELS",
    "MAXIMIZE",
    "MINIMIZE",
    "MULTICLASS",
    "MULTILABEL",
    "NUMBERS",
    "PROBABILITIES",
    "RANKING",
    "REGRESSION",
    "SCORES",
    "TASKS",
    "TEXT",
    "WORDS",
    "MetricFacts",
    "is_function",
    "tasks_of",
]
