"""The metrics that a gate knows by name, each with how it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ... import plugins
from ...domain.metrics import FACTS, MAXIMIZE, MINIMIZE, MULTICLASS, MULTILABEL
from ...domain.project import Check
from . import classes, curves, numbers, probabilities, queries, words
from .metric import Compute, Metric, Prepare
from .model import ModelAnswers, Unmeasurable
from .options import Options

_COMPUTED: Mapping[str, tuple[Prepare, Compute | None]] = {
    "roc_auc": (curves.roc_auc, curves.exact_roc_auc),
    "accuracy": (classes.accuracy, classes.exact_accuracy),
    "precision": (classes.precision, classes.exact_precision),
    "recall": (classes.recall, classes.exact_recall),
    "f1": (classes.f1, classes.exact_f1),
    "log_loss": (probabilities.log_loss, probabilities.exact_log_loss),
    "brier": (probabilities.brier, None),
    "ece": (probabilities.ece, None),
    "calibration_slope": (probabilities.calibration_slope, probabilities.exact_calibration_slope),
    "rmse": (numbers.rmse, numbers.exact_rmse),
    "mae": (numbers.mae, numbers.exact_mae),
    "median_ae": (numbers.median_ae, numbers.exact_median_ae),
    "mape": (numbers.mape, numbers.exact_mape),
    "smape": (numbers.smape, None),
    "pinball": (numbers.pinball, numbers.exact_pinball),
    "r2": (numbers.r2, numbers.exact_r2),
    "mase": (numbers.mase, None),
    "ndcg": (queries.ndcg, None),
    "map": (queries.average_precision, None),
    "exact_match": (words.exact_match, None),
    "token_f1": (words.token_f1, None),
}

_FLOORS: Mapping[str, Compute] = {"ece": probabilities.ece_floor}

METRICS: Mapping[str, Metric] = {
    name: Metric(FACTS[name], *computed, floor=_FLOORS.get(name)) for name, computed in _COMPUTED.items()
}


def named(name: str, goal: str = "", options: Options = Options()) -> Metric:  # noqa: B008 - it is frozen
    """Returns the metric of that name. Raises Unmeasurable for an unknown name, and for a `goal` that contradicts
    it."""
    metric = METRICS.get(name) or _of_a_package(name)
    if goal and goal != metric.goal:
        better = {MAXIMIZE: "the higher", MINIMIZE: "the lower"}.get(metric.goal, f"the nearer to {metric.facts.ideal}")
        raise Unmeasurable(f"{name} is better {better} it is, but the check says goal: {goal}")
    return replace(metric, options=options)


def asked(check: Check) -> Metric:
    """Returns the metric that a check asks for, with its options."""
    return named(check.metric, check.goal, Options.of(check))


def usual(answers: ModelAnswers) -> list[Metric]:
    """Returns what a report measures besides its checks: every metric, averaged over the classes where there are
    more than two."""
    several = answers.task in (MULTICLASS, MULTILABEL)
    average = Options(average="macro")
    return [
        replace(metric, options=average) if several and "average" in metric.facts.options else metric
        for metric in METRICS.values()
    ]


def _of_a_package(name: str) -> Metric:
    """Returns a Metric that another package brings by an entry point of `podium.metrics`."""
    added = plugins.added("metrics")
    if name not in added:
        hint = f"It knows {', '.join([*METRICS, *added])}."
        raise Unmeasurable(f"the gate does not know the metric {name!r}", hint=hint)
    found = plugins.load("metrics", name)
    if not isinstance(found, Metric):
        raise Unmeasurable(f"the metric {name!r} that a package brings is no podium.core.quality.metrics.Metric")
    return found
