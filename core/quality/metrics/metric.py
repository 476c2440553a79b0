"""A metric with what a check says about it, and its value on a model's answers."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...domain import metrics as vocabulary
from ...domain.frozen import Frozen
from ...domain.metrics import MAXIMIZE, MetricFacts
from .model import PROBABILITIES_HINT, ModelAnswers, Statistic, Unmeasurable, kind_of
from .options import Options

Compute = Callable[[ModelAnswers, Options], float]
Prepare = Callable[[ModelAnswers, Options], Statistic]


class Metric(Frozen):
    """A metric: what is known of it, how it is prepared for any rows of some answers, and its exact value.

    `statistic` is quick and may group close scores; `exact` is scikit-learn's function where it has one. Without it
    the statistic of all rows is exact.
    """

    facts: MetricFacts
    statistic: Prepare
    exact: Compute | None = None
    options: Options = Options()
    resamples: int | None = None
    """How many resamples it gets at most, where each of them is costly."""
    floor: Compute | None = None
    """By how much its value may be too large for no other reason than chance; None if it is right on average."""

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def label(self) -> str:
        """The name with its options: `f1 macro`, `ndcg@10`."""
        return f"{self.facts.name}{self.options}"

    @property
    def goal(self) -> str:
        return self.facts.goal

    def merit(self, value: float) -> float:
        """Returns a number that is greater for a better value."""
        if self.facts.ideal is not None:
            return -abs(value - self.facts.ideal)
        return value if self.facts.goal == MAXIMIZE else -value

    def bias(self, answers: ModelAnswers) -> float:
        """Returns by how much the value on these answers may be too large by chance."""
        return self.floor(answers, self.options) if self.floor is not None else 0.0

    def part(self, answers: ModelAnswers) -> ModelAnswers:
        """Returns the rows that it is measured on. Raises Unmeasurable if there are none."""
        return answers if self.options.horizon is None else answers.at(self.options.horizon)


def measure(metric: Metric, answers: ModelAnswers) -> float:
    """Returns the metric's value. Raises Unmeasurable where it is not defined."""
    import numpy as np

    check(metric, answers)
    if metric.exact is not None:
        value = metric.exact(answers, metric.options)
    else:
        value = metric.statistic(answers, metric.options).value(np.arange(answers.rows))
    if not math.isfinite(value):
        raise Unmeasurable(f"{metric.label} is not defined on these {answers.rows:,} rows")
    return value


def check(metric: Metric, answers: ModelAnswers) -> None:
    """Raises Unmeasurable, with the reason, if `metric` cannot be computed from these answers."""
    facts = metric.facts
    if answers.rows == 0:
        raise Unmeasurable("there are no rows to measure on")
    if answers.task not in facts.tasks:
        hint = f"It is of {_either(facts.tasks)}: if this is one, say so with task: on the gate."
        raise Unmeasurable(f"{facts.name} cannot be measured on {kind_of(answers)}", hint=hint)
    if facts.needs == vocabulary.LABELS and answers.labels is None:
        raise Unmeasurable(f"{facts.name} needs labels or probabilities; the model answers with scores outside 0 … 1")
    wants_scores = facts.needs in (vocabulary.SCORES, vocabulary.PROBABILITIES)
    if wants_scores and answers.scores is None:
        raise Unmeasurable(
            f"{facts.name} needs probabilities; the model answers with labels only", hint=PROBABILITIES_HINT
        )
    if facts.needs == vocabulary.PROBABILITIES and not answers.probabilities:
        raise Unmeasurable(
            f"{facts.name} needs probabilities; the model answers with scores outside 0 … 1", hint=PROBABILITIES_HINT
        )
    averaged = facts.needs == vocabulary.LABELS and "average" in facts.options
    if averaged and answers.task != vocabulary.BINARY and metric.options == Options():
        hint = "Add average: macro, micro or weighted, or class: to the check."
        raise Unmeasurable(f"{facts.name} of {len(answers.classes)} classes is an average or that of one", hint=hint)


def _either(tasks: tuple[str, ...]) -> str:
    return " or ".join(tasks)
