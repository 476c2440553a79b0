"""What a report keeps to be drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from podium.core.domain.metrics import BINARY, MULTICLASS, REGRESSION
from podium.core.domain.verdicts import CalibrationBin, Confusion, FlippedRow, Flips, GateReport, Verdict
from podium.core.journal import Journal
from podium.core.quality.metrics import ModelAnswers
from podium.core.quality.pictures import MOST_FLIPS, MOST_LETTERS, calibration, confusion, flips, with_inputs
from podium.core.quality.report import to_json
from podium.screens.cells.versions import report_lines
from podium.tui.glyphs import Glyphs


def test_which_classes_were_taken_for_which() -> None:
    answers = ModelAnswers(
        np.array([0, 0, 1, 1, 1]),
        np.array([0.1, 0.6, 0.9, 0.8, 0.2]),
        np.array([0, 1, 1, 1, 0]),
        BINARY,
        ("no", "yes"),
        True,
    )
    assert confusion(answers) == Confusion(("no", "yes"), ((1, 1), (1, 2)))
    several = ModelAnswers(np.array([0, 2, 2]), None, np.array([0, 1, 2]), MULTICLASS, ("a", "b", "c"))
    assert confusion(several) == Confusion(("a", "b", "c"), ((1, 0, 0), (0, 0, 0), (0, 1, 1)))
    assert calibration(several) == ()


def test_whether_probabilities_mean_what_they_say() -> None:
    scores = np.array([0.05, 0.05, 0.95, 0.95, 1.0, 0.91])
    answers = ModelAnswers(np.array([0, 1, 1, 1, 1, 0]), scores, (scores > 0.5).astype(int), BINARY, (0, 1), True)
    low, high = calibration(answers)
    assert (low.observed, low.rows, round(low.predicted, 9)) == (0.5, 2, 0.05)
    assert (high.observed, high.rows, round(high.predicted, 4)) == (0.75, 4, 0.9525)


def test_of_several_classes_the_most_likely_one_counts() -> None:
    scores = np.array([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]])
    answers = ModelAnswers(np.array([2, 1]), scores, scores.argmax(axis=1), MULTICLASS, ("a", "b", "c"), True)
    assert [(each.observed, each.rows) for each in calibration(answers)] == [(1.0, 1), (0.0, 1)]


def test_of_what_has_no_classes_nothing_is_drawn() -> None:
    numbers = ModelAnswers(np.array([1.0, 2.0]), np.array([1.0, 2.0]), None, REGRESSION)
    assert confusion(numbers) is None and calibration(numbers) == ()
    margins = ModelAnswers(np.array([0, 1]), np.array([-3.0, 5.0]), None, BINARY, (0, 1))
    assert confusion(margins) is None and calibration(margins) == ()
    many = ModelAnswers(np.array([0]), None, np.array([0]), MULTICLASS, tuple(range(50)))
    assert confusion(many) is None


REPORT = GateReport(
    "quality",
    "m",
    4,
    3,
    Verdict.PASS,
    (),
    1.0,
    confusion=Confusion(("no", "yes"), ((90, 10), (30, 70))),
    calibration=(CalibrationBin(0.1, 0.12, 50), CalibrationBin(0.8, 0.6, 40)),
    flips=Flips(
        7,
        1,
        (FlippedRow(1234, "yes", "yes", "no", ("AA", "200", "JFK", "9")), FlippedRow(5, "no", "yes", "no")),
        ("carrier", "distance", "origin", "hour"),
    ),
)


def answered(
    labels: list[int], truth: list[int], names: tuple[object, ...] = ("no", "yes"), **more: object
) -> ModelAnswers:
    return ModelAnswers(np.array(truth), None, np.array(labels), BINARY, names, **more)  # type: ignore[arg-type]


def test_on_which_rows_two_models_part() -> None:
    truth = [0, 0, 1, 1, 1]
    found = flips(answered([0, 1, 1, 0, 1], truth), answered([0, 0, 1, 1, 0], truth))
    assert found == Flips(
        1, 2, (FlippedRow(2, "no", "no", "yes"), FlippedRow(4, "yes", "yes", "no"), FlippedRow(5, "yes", "no", "yes"))
    )
    assert flips(answered(truth, truth), answered(truth, truth)) == Flips(0, 0, ())
    some = answered([1], [0], index=np.array([40]))
    assert flips(some, answered([0], [0], index=np.array([40]))) == Flips(0, 1, (FlippedRow(41, "no", "no", "yes"),))


def test_the_inputs_of_flipped_rows_are_kept_with_the_telling_ones_first() -> None:
    truth = [0] * 100 + [1] * 100
    mine, before = list(truth), list(truth)
    mine[:20], before[150:155] = [1] * 20, [0] * 5
    inputs = pd.DataFrame(
        {
            "id": [f"row-{number}" for number in range(200)],
            "noise": [number % 7 for number in range(200)],
            "carrier": ["AA"] * 20 + ["UA"] * 180,
            "note": ["the word hunter2 is a secret, " * 5] * 200,
            "distance": [2500.5] * 18 + [2000.0, None] + [300.0] * 180,
        }
    )
    found = flips(answered(mine, truth), answered(before, truth))
    assert found is not None
    kept = with_inputs(found, inputs, lambda text: text.replace("hunter2", "***"))
    assert kept.columns[:2] in (("carrier", "distance"), ("distance", "carrier")) and set(kept.columns) == {*inputs}
    assert kept.columns.index("id") > 1, "a name that every row has for itself tells nothing"
    first = dict(zip(kept.columns, kept.rows[0].values, strict=True))
    assert (first["distance"], first["carrier"], first["id"]) == ("2500.5", "AA", "row-0")
    assert first["note"].startswith("the word *** is") and len(first["note"]) == MOST_LETTERS
    assert dict(zip(kept.columns, kept.rows[-1].values, strict=True))["id"] == "row-154"
    said = kept.words(kept.rows[0], "v3", 2)
    assert said.startswith("is no, answered yes, v3 no: ") and said.endswith(", and 3 more")
    assert "row-0" in kept.words(kept.rows[0], "v3")
    assert with_inputs(Flips(0, 0, ()), inputs, str) == Flips(0, 0, ())
    left = with_inputs(found, inputs[["id"]], str, kept=lambda value: value.removeprefix("row-"))
    assert left.rows[0].values == ("0",)


@pytest.mark.parametrize(
    ("inputs", "columns", "values"),
    [
        (pd.DataFrame([[1, 2]] * 3, columns=["x", "x"]), ("x",), ("1",)),
        (pd.DataFrame({"picture": [b"\xff\x00"] * 3}), ("picture",), (r"b'\xff\x00'",)),
        (pd.DataFrame({"x": [{"a": [1]}] * 3}), ("x",), ("{'a': [1]}",)),
        (pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64")}), ("x",), ("1",)),
        (pd.DataFrame(index=range(3)), (), ()),
    ],
    ids=["two columns of a name", "bytes", "documents", "numbers with gaps", "no columns"],
)
def test_whatever_the_inputs_are_the_gate_goes_on(
    inputs: pd.DataFrame, columns: tuple[str, ...], values: tuple[str, ...]
) -> None:
    found = with_inputs(Flips(0, 1, (FlippedRow(1, "yes", "yes", "no"),)), inputs, str)
    assert found.columns == columns and found.rows[0].values == values


def test_what_goes_to_mlflow_has_no_inputs() -> None:
    row = FlippedRow(1, "yes", "yes", "no", ("AA",))
    written = json.loads(to_json(replace(REPORT, flips=Flips(0, 1, (row,), ("carrier",)))))
    assert written["flips"]["rows"][0]["values"] == [] and "AA" not in json.dumps(written)
    assert written["flips"]["rows"][0]["before"] == "yes"


def test_many_are_counted_and_some_of_each_kind_named() -> None:
    truth = [0] * 1000
    half = [0] * 500 + [1] * 500
    found = flips(answered(half, truth), answered(half[::-1], truth))
    assert found is not None and (found.better, found.worse, len(found.rows)) == (500, 500, MOST_FLIPS)
    worse = [each for each in found.rows if each.before == each.truth]
    assert len(worse) == MOST_FLIPS // 2 and found.rows[: len(worse)] == tuple(worse)
    only = flips(answered([1] * 1000, truth), answered(truth, truth))
    assert only is not None and len(only.rows) == MOST_FLIPS


def test_what_was_not_asked_the_same_is_not_compared_by_row() -> None:
    mine = answered([0, 1], [0, 1])
    assert flips(mine, answered([0, 1], [1, 1])) is None
    assert flips(mine, answered([0, 1], [0, 1], ("a", "b"))) is None
    assert flips(mine, answered([0], [0])) is None
    numbers = ModelAnswers(np.array([1.0]), np.array([1.0]), None, REGRESSION)
    assert flips(numbers, numbers) is None


def test_it_is_kept_and_read_again_and_older_reports_have_none(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.gates.add(REPORT)
        assert journal.gates.of("m", 4) == [REPORT]
        older = (
            '{"gate": "q", "model": "m", "version": 9, "champion": null, "verdict": "pass", "checks": [], "at": 1.0}'
        )
        journal._database.insert(
            "INSERT INTO gates (gate, model, version, at, report) VALUES ('q','m',9,1.0,?)", (older,)
        )
        assert journal.gates.of("m", 9)[0].confusion is None and journal.gates.of("m", 9)[0].flips is None


def test_it_is_drawn_in_words_and_shades() -> None:
    for plain in (False, True):
        lines = ["".join(text for text, _ in line) for line in report_lines(REPORT, 2.0, Glyphs(plain=plain))]
        shown = "\n".join(lines)
        row = next(line for line in lines if line.strip().startswith("yes"))
        assert row.split()[1] == "30" and row.split()[3] == "70"
        assert row.split()[4] == ("▓▓" if not plain else "**")
        assert "12%" in shown and "as said, 50 rows" in shown and "less than said, 40 rows" in shown
        assert "against v3" in shown and "1 row worse" in shown and "7 rows better" in shown
        assert "row 1,234   is yes, answered no, v3 yes: carrier AA, distance 200, origin JFK, and 1 more" in shown
        assert "row 5       is no, answered no, v3 yes" in shown and "and 6 more" in shown
        assert not plain or shown.isascii()
