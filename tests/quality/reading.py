"""What the tests of gates share: a gate by its keys, the truth of some values, and answers on their way between the
processes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas
from podium.core.domain.metrics import BINARY
from podium.core.domain.project import Check, Gate
from podium.core.quality.answers import answers_of
from podium.core.quality.metrics import ModelAnswers
from podium.core.quality.outputs import Output, decode, encode
from podium.core.quality.target.truths import Truth, truth_of


def gate_of(*metrics: str, target: str = "y", **keys: Any) -> Gate:
    return Gate("g", "data.csv", target, tuple(Check("metric", metric=name, at_least=0.0) for name in metrics), **keys)


def read_truth(values: Any, *metrics: str, **keys: Any) -> Truth:
    """The truth of a target, for a gate with these metrics and keys."""
    return truth_of(gate_of(*metrics, **keys), pandas.DataFrame({"y": values}))


def of_two(values: Any, classes: tuple[Any, Any] = (0, 1)) -> Truth:
    return Truth(BINARY, np.asarray(values, dtype=float), classes)


def carried(returned: Any, wanted: tuple[str, ...] = ()) -> Output:
    """What a model returned, after its way between the processes."""
    document, payload = encode(Output.of(returned, wanted))
    return decode(json.loads(json.dumps(document)), payload)


def read(
    returned: Any, truth: Truth, said: str = "", declared: str = "", prediction: tuple[str, ...] = ()
) -> ModelAnswers:
    return answers_of(carried(returned, prediction), truth, said=said, declared=declared, prediction=prediction)
