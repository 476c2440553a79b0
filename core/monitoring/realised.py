"""Monitors of quality: a gate's metric on requests whose labels are known, beside its value when the version was judged
by the gate. Runs in a child process (apart.py)."""

from __future__ import annotations

from typing import Any

from ..domain.monitoring import Measurement
from ..domain.project import Gate
from ..domain.text.format import count
from ..labels import frames
from ..labels.store import LabelStore
from ..quality.labelled import value_of
from . import judged
from .moment import Moment, NoData
from .window import MAX_ROWS

# Fewer labelled rows than this say little.
FEW_ROWS = 100


def measure(moment: Moment) -> Measurement:
    """Returns the metric with its interval. Raises NoData without labels, and Unmeasurable where the metric is not
    defined on them."""
    moment.require_service()
    monitor, gate = moment.monitor, judged.gate_of(moment)
    check = judged.check_of(moment, gate)
    together = bool(gate.group or gate.series or gate.targets)
    with LabelStore.open(moment.project.state, monitor.environment) as store:
        store.collect()
        limit = min(MAX_ROWS, monitor.rows or MAX_ROWS)
        found = frames.load(
            store, moment.start, None, limit, moment.version, labelled=True, captured=together, rows=limit
        )
    if not len(found.about):
        when = " in the window" if monitor.window else ""
        raise NoData(f"no request to version {moment.version} has a label{when}")
    moment.require_rows(len(found.about), f"requests to version {moment.version} have a label")
    answers = judged.shaped(judged.column(found.about, "prediction"))
    value = value_of(moment.project, gate, check, _rows(gate, found), answers)
    times, rows = judged.column(found.about, "at"), len(found.about)
    few = (f"only {count(rows, 'row')} have a label",) if rows < FEW_ROWS else ()
    return moment.measured(
        value.value,
        start=min(times),
        end=max(times),
        rows=rows,
        low=value.low,
        high=value.high,
        baseline=judged.baseline(moment, check),
        warnings=few,
        message=f"{monitor.measure} on {count(rows, 'labelled row')}",
    )


def _rows(gate: Gate, found: frames.RequestFrame) -> Any:
    """Returns labelled requests as the gate's table: their inputs, and the label as its target."""
    import pandas as pd

    inputs: Any = found.inputs
    labels = judged.column(found.about, "label")
    if not gate.targets:
        return inputs.assign(**{gate.target: labels})
    several = pd.DataFrame(labels, columns=list(gate.targets), index=inputs.index)
    return inputs.drop(columns=list(gate.targets), errors="ignore").join(several)
