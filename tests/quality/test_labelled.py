"""A gate's metric on rows that were answered elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from podium.core.domain.project import Check, Git, Mlflow, Project
from podium.core.quality.labelled import value_of
from podium.core.quality.metrics import Unmeasurable

from tests.quality.reading import gate_of


def ask(rows: pandas.DataFrame, answers: Any, check: Check, **keys: Any):  # type: ignore[no-untyped-def]
    home = Path("/nowhere")
    project = Project("p", home, home, Git(), Mlflow("sqlite:////x", "e", "m"), {}, {}, {}, {}, {}, {})
    return value_of(project, gate_of(check.metric, **keys), check, rows, answers, resamples=100)


def test_answers_of_requests_are_measured_as_a_gate_does() -> None:
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 2, 300)
    # What requests answered: a number, or an object with names.
    chances = np.clip(0.3 + 0.4 * truth + generator.normal(size=300) * 0.2, 0.01, 0.99)
    rows = pandas.DataFrame({"y": truth, "who": np.arange(300) // 3})
    check = Check("metric", metric="roc_auc", at_least=0.5)
    found = ask(rows, chances.tolist(), check)
    assert found.rows == 300 and found.low < found.value < found.high < found.low + 0.2
    named = ask(rows, [{"p": each, "id": 1.0} for each in chances], check, prediction=("p",))
    assert named == found
    grouped = ask(rows, chances, check, group="who")
    assert grouped.value == found.value and grouped.low != found.low


@pytest.mark.parametrize(
    ("rows", "check", "words"),
    [
        (pandas.DataFrame({"x": [1]}), Check("metric", metric="mae"), "no column 'y'"),
        (pandas.DataFrame({"y": []}), Check("metric", metric="mae"), "no rows"),
        (pandas.DataFrame({"y": [1.5]}), Check("metric", metric="m.py:f", goal="maximize"), "by a gate only"),
        (pandas.DataFrame({"y": [1.5, None]}), Check("metric", metric="mae"), "missing in 1 of 2"),
    ],
)
def test_what_cannot_be_measured_is_said(rows: pandas.DataFrame, check: Check, words: str) -> None:
    with pytest.raises(Unmeasurable, match=words):
        ask(rows, [1.0] * len(rows), check)
