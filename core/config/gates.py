"""What a gate says of its model and its metrics: whether the keys fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import plugins
from ..domain.metrics import (
    BINARY,
    FACTS,
    FORECASTING,
    LABELS,
    MULTICLASS,
    MULTILABEL,
    PROBABILITIES,
    RANKING,
    SCORES,
    MetricFacts,
    is_function,
    tasks_of,
)
from .keys.gates import METRIC_GOALS
from .reader import Reader, Record
from .sections import join

_OPTIONS = ("average", "class", "k", "quantile", "horizon")
_OF_CLASSES = (BINARY, MULTICLASS)


def check(record: Record, reader: Reader) -> None:
    """Notes what is wrong with a gate's keys and those of its checks of metrics."""
    _model(record, reader)
    checks: Sequence[Record] = record.get("checks", ())
    metrics = [each for each in checks if each.has("metric")]
    for each in metrics:
        _metric_check(each, reader)
        _beside_gate(each, record, metrics, reader)


def _problem(record: Record, key: str, words: str, hint: str, reader: Reader) -> None:
    reader.problem(record.at(key), join(record.path, key), words, hint)


def _model(record: Record, reader: Reader) -> None:
    task, target = record.get("task"), record.get("target", ())
    if len(target) > 1 and task not in (None, MULTILABEL):
        _problem(record, "target", f"several columns are several labels, and the task is {task}", "keep one", reader)
    if task == MULTILABEL and len(target) == 1:
        _problem(record, "target", "has one column; several labels are several columns", "write [a, b]", reader)
    classes: tuple[Any, ...] = record.get("classes", ())
    if len({str(each) for each in classes}) < len(classes):
        _problem(record, "classes", "has a class twice", "name each once", reader)
    if task == BINARY and len(classes) > 2:
        _problem(record, "classes", f"has {len(classes)} classes, and the task is binary", "", reader)
    for key in ("classes", "answers"):
        if record.has(key) and task not in (None, *_OF_CLASSES, *((MULTILABEL,) if key == "answers" else ())):
            _problem(record, key, f"is about classes, and the task is {task}", "leave the key out", reader)
    series: Record | None = record.get("series")
    if record.has("group") and series is not None and series.has("by"):
        _problem(record, "group", "rows belong together by `group` or by `series.by`", "keep one of them", reader)
    if task == RANKING and not record.has("group"):
        reader.problem(record.node, record.path, "a ranking is judged query by query", "add group: COLUMN")
    if series is not None and series.has("season") and not series.has("history"):
        _problem(series, "season", "only means something beside `history`", "add history: FILE", reader)


def _metric_check(record: Record, reader: Reader) -> None:
    metric: str | None = record.get("metric")
    if not any(record.has(key) for key in ("at_least", "at_most", "compare")):
        reader.problem(record.node, record.path, "checks nothing", "add at_least, at_most or compare")
    if record.has("margin") and not record.has("compare"):
        _problem(record, "margin", "only means something beside `compare`", "add compare: champion", reader)
    if metric is None:
        return
    if is_function(metric):
        _function(record, metric, reader)
    else:
        _known_metric(record, metric, reader)
    _limits(record, metric, FACTS.get(metric), reader)


def _limits(record: Record, metric: str, facts: MetricFacts | None, reader: Reader) -> None:
    low, high = record.get("at_least"), record.get("at_most")
    if low is not None and high is not None and low > high:
        _problem(record, "at_least", "is above `at_most`: nothing can pass", "", reader)
    elif facts is not None and low is not None and facts.highest is not None and low > facts.highest:
        _problem(record, "at_least", f"`{metric}` is never above {facts.highest:g}: nothing can pass", "", reader)
    elif facts is not None and high is not None and facts.lowest is not None and high < facts.lowest:
        _problem(record, "at_most", f"`{metric}` is never below {facts.lowest:g}: nothing can pass", "", reader)


def _function(record: Record, metric: str, reader: Reader) -> None:
    if not record.has("goal"):
        words = f"it is not known whether more `{metric}` is better"
        _problem(record, "metric", words, "add goal: maximize or goal: minimize", reader)
    for key in _OPTIONS:
        if record.has(key):
            _problem(record, key, "means nothing beside a function of your own", "leave the key out", reader)


