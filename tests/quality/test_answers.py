"""What an answer means: said by its type, the signature or the gate, and otherwise an error that names the key."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from podium.core.quality.answers import LABEL, PROBABILITY, answers_of, declared_by
from podium.core.quality.metrics import ModelAnswers, Unmeasurable
from podium.core.quality.outputs import Output, decode

from tests.quality import reading

TRUTH = np.asarray([0.0, 1.0, 1.0, 0.0])
HARD = np.asarray([0.0, 1.0, 1.0, 0.0])
SOFT = np.asarray([0.1, 0.9, 0.4, 0.3])
PAIR = np.column_stack([1 - SOFT, SOFT])
MULTILABEL = np.asarray([[0.9, 0.8], [0.1, 0.9], [0.2, 0.3], [0.5, 0.5]])
BOTH = "answers: label or answers: probability"


def read(returned: Any, said: str = "", declared: str = "", classes: tuple[Any, ...] = (0, 1)) -> ModelAnswers:
    """Interprets the answers after their way between the processes."""
    return reading.read(returned, reading.of_two(TRUTH, classes), said, declared)


def refused(returned: Any, said: str = "", classes: tuple[Any, ...] = (0, 1)) -> str:
    with pytest.raises(Unmeasurable) as caught:
        read(returned, said, classes=classes)
    return f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("returned", [HARD, HARD.reshape(-1, 1), HARD.astype("float32"), pandas.DataFrame({"y": HARD})])
def test_zeros_and_ones_in_floats_may_be_either(returned: Any) -> None:
    assert BOTH in refused(returned) and "only 0 and 1" in refused(returned)
    assert read(returned, LABEL).labels is not None and read(returned, LABEL).scores is None
    probabilities = read(returned, PROBABILITY)
    assert probabilities.probabilities and probabilities.scores is not None
    assert probabilities.scores.tolist() == HARD.tolist()
    assert read(returned, declared=LABEL).scores is None and read(returned, declared=PROBABILITY).probabilities


def test_one_value_only_may_be_either_too() -> None:
    assert "only 1" in refused(np.ones(4)) and "only 0" in refused(np.zeros(4))
    assert read(np.full(4, 0.5)).probabilities


def test_floats_that_are_the_targets_classes_may_be_labels() -> None:
    assert BOTH in refused(np.asarray([1.0, 2.0, 2.0, 1.0]), classes=(1, 2))
    assert read(np.asarray([1.0, 2.0, 2.0, 1.0]), LABEL, classes=(1, 2)).labels is not None
    assert not read(np.asarray([-2.0, 3.0, 1.0, 0.0])).probabilities


@pytest.mark.parametrize(
    ("returned", "classes"),
    [
        (HARD.astype(int), (0, 1)),
        (HARD.astype(bool), (False, True)),
        (np.asarray(["no", "yes", "yes", "no"]), ("no", "yes")),
        (pandas.DataFrame({"prediction": ["no", "yes", "yes", "no"]}), ("no", "yes")),
        (pandas.DataFrame({"prediction": HARD.astype(int)}), (0, 1)),
        ([{"label": "no"}, {"label": "yes"}, {"label": "yes"}, {"label": "no"}], ("no", "yes")),
        ({"label": HARD.astype(int)}, (0, 1)),
        (pandas.Series([0, 1, 1, 0], dtype="Int64"), (0, 1)),
        (pandas.Series(["no", "yes", "yes", "no"], dtype="category"), ("no", "yes")),
    ],
)
def test_whole_numbers_truth_values_and_words_are_labels(returned: Any, classes: tuple[Any, ...]) -> None:
    found = read(returned, classes=classes)
    assert found.scores is None and found.labels is not None and found.labels.tolist() == HARD.tolist()
    assert read(returned, LABEL, classes=classes).labels is not None


def test_whole_numbers_are_probabilities_if_the_gate_says_so() -> None:
    assert read(HARD.astype(int), PROBABILITY).probabilities
    assert "answers 'no'" in refused(["no", "yes", "yes", "no"], PROBABILITY, ("no", "yes"))
    assert "not in 0 … 1" in refused(np.asarray([0, 2, 1, 1]), PROBABILITY)


def test_the_gate_that_says_label_takes_no_probabilities() -> None:
    assert "none of the target's classes" in refused(SOFT, LABEL)
    assert "no labels" in refused(PAIR, LABEL)
    assert "not in 0 … 1" in refused(SOFT + 1, PROBABILITY)


def test_two_columns_are_probabilities_if_each_row_sums_to_one() -> None:
    found = read(PAIR)
    assert found.probabilities and found.scores is not None and found.scores.tolist() == SOFT.tolist()
    assert read(PAIR.astype("float16")).probabilities
    assert read(PAIR, PROBABILITY).probabilities


def test_two_outputs_of_a_multilabel_model_are_not() -> None:
    words = refused(MULTILABEL)
    assert "2 of 4 rows are not in 0 … 1 with the sum 1, such as 0.9, 0.8" in words and "answers:" in words
    assert "no labels" in refused(MULTILABEL, LABEL)
    assert read(MULTILABEL, PROBABILITY).probabilities  # a person said so
    assert "not in 0 … 1" in refused(MULTILABEL * 2, PROBABILITY)


def test_one_hot_columns_may_be_either() -> None:
    hot = np.column_stack([1 - HARD, HARD])
    for returned in (hot, hot.astype(int)):
        assert BOTH in refused(returned)
        assert read(returned, PROBABILITY).probabilities
        assert read(returned, LABEL).labels is not None and read(returned, LABEL).scores is None
    assert "sum 1" in refused(np.asarray([[1, 1], [0, 0], [1, 0], [0, 1]]))


def test_names_that_are_the_classes_decide_which_column_is_which() -> None:
    table = pandas.DataFrame({"yes": SOFT, "no": 1 - SOFT})
    found = read(table, classes=("no", "yes"))
    assert found.scores is not None and found.scores.tolist() == SOFT.tolist()


def test_the_signature_tells() -> None:
    assert declared_by('[{"type": "long", "name": "y"}]') == LABEL
    assert declared_by('[{"type": "string"}]') == declared_by('[{"type": "boolean"}]') == LABEL
    assert declared_by('[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]') == LABEL
    assert declared_by('[{"type": "double", "name": "Churn_Probability"}]') == PROBABILITY
    assert declared_by('[{"type": "double", "name": "label"}]') == LABEL
    assert declared_by('[{"type": "double", "name": "prediction"}]') == declared_by("") == ""
    assert declared_by('[{"type": "long", "name": "a"}, {"type": "long", "name": "b"}]') == ""


def test_a_column_that_is_called_a_probability_is_one() -> None:
    assert read(pandas.DataFrame({"probability": HARD})).probabilities
    assert "called a probability" in refused(pandas.DataFrame({"probability": SOFT * 9}))


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ([{"label": "yes", "score": 0.9}] * 4, "'yes'"),
        ([[{"label": "yes"}]] * 4, "no label"),
        (None, "1 answers for 4 rows: one NoneType"),
        ("a,b,c,d", "one str"),
        (7, "1 answers"),
        (np.zeros((4, 3)), "3 numbers a row"),
        (pandas.DataFrame(np.zeros((4, 3)), columns=["a", "b", "c"]), "a, b, c"),
        ([[1], [2, 3], [4], [5]], "not of one length"),
        (np.asarray([0.1, np.nan, 0.2, 0.3]), "1 of 4 answers are missing"),
        (["no", None, "yes", "no"], "1 of 4 answers are missing"),
        (np.zeros((4, 0)), "answers for 4 rows"),
        (np.asarray(["2026-01-01"] * 4, dtype="datetime64[D]"), "no label"),
        ([], "0 answers for 4 rows"),
    ],
)
def test_what_cannot_be_interpreted_is_an_error_and_nothing_else(returned: Any, words: str) -> None:
    assert words in refused(returned, classes=("no", "yes"))


def test_a_number_needs_one_column_and_no_key() -> None:
    truth = reading.read_truth([1.5, 2.5, 3.5, 4.5])
    with pytest.raises(Unmeasurable, match="needs one"):
        answers_of(Output.of(PAIR), truth)
    with pytest.raises(Unmeasurable, match="more than two values"):
        answers_of(Output.of(SOFT), truth, said=LABEL)


@pytest.mark.parametrize(
    "document",
    [
        {"rows": 4, "width": 1, "names": [""], "columns": [{"name": "", "strange": "", "dtype": "|O", "size": 4}]},
        {"rows": 4, "width": 1, "names": [""], "columns": [{"name": "", "strange": "", "dtype": "<f8", "size": 9}]},
        {"rows": 4, "width": 1, "names": [""], "columns": [{"name": "", "strange": "", "dtype": "<f8", "size": 1}]},
        {"rows": 4, "columns": []},
        {},
    ],
)
def test_what_is_no_output_is_refused_and_never_unpickled(document: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode(document, b"\0" * 32)
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode(document, pickle.dumps(Trap(tmp_path / "ran")))
    assert not (tmp_path / "ran").exists()


class Trap:
    """Something that leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)
