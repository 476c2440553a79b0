"""Which kind of model is judged, and what its answers mean: known for sure, or an error that names the key."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas
import pytest
from podium.core.domain.metrics import (
    BINARY,
    FORECASTING,
    MULTICLASS,
    MULTILABEL,
    RANKING,
    REGRESSION,
    TEXT,
)
from podium.core.domain.project import Series
from podium.core.quality.answers import LABEL, PROBABILITY
from podium.core.quality.metrics import Unmeasurable, measure, named, suspicion
from podium.core.quality.target.belonging import scale_of, steps_of, units_of
from podium.core.quality.target.truths import Truth, truth_of

from tests.quality.reading import gate_of, of_two, read, read_truth

ABC = ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    ("values", "metrics", "keys", "task"),
    [
        ([0, 1, 1, 0], (), {}, BINARY),
        ([False, True], ("roc_auc",), {}, BINARY),
        (["no", "yes"], (), {}, BINARY),
        ([0.0, 1.0], (), {}, BINARY),
        ([0.5, 1.0], (), {}, REGRESSION),
        ([0, 1, 2], ("rmse",), {}, REGRESSION),
        ([0, 1, 1], ("rmse",), {}, REGRESSION),
        ([0, 1, 2], ("log_loss",), {}, MULTICLASS),
        ([0, 1, 2], (), {"answers": LABEL}, MULTICLASS),
        ([0, 1], (), {"classes": (0, 1, 2)}, MULTICLASS),
        (ABC, ("roc_auc",), {}, MULTICLASS),
        (ABC, ("token_f1",), {}, TEXT),
        (["no", "yes"], ("exact_match",), {}, TEXT),
        ([1.5, 2.5], ("mase",), {}, FORECASTING),
        ([1.5, 2.5], ("mae",), {"series": Series(time="day")}, FORECASTING),
        ([0, 1, 2], ("ndcg",), {"group": "q"}, RANKING),
        ([0, 1, 0], ("map",), {"group": "q"}, RANKING),
        ([0, 1, 2], (), {"task": REGRESSION}, REGRESSION),
        ([Decimal("1.5"), Decimal("2")], (), {}, REGRESSION),
    ],
)
def test_a_task_is_known_where_only_one_is_left(values: Any, metrics: Any, keys: Any, task: str) -> None:
    assert read_truth(values, *metrics, **keys).task == task


def test_a_task_that_is_not_known_is_asked_for() -> None:
    for values, kinds in (([0, 1, 2], ("multiclass", "regression")), (ABC, ("multiclass", "text"))):
        with pytest.raises(Unmeasurable, match=" or ".join(kinds)) as caught:
            read_truth(values)
        assert all(f"task: {kind}" in caught.value.hint for kind in kinds)


@pytest.mark.parametrize(
    ("values", "keys", "words"),
    [
        ([1, None], {}, "missing in 1 of 2"),
        ([datetime.date(2026, 1, 1)] * 2, {}, "neither a class nor a number"),
        (pandas.to_datetime(["2026-01-01"] * 2), {}, "neither a class nor a number"),
        ([[1, 0], [0, 1]], {}, "neither a class nor a number"),
        ([1.5, np.inf], {}, "infinite in 1 of 2"),
        (ABC, {"task": REGRESSION}, "has to be numbers"),
        ([1, 2, 3], {"task": TEXT}, "has to be text; it holds 1"),
        (["x", 2, "y"], {"task": TEXT}, "has to be text; it holds 2"),
        ([1, 2, 3], {"task": BINARY}, "has 3 classes"),
        ([1, -2, 3], {"task": RANKING, "group": "q"}, "below 0 in 1 rows"),
        (ABC, {"task": MULTICLASS, "classes": ("a", "b")}, "has the class c, which is not said"),
        (list(map(str, range(1001))), {"task": MULTICLASS}, "1,001 different values"),
        ([0.5, 1.5], {"classes": (0, 1)}, "says classes"),
        ([0, 1], {"task": MULTILABEL}, "several columns"),
    ],
)
def test_a_target_that_means_nothing_is_an_error(values: Any, keys: Any, words: str) -> None:
    with pytest.raises(Unmeasurable, match=words):
        read_truth(values, **keys)


def test_the_classes_have_the_order_that_is_said_and_the_types_of_the_data() -> None:
    assert read_truth(["no", "yes"]).classes == ("no", "yes")
    assert read_truth(["no", "yes"], classes=("yes", "no")).values.tolist() == [1, 0]
    found = read_truth([3, 1, 2], task=MULTICLASS, classes=("1", "2", "3", "4"))
    assert found.classes == (1, 2, 3, "4") and found.values.tolist() == [2, 0, 1]
    assert read_truth([True, False], classes=("true", "false")).values.tolist() == [0, 1]
    assert read_truth([1, 1]).classes == (0, 1)


THREE = Truth(MULTICLASS, np.asarray([0, 1, 2, 0]), ("a", "b", "c"))
CHANCES = np.asarray([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2]])
HOT = np.eye(3)[[0, 1, 2, 0]]


def refused(returned: Any, truth: Truth = THREE, **more: Any) -> str:
    with pytest.raises(Unmeasurable) as caught:
        read(returned, truth, **more)
    return f"{caught.value.message} {caught.value.hint}"


def test_columns_of_the_classes_names_decide_which_is_which() -> None:
    table = pandas.DataFrame(CHANCES[:, [2, 0, 1]], columns=["c", "a", "b"])
    for returned in (table, table.to_dict("records"), table.assign(label=1.0)):
        found = read(returned, THREE)
        assert found.probabilities and found.scores is not None and np.allclose(found.scores, CHANCES)
    assert np.allclose(read(CHANCES, THREE).scores, CHANCES)
    other = table.rename(columns={"a": "x", "b": "y", "c": "z"})
    assert np.allclose(read(other, THREE, prediction=("y", "z", "x")).scores, other[["y", "z", "x"]])
    assert "but a, b are" in refused(table.rename(columns={"c": "z"}))
    numbered = Truth(MULTICLASS, np.asarray([0, 1, 0]), (1.0, 2.0, 3.0))
    assert np.allclose(read(pandas.DataFrame(CHANCES[:3, ::-1], columns=[3, 2, 1]), numbered).scores, CHANCES[:3])


def test_answers_of_many_classes_are_labels_probabilities_or_scores() -> None:
    for returned in (ABC, pandas.Series(ABC, dtype="category"), [{"label": each} for each in ABC], np.asarray(ABC)):
        found = read(returned, THREE)
        assert found.scores is None and found.labels is not None and found.labels.tolist() == [0, 1, 2, 0]
    margins = read(CHANCES * 9 - 4, THREE)
    assert not margins.probabilities and margins.labels is not None and measure(named("accuracy"), margins) == 1.0
    assert read(HOT, THREE, said=LABEL).scores is None and read(HOT, THREE, said=PROBABILITY).probabilities
    assert "answers: label or answers: probability" in refused(HOT)
    whole = Truth(MULTICLASS, np.asarray([0, 1, 2, 0]), (0, 1, 2))
    assert measure(named("accuracy"), read([0.0, 1.0, 2.0, 0.0], whole)) == 1.0


@pytest.mark.parametrize(
    ("returned", "more", "words"),
    [
        (["a", "b", "d", "a"], {}, "'d', which is none of the target's classes"),
        (["a", "b", "d", "a"], {}, "name them all: classes:"),
        (["a", None, "c", "a"], {}, "1 of 4 answers are missing"),
        (np.asarray([0.1, np.nan, 0.2, 0.3]), {}, "1 of 4 answers are missing"),
        (CHANCES[:, :2], {}, "2 numbers a row for the target's 3 classes (a, b, c)"),
        (np.hstack([CHANCES, CHANCES]), {}, "6 numbers a row"),
        (CHANCES[:3], {}, "3 answers for 4 rows"),
        (CHANCES * 0.5, {}, "not in 0 … 1 with the sum 1"),
        (CHANCES * 0.5, {}, "target: [a, b]"),
        (np.where(CHANCES > 0.75, np.nan, CHANCES), {}, "missing or infinite"),
        (CHANCES, {"said": LABEL}, "not one 1 a row"),
        (CHANCES * 3, {"said": PROBABILITY}, "not in 0 … 1"),
        ([0.1, 0.2, 0.3, 0.4], {"said": PROBABILITY}, "not the probabilities of 3 classes"),
        (pandas.DataFrame({"probability": [0.1, 0.2, 0.3, 0.4]}), {}, "not the probabilities of 3 classes"),
        (CHANCES, {"prediction": ("a",)}, "3 columns without names"),
        (pandas.DataFrame(CHANCES, columns=["p", "q", "r"]), {"prediction": ("p", "q", "x")}, "no column 'x'"),
        (pandas.DataFrame(CHANCES, columns=["p", "q", "q"]), {"prediction": ("p", "q")}, "has 2 columns 'q'"),
        ([["x", "y", "z"]] * 4, {}, "no numbers, but 'x'"),
        (CHANCES.astype(complex), {}, "no numbers"),
        ("abc", {}, "one str"),
        ({"a": 1.0}, {}, "one dict"),
        ((each for each in ABC), {}, "one generator"),
        (pandas.DataFrame(index=range(4)), {}, "one DataFrame"),
    ],
)
def test_hostile_answers_of_many_classes_are_refused_in_words(returned: Any, more: Any, words: str) -> None:
    assert words in refused(returned, **more)


def labels(**more: Any) -> Truth:
    frame = pandas.DataFrame({"red": [1, 0, 1, 0], "blue": [True, True, False, False]})
    return truth_of(gate_of(target="red", targets=("red", "blue"), **more), frame)


def test_several_labels_at_a_time() -> None:
    truth = labels()
    assert (truth.task, truth.classes, truth.values.tolist()) == (
        MULTILABEL,
        ("red", "blue"),
        [[1, 1], [0, 1], [1, 0], [0, 0]],
    )
    chances = np.asarray([[0.9, 0.8], [0.1, 0.9], [0.2, 0.3], [0.5, 0.5]])
    found = read(pandas.DataFrame(chances[:, ::-1], columns=["blue", "red"]), truth)
    assert found.probabilities and np.allclose(found.scores, chances)
    assert found.labels is not None and found.labels.tolist() == [[1, 1], [0, 1], [0, 0], [1, 1]]
    whole = read([[1, 0], [0, 1], [1, 1], [0, 0]], truth)
    assert whole.scores is None and measure(named("accuracy"), whole) == 0.5
    assert read(chances * 4 - 2, truth).labels is None
    assert "may be labels or probabilities" in refused(np.ones((4, 2)), truth)
    assert "1 numbers a row for 2 labels (red, blue)" in refused([0.1, 0.2, 0.3, 0.4], truth)
    assert "0 or 1 in each" in refused([[1, 0], [0, 2], [1, 1], [0, 0]], truth)
    assert "not in 0 … 1" in refused(chances * 4, truth, said=PROBABILITY)
    frame = pandas.DataFrame({"red": [1, 0], "blue": [1, 3]})
    with pytest.raises(Unmeasurable, match="'blue' has to be 0 or 1; it holds '3'"):
        truth_of(gate_of(target="red", targets=("red", "blue")), frame)


def test_which_column_of_several_is_said() -> None:
    table = pandas.DataFrame({"low": [1.0, 2.0, 3.0], "high": [4.0, 5.0, 6.0]})
    truth = read_truth([1.5, 2.5, 3.5])
    assert read(table, truth, prediction=("high",)).scores.tolist() == [4.0, 5.0, 6.0]  # type: ignore[union-attr]
    assert "low, high" in refused(table, truth) and "prediction:" in refused(table, truth)
    two = of_two([0, 1, 1])
    chances = pandas.DataFrame({"score": [0.2, 0.9, 0.4], "id": [7, 8, 9]})
    assert read(chances, two, prediction=("score",)).probabilities
    assert "prediction:" in refused(chances, two)
    assert "It has: score, id." in refused(chances, two, prediction=("p",))


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ([1, 2, 3], "no text, but '1'"),
        (["x", None, "y"], "1 of 3 answers are missing"),
        (pandas.Series(["x", 2, "y"]), "not all text: one is '2'"),
        ([["x"], ["y"], ["z"]], ""),
        ([["x", "y"]] * 3, "needs one text"),
    ],
)
def test_text_is_text(returned: Any, words: str) -> None:
    truth = read_truth(["x", "y", "z"], task=TEXT)
    if words:
        assert words in refused(returned, truth)
    else:
        assert measure(named("exact_match"), read(returned, truth)) == 1.0


def test_much_text_comes_through_whole() -> None:
    """More different words than any target has classes, with letters of every kind."""
    texts = [
        f"{number} ünïcødé \ud83d\ude80 \u202e".encode("utf-16", "surrogatepass").decode("utf-16")
        for number in range(12_000)
    ]
    assert measure(named("exact_match"), read(texts, read_truth(texts, task=TEXT))) == 1.0


def test_an_area_far_under_one_half_is_called_suspicious() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 400)
    chances = np.clip(0.5 + 0.2 * truth + generator.normal(size=400) * 0.2, 0.01, 0.99)
    wrong = read(1 - chances, of_two(truth, ("on time", "late")))
    words = suspicion("roc_auc", measure(named("roc_auc"), wrong), wrong)
    assert "far under 0.5 is suspicious" in words and "late" in words and "classes" in words
    right = read(chances, of_two(truth))
    assert suspicion("roc_auc", measure(named("roc_auc"), right), right) == ""
    few = read([0.9, 0.2, 0.3], of_two([0, 1, 1]))
    assert suspicion("roc_auc", 0.0, few) == "", "three rows prove nothing"


def forecast(**series: Any) -> Any:
    return gate_of("mase", series=Series(by="shop", time="day", **series))


def test_what_the_rows_of_a_forecast_are() -> None:
    frame = pandas.DataFrame({"shop": ["x", "y"] * 8, "day": np.repeat(range(8), 2), "ahead": [1, 3] * 8, "y": 1.0})
    units = units_of(forecast(horizon="ahead"), frame)
    assert units.groups is not None and units.groups.tolist() == [0, 1] * 8
    assert units.times is not None and units.times.tolist() == np.repeat(range(8), 2).tolist()
    assert units.block == 3, "as far as the forecasts look"
    steps = steps_of(forecast(horizon="ahead"), frame)
    assert steps is not None and steps.tolist() == [1, 3] * 8
    history = pandas.DataFrame(
        {"shop": ["x", "y"] * 4, "day": [3, 3, 1, 1, 2, 2, 0, 0], "y": [9.0, 0, 3, 4, 5, 2, 1, 6]}
    )
    scale = scale_of(forecast(history="h.csv"), frame, lambda _: history)
    # In the order of days: x has 1, 3, 5, 9 and y has 6, 4, 2, 0.
    assert scale is not None and scale[:2].tolist() == pytest.approx([8 / 3, 2.0])
    seasonal = scale_of(forecast(history="h.csv", season=2), frame, lambda _: history)
    assert seasonal is not None and seasonal[:2].tolist() == pytest.approx([5.0, 4.0])


def test_times_in_words_have_the_order_of_time() -> None:
    frame = pandas.DataFrame({"shop": "x", "day": ["2/1/2026", "10/1/2026", "9/30/2026"], "y": 1.0})
    units = units_of(forecast(), frame)
    assert units.times is not None and units.times.tolist() == [0, 2, 1]
    history = pandas.DataFrame({"shop": "x", "day": ["10/1/2026", "2/1/2026", "9/30/2026"], "y": [7.0, 1.0, 3.0]})
    assert scale_of(forecast(history="h.csv"), frame, lambda _: history).tolist() == [3.0] * 3  # type: ignore[union-attr]
    with pytest.raises(Unmeasurable, match="'soon', no time"):
        units_of(forecast(), frame.assign(day="soon"))
    with pytest.raises(Unmeasurable, match="missing in 1 of 3 rows"):
        units_of(forecast(), frame.assign(day=["2/1/2026", None, "9/30/2026"]))


@pytest.mark.parametrize(
    ("history", "season", "words"),
    [
        (pandas.DataFrame({"shop": ["x"] * 4, "day": range(4), "y": [1.0, 2, 3, 4]}), 1, "no rows of shop y"),
        (pandas.DataFrame({"shop": ["x", "y"] * 4, "day": range(8), "y": 1.0}), 1, "never changes"),
        (pandas.DataFrame({"shop": ["x", "y"] * 4, "day": range(8), "y": 1.0}), 7, "too few for a season of 7"),
        (pandas.DataFrame({"shop": ["x", "y"], "y": [1.0, 2.0]}), 1, "no column day"),
    ],
)
def test_a_history_that_says_nothing_is_an_error(history: pandas.DataFrame, season: int, words: str) -> None:
    frame = pandas.DataFrame({"shop": ["x", "y"], "day": [9, 9], "y": [1.5, 2.5]})
    with pytest.raises(Unmeasurable, match=words):
        scale_of(forecast(history="h.csv", season=season), frame, lambda _: history)


def test_columns_that_say_what_belongs_together_have_to_be_there_and_whole() -> None:
    frame = pandas.DataFrame({"q": ["a", None], "y": [1, 0]})
    with pytest.raises(Unmeasurable, match="is missing in 1 of 2 rows"):
        units_of(gate_of("ndcg", group="q"), frame)
    with pytest.raises(Unmeasurable, match="no column 'query'") as caught:
        units_of(gate_of("ndcg", group="query"), frame)
    assert "q, y" in caught.value.hint
    with pytest.raises(Unmeasurable, match="whole numbers"):
        steps_of(gate_of("mae", series=Series(horizon="h")), pandas.DataFrame({"h": [1.5, 2.0]}))