def _known_metric(record: Record, metric: str, reader: Reader) -> None:
    """Notes a metric that no gate can compute, a goal that is not the metric's, and options that it does not have."""
    for key in ("cpus", "memory"):
        if record.has(key):
            _problem(record, key, "only means something beside a function of your own", "leave the key out", reader)
    facts = FACTS.get(metric)
    if facts is not None:
        _options(record, facts, reader)
        goal = METRIC_GOALS.get(metric)
        if record.has("goal") and record.get("goal") != goal:
            words = f"`{metric}` has the goal {goal}" if goal else f"`{metric}` is best at {facts.ideal}"
            _problem(record, "goal", words, "leave the key out", reader)
        return
    known = (*FACTS, *plugins.added("metrics"))
    if metric not in known:
        hint = reader.suggest(metric, known) or f"a gate knows {', '.join(known)}"
        _problem(record, "metric", f"no gate can compute `{metric}`", hint, reader)
    elif record.has("compare") and not record.has("goal"):
        words = f"it is not known whether more `{metric}` is better"
        _problem(record, "metric", words, "add goal: maximize or goal: minimize", reader)


def _options(record: Record, facts: MetricFacts, reader: Reader) -> None:
    for key in _OPTIONS:
        if record.has(key) and key not in facts.options:
            having = ", ".join(name for name, each in FACTS.items() if key in each.options)
            _problem(record, key, f"means nothing beside `{facts.name}`", f"it is a key of {having}", reader)
    if record.has("average") and record.has("class"):
        _problem(record, "class", "is one class, and `average` all of them", "keep one of them", reader)
    if "quantile" in facts.options and not record.has("quantile"):
        _problem(record, "metric", f"`{facts.name}` is the loss of a quantile", "add quantile: 0.9", reader)


def _beside_gate(record: Record, gate: Record, checks: Sequence[Record], reader: Reader) -> None:
    """Notes a metric that cannot be measured beside the others, or on what the gate says of its model."""
    metric: str | None = record.get("metric")
    facts = FACTS.get(metric or "")
    if metric is None or facts is None:
        return
    task, first = gate.get("task"), next(each.get("metric") for each in checks if each.get("metric") in FACTS)
    if task is not None and task not in facts.tasks:
        words = f"`{metric}` cannot be measured on the task {task}"
        _problem(record, "metric", words, f"it is of {' or '.join(facts.tasks)}", reader)
    elif not tasks_of((metric, first)):
        words = f"`{metric}` cannot be measured beside `{first}`: no kind of model has both"
        _problem(record, "metric", words, "make two gates of it", reader)
    elif facts.needs in (SCORES, PROBABILITIES) and gate.get("answers") == "label":
        _problem(record, "metric", f"`{metric}` needs probabilities, and `answers` says label", "", reader)
    elif _of_all(facts, task) and not record.has("average") and not record.has("class"):
        hint = "add average: macro, micro or weighted, or class:"
        _problem(record, "metric", f"`{metric}` of several classes is an average or that of one", hint, reader)
    _series(record, metric, gate, reader)


def _of_all(facts: MetricFacts, task: str | None) -> bool:
    """Tells whether a metric needs to be told which of several classes it is of."""
    return facts.needs == LABELS and "average" in facts.options and task in (MULTICLASS, MULTILABEL)


def _series(record: Record, metric: str, gate: Record, reader: Reader) -> None:
    series: Record | None = gate.get("series")
    if FACTS[metric].tasks == (FORECASTING,) and (series is None or not series.has("history")):
        words = f"`{metric}` compares with the naive forecast on the series before the gate's rows"
        _problem(record, "metric", words, "add series: {history: FILE} to the gate", reader)
    if record.has("horizon") and (series is None or not series.has("horizon")):
        hint = "add series: {horizon: COLUMN} to the gate"
        _problem(record, "horizon", "it is not known which rows look so far ahead", hint, reader)
    if FACTS[metric].tasks == (RANKING,) and not gate.has("group") and gate.get("task") is None:
        _problem(record, "metric", "a ranking is judged query by query", "add group: COLUMN to the gate", reader)
