"""Requests as a gate judges rows: what a gate says of truth and answers is said of requests and their labels too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..domain.project import Check, Gate
from ..errors import Interrupted, PodiumError
from ..quality import tables
from ..quality.metrics import Unmeasurable, asked
from ..quality.outside.datasets import of_version
from ..quality.target.truths import truth_of
from .moment import Moment


def gate_of(moment: Moment) -> Gate:
    """Returns the monitor's gate, with task and classes as its own data has them: a window of requests may have one
    class alone. Raises Unmeasurable if that data cannot be read."""
    gate = moment.project.gates[moment.monitor.gate]
    path = None if gate.targets else _data(moment, gate)
    if path is None:
        return gate
    table = tables.read(path, gate.data)
    if gate.target not in table.columns:
        raise Unmeasurable(f"{gate.data} has no column {gate.target!r}")
    known = truth_of(gate, table)
    return replace(gate, task=known.task or gate.task, classes=known.classes or gate.classes)


def _data(moment: Moment, gate: Gate) -> Path | None:
    """Returns where the gate's data lies; None if it is not there, or nobody knows: the gate itself may say enough."""
    try:
        path = of_version(moment.project, gate.data, moment.model, moment.version)
    except Interrupted:
        raise
    except PodiumError:
        return None
    return path if path.exists() else None


def check_of(moment: Moment, gate: Gate) -> Check:
    """Returns the gate's first check of the monitor's metric, with its options; a plain one where it has none."""
    wanted = moment.monitor.measure
    found = next((each for each in gate.checks if each.kind == "metric" and each.metric == wanted), None)
    return found or Check("metric", metric=wanted)


def baseline(moment: Moment, check: Check) -> float | None:
    """Returns the metric's value when the version that serves was judged by the gate; None if it never was."""
    if moment.version is None:
        return None
    report = moment.journal.gates.latest(moment.model, moment.version, moment.monitor.gate)
    return None if report is None else report.metrics.get(asked(check).label)


def shaped(predictions: Sequence[Any]) -> Any:
    """Returns predictions as what a model's `predict` returns: a table for objects, an array for the rest."""
    import numpy as np
    import pandas as pd

    if predictions and all(isinstance(each, dict) for each in predictions):
        return pd.DataFrame(list(predictions))
    return np.array(list(predictions), dtype=object if any(isinstance(each, str) for each in predictions) else None)


def column(table: Any, name: str) -> list[Any]:
    """Returns one column of a table as a list."""
    return table[name].tolist()
