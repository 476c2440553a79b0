"""Monitors of estimated quality: what a metric of two classes is likely to be, from the probabilities that the model
answers, before there are labels (statistics/cbpe.py). Runs in a child process (apart.py).

It holds as long as the model's probabilities mean what they meant: a change of what leads to which answer cannot be
seen without labels. So it says where it cannot hold, and it is tried on the latest rows whose labels are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..domain.frozen import Frozen
from ..domain.metrics import BINARY
from ..domain.monitoring import Measurement
from ..domain.project import Gate
from ..domain.text.format import count, number
from ..labels import frames
from ..labels.store import LabelStore
from ..quality.answers import answers_of
from ..quality.outputs import Output
from ..quality.target.truths import Truth, truth_of
from . import judged
from .moment import Moment, NoData
from .statistics import cbpe, distances
from .window import MAX_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# Rows with labels that a calibration needs, of which at least a few of each class; and rows of a window.
LEAST_LABELLED, LEAST_OF_A_CLASS, FEW_ROWS = 200, 10, 200
# The newest of the labelled rows, on which the estimate is tried.
_TRIED = 0.2
# Scores this unlikely to be those of the labelled rows have drifted.
_DRIFTED = 0.001


class _Scores(Frozen):
    """Scores, the classes that the model says, and the truth where it is known (else zeros)."""

    scores: Array
    labels: Array
    truth: Array
    at: Array

    def __len__(self) -> int:
        return len(self.scores)

    def part(self, start: int, end: int) -> _Scores:
        return _Scores(*(each[start:end] for each in (self.scores, self.labels, self.truth, self.at)))


def measure(moment: Moment) -> Measurement:
    """Returns the estimate with its interval, and warnings where it cannot hold. Raises NoData without requests, and
    for answers that are no probabilities of two classes."""
    moment.require_service()
    monitor, gate = moment.monitor, judged.gate_of(moment)
    if not gate.task:
        raise NoData(f"{gate.data} is not there to tell what gate {gate.name} judges", hint="write its `task: binary`")
    if gate.task != BINARY:
        raise NoData(f"gate {gate.name} does not judge two classes")
    with LabelStore.open(moment.project.state, monitor.environment) as store:
        store.collect()
        limit = min(MAX_ROWS, monitor.rows or MAX_ROWS)
        asked = frames.load(store, moment.start, None, limit, moment.version, rows=limit).about
        labelled = frames.load(store, None, None, MAX_ROWS, moment.version, labelled=True, rows=MAX_ROWS).about
    if not len(asked):
        raise NoData(f"no request to version {moment.version} was answered")
    moment.require_rows(len(asked), f"requests to version {moment.version} were answered")
    window, earlier = _scores(gate, asked, known=False), _scores(gate, labelled, known=True)
    calibrated, warnings = _calibrated(monitor.measure, earlier, window)
    found = cbpe.interval(monitor.measure, window.scores, calibrated.calibrate(window.scores), window.labels)
    how = "calibrated by" if calibrated.needed else "taken as they are beside"
    return moment.measured(
        found.value,
        start=float(window.at.min()),
        end=float(window.at.max()),
        rows=len(window),
        low=found.low,
        high=found.high,
        baseline=judged.baseline(moment, judged.check_of(moment, gate)),
        warnings=warnings,
        message=f"estimated; probabilities are {how} {count(len(earlier), 'labelled row')}",
    )


def _scores(gate: Gate, about: Any, *, known: bool) -> _Scores:
    import numpy as np
    import pandas as pd

    if not len(about):
        none = np.zeros(0)
        return _Scores(none, none, none, none)
    nothing = Truth(BINARY, np.zeros(len(about)), gate.classes)
    truth = truth_of(gate, pd.DataFrame({gate.target: judged.column(about, "label")})) if known else nothing
    predictions = Output.of(judged.shaped(judged.column(about, "prediction")))
    answers = answers_of(predictions, truth, said=gate.answers, prediction=gate.prediction)
    if answers.scores is None or not answers.probabilities or answers.labels is None:
        raise NoData("the model answers without probabilities, so nothing can be estimated", hint="log predict_proba")
    at = np.asarray(judged.column(about, "at"))
    return _Scores(answers.scores, answers.labels.astype(float), np.asarray(answers.truth, dtype=float), at)


def _calibrated(metric: str, earlier: _Scores, window: _Scores) -> tuple[cbpe.Calibration, tuple[str, ...]]:
    """Returns the calibration, and why the estimate may not hold."""
    warnings: list[str] = []
    if len(window) < FEW_ROWS:
        warnings.append(f"only {count(len(window), 'row')}: the interval is wide, and the estimate rough")
    positive = int(earlier.truth.sum())
    if len(earlier) < LEAST_LABELLED or min(positive, len(earlier) - positive) < LEAST_OF_A_CLASS:
        warnings.append(
            f"probabilities are not calibrated: {count(len(earlier), 'row')} have labels, {positive:,} of them positive"
        )
        return cbpe.Calibration(cbpe.unchanged, False), tuple(warnings)
    warnings += _tried(metric, earlier)
    chance = distances.ks_p_value(earlier.scores, window.scores)
    if chance < _DRIFTED:
        warnings.append(
            f"scores have drifted from those of labelled rows (p {number(chance)}): the estimate holds only if"
            " the same inputs still lead to the same truth"
        )
    return cbpe.calibration(earlier.truth, earlier.scores), tuple(warnings)


def _tried(metric: str, earlier: _Scores) -> list[str]:
    """Returns a warning if the estimate was wrong on the newest labelled rows, calibrated by those before."""
    cut = round(len(earlier) * (1.0 - _TRIED))
    before, newest = earlier.part(0, cut), earlier.part(cut, len(earlier))
    calibrated = cbpe.calibration(before.truth, before.scores).calibrate(newest.scores)
    expected = cbpe.interval(metric, newest.scores, calibrated, newest.labels)
    real = cbpe.estimate(metric, newest.scores, newest.truth, newest.labels)
    if expected.low <= real <= expected.high or real != real or expected.value != expected.value:
        return []
    return [
        f"on the newest {count(len(newest), 'labelled row')} the estimate was {number(expected.value)}"
        f" ({number(expected.low)} … {number(expected.high)}) and the truth {number(real)}: it does not hold now"
    ]
