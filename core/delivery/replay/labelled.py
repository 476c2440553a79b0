"""The metrics of both sides on the same labelled requests: what the project's gates measure, on what became true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

from ...domain.frozen import Frozen
from ...domain.metrics import is_function
from ...domain.project import Check, Gate, Project
from ...domain.replay import LabelledMetric
from ...errors import PodiumError
from ...labels.database import place
from ...labels.store import LabelStore
from ...quality.answers import answers_of
from ...quality.bootstrap import difference
from ...quality.metrics import Unmeasurable, asked, measure
from ...quality.outputs import Output
from ...quality.outside.datasets import of_run
from ...quality.subjects import whole_truth
from ...serving.captures import Captured
from ...serving.forms import rows_of
from .sending import AnswerPair

# Captures and requests are rounded to milliseconds: an id that a client used twice is told apart by its time.
_SAME_TIME = 0.002
_RESAMPLES = 1000

Labels = Mapping[int, tuple[Any, ...]]
"""Place of a capture -> the labels of its rows, None where one is not known."""


class _Row(Frozen):
    inputs: Mapping[str, Any]
    label: Any
    champion: Any
    candidate: Any


def labels_of(project: Project, environment: str, captures: Sequence[Captured]) -> Labels:
    """Returns the labels of captured requests. Nothing where labels are not kept, or their store cannot be read: they
    only inform."""
    if not place(project.state, environment).exists():
        return {}
    found: dict[int, tuple[Any, ...]] = {}
    try:
        with LabelStore.open(project.state, environment) as store:
            known = store.of_ids({each.request_id for each in captures if each.request_id})
    except PodiumError:
        return {}
    for number, capture in enumerate(captures):
        request = known.get(capture.request_id)
        if request is not None and request.labelled and abs(request.at - capture.at) < _SAME_TIME:
            found[number] = request.labels
    return found


def metrics(
    project: Project, captures: Sequence[Captured], labels: Labels, pairs: Sequence[AnswerPair]
) -> tuple[LabelledMetric, ...]:
    """Returns each metric that a gate of the project names, measured on the rows that have a label and that both sides
    answered; nothing without such rows."""
    ordered = sorted(pairs, key=lambda pair: pair.number)
    rows = [row for pair in ordered for row in _rows(captures[pair.number], labels.get(pair.number, ()), pair)]
    if not rows:
        return ()
    wanted = {
        (gate.name, asked_of.metric): (gate, asked_of)
        for gate in project.gates.values()
        for asked_of in gate.checks
        if asked_of.kind == "metric" and not is_function(asked_of.metric)
    }
    return tuple(_measured(project, gate, check, rows) for gate, check in wanted.values())


def _rows(capture: Captured, labels: tuple[Any, ...], pair: AnswerPair) -> Iterator[_Row]:
    if pair.answers is None or len({len(labels), *map(len, pair.answers)}) != 1:
        return
    table = rows_of(capture.body, capture.content_type or "")
    for number, label in enumerate(labels):
        if label is not None:
            inputs: dict[str, Any] = {}
            if table is not None and len(table.rows) == len(labels):
                inputs = dict(zip(table.columns, table.rows[number], strict=True))
            yield _Row(inputs, label, pair.answers[0][number], pair.answers[1][number])


def _measured(project: Project, gate: Gate, check: Check, rows: Sequence[_Row]) -> LabelledMetric:
    try:
        return _difference(project, gate, check, rows)
    except Unmeasurable as error:
        return LabelledMetric(gate.name, check.metric, len(rows), message=error.message)


def _difference(project: Project, gate: Gate, check: Check, rows: Sequence[_Row]) -> LabelledMetric:
    import pandas as pd

    table = cast("Any", pd).DataFrame([{**row.inputs, **_target(gate, row.label)} for row in rows])
    truth = whole_truth(gate, table, partial(of_run, project.root, project.home))
    champion, candidate = (
        answers_of(Output.of(answers), truth, said=gate.answers, prediction=check.prediction or gate.prediction)
        for answers in ([row.champion for row in rows], [row.candidate for row in rows])
    )
    metric = asked(check)
    mine, theirs = metric.part(candidate), metric.part(champion)
    found = difference(metric, mine, theirs, resamples=_RESAMPLES)
    return LabelledMetric(
        gate.name,
        check.metric,
        mine.rows,
        measure(metric, mine),
        measure(metric, theirs),
        found.value,
        found.low,
        found.high,
    )


def _target(gate: Gate, label: Any) -> dict[str, Any]:
    """Returns the columns of the truth: of several, a label is an object of them, or a list in their order."""
    names = gate.targets or (gate.target,)
    if len(names) == 1:
        return {names[0]: label}
    if isinstance(label, dict):
        return {name: cast("dict[str, Any]", label).get(name) for name in names}
    values = cast("list[Any]", label) if isinstance(label, list) else []
    return dict(zip(names, values, strict=False))


def sentences(found: Sequence[LabelledMetric]) -> Iterator[str]:
    """Yields a line for each metric."""
    for each in found:
        what = f"{each.metric} on {each.rows} labelled rows (gate {each.gate})"
        if each.candidate is None or each.champion is None:
            yield f"{what}: {each.message}"
        else:
            yield f"{what}: {each.candidate:.4g} against {each.champion:.4g}, {_judged(each)}"


def _judged(found: LabelledMetric) -> str:
    """Returns which side is better, with the interval of the difference, of which more is better for the candidate."""
    difference = found.difference or 0.0
    word = "as good" if not difference else f"{'better' if difference > 0 else 'worse'} by {abs(difference):.4g}"
    return f"{word} (95 % interval {found.low:+.4g} … {found.high:+.4g}, where more is better)"
