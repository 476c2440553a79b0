"""What is known of each metric before anything is computed: the vocabulary that podium.yaml's checks, gates and
monitors share."""

from __future__ import annotations

from collections.abc import Mapping

from ..frozen import Frozen
from .tasks import BINARY, FORECASTING, MULTICLASS, MULTILABEL, RANKING, REGRESSION, TASKS, TEXT

AVERAGES = ("macro", "micro", "weighted")

MAXIMIZE = "maximize"
MINIMIZE = "minimize"

LABELS = "labels"
SCORES = "scores"
PROBABILITIES = "probabilities"
NUMBERS = "numbers"
WORDS = "words"


class MetricFacts(Frozen):
    """What is known of a metric by its name."""

    name: str
    goal: str
    """MAXIMIZE or MINIMIZE; empty for one that is best at `ideal`."""
    tasks: tuple[str, ...]
    """The kinds of models that it can be measured on."""
    needs: str
    """What it needs of the answers: LABELS, SCORES, PROBABILITIES, NUMBERS or WORDS."""
    options: tuple[str, ...] = ()
    """The keys that a check may have beside it: average, class, k, quantile, horizon."""
    lowest: float | None = None
    """No value is below it."""
    highest: float | None = None
    """No value is above it."""
    ideal: float | None = None
    """The best value, where neither the highest nor the lowest is."""


_CLASSES = (BINARY, MULTICLASS, MULTILABEL)
_CHANCES = (BINARY, MULTICLASS)
_AMOUNTS = (REGRESSION, FORECASTING)
_EACH = ("average", "class")
_STEP = ("horizon",)

FACTS: Mapping[str, MetricFacts] = {
    facts.name: facts
    for facts in (
        MetricFacts("roc_auc", MAXIMIZE, _CLASSES, SCORES, _EACH, 0.0, 1.0),
        MetricFacts("accuracy", MAXIMIZE, _CLASSES, LABELS, (), 0.0, 1.0),
        MetricFacts("precision", MAXIMIZE, _CLASSES, LABELS, _EACH, 0.0, 1.0),
        MetricFacts("recall", MAXIMIZE, _CLASSES, LABELS, _EACH, 0.0, 1.0),
        MetricFacts("f1", MAXIMIZE, _CLASSES, LABELS, _EACH, 0.0, 1.0),
        MetricFacts("log_loss", MINIMIZE, _CHANCES, PROBABILITIES, (), 0.0),
        MetricFacts("brier", MINIMIZE, _CHANCES, PROBABILITIES, (), 0.0, 2.0),
        MetricFacts("ece", MINIMIZE, _CHANCES, PROBABILITIES, ("class",), 0.0, 1.0),
        MetricFacts("calibration_slope", "", _CHANCES, PROBABILITIES, ("class",), ideal=1.0),
        MetricFacts("rmse", MINIMIZE, _AMOUNTS, NUMBERS, _STEP, 0.0),
        MetricFacts("mae", MINIMIZE, _AMOUNTS, NUMBERS, _STEP, 0.0),
        MetricFacts("median_ae", MINIMIZE, _AMOUNTS, NUMBERS, _STEP, 0.0),
        MetricFacts("mape", MINIMIZE, _AMOUNTS, NUMBERS, _STEP, 0.0),
        MetricFacts("smape", MINIMIZE, _AMOUNTS, NUMBERS, _STEP, 0.0, 2.0),
        MetricFacts("pinball", MINIMIZE, _AMOUNTS, NUMBERS, ("quantile", "horizon"), 0.0),
        MetricFacts("r2", MAXIMIZE, _AMOUNTS, NUMBERS, _STEP, None, 1.0),
        MetricFacts("mase", MINIMIZE, (FORECASTING,), NUMBERS, _STEP, 0.0),
        MetricFacts("ndcg", MAXIMIZE, (RANKING,), NUMBERS, ("k",), 0.0, 1.0),
        MetricFacts("map", MAXIMIZE, (RANKING,), NUMBERS, ("k",), 0.0, 1.0),
        MetricFacts("exact_match", MAXIMIZE, (TEXT,), WORDS, (), 0.0, 1.0),
        MetricFacts("token_f1", MAXIMIZE, (TEXT,), WORDS, (), 0.0, 1.0),
    )
}


def tasks_of(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the tasks on which all of these metrics can be measured; those that are not known allow every task."""
    known = [FACTS[name].tasks for name in metrics if name in FACTS]
    return tuple(task for task in TASKS if all(task in tasks for tasks in known))


def is_function(metric: str) -> bool:
    """Tells whether a metric is a function of the project's own: `metrics.py:profit`."""
    path, colon, _ = metric.rpartition(":")
    return bool(colon) and path.endswith(".py")
