from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.comparison.where import looks_like_one, names, parse
from podium.core.domain.models import Version
from podium.core.errors import UsageError

ONE = Version(
    "m",
    7,
    0.0,
    aliases=("champion", "previous"),
    commit="9c1f2ab4d05e77aa10c3b2b5d0f7e1a2c3d4e5f6",
    run_id=41,
    metrics={"roc_auc": 0.83, "f1 macro": 0.5, "depth": 3.0, "diverged": float("nan")},
    params={"depth": "4", "loss": "hinge", "rate": "1e-1"},
    tags={"team": "Growth"},
)


@pytest.mark.parametrize(
    ("query", "true"),
    [
        ("roc_auc > 0.8", True),
        ("diverged = nan", True),
        ("diverged != NaN or roc_auc = nan", False),
        ("roc_auc>=0.83", True),
        ("roc_auc < 0.83", False),
        ("roc_auc > 0.8 and param.depth = 4", True),
        ("depth = 3", True),
        ("metric.depth = 4", False),
        ("rate = 0.1", True),
        ("loss = HINGE", True),
        ("loss != hinge", False),
        ("loss ~ ing", True),
        ("team = growth", True),
        ("`f1 macro` = .5", True),
        ('"f1 macro" > 0.6 or roc_auc > 0.8', True),
        ("not (roc_auc > 0.8 or depth = 3)", False),
        ("not roc_auc > 0.9 and version = 7", True),
        ("alias = previous", True),
        ("alias != champion", False),
        ("verdict = quarantined", True),
        ("commit = 9c1f2ab", True),
        ("commit = 9c1f2a", False),
        ("run = 41", True),
        ("nothing > 1", False),
        ("nothing != 1", True),
        ("loss > 3", False),
    ],
)
def test_what_a_query_says_of_a_version(query: str, true: bool) -> None:
    assert parse(query)(ONE, "quarantined") is true


@pytest.mark.parametrize(
    "query", ["", "roc_auc", "roc_auc >", "> 0.8", "a = 1 b = 2", "(a = 1", "a = = 1", "a ! 1", "a = 'x"]
)
def test_a_query_that_cannot_be_read_is_told_with_its_place(query: str) -> None:
    with pytest.raises(UsageError) as told:
        parse(query)
    assert "cannot be read" in told.value.message and told.value.hint


@given(st.text(alphabet="ab1 ()=<>~!'`andornt.", max_size=60))
def test_any_text_is_a_query_or_is_refused(query: str) -> None:
    try:
        assert parse(query)(ONE, "") in (True, False)
    except UsageError:
        return


def test_nesting_has_an_end() -> None:
    with pytest.raises(UsageError):
        parse("(" * 5000 + "a = 1" + ")" * 5000)
    with pytest.raises(UsageError):
        parse("not " * 5000 + "a = 1")


def test_a_word_to_look_for_is_no_query() -> None:
    assert not looks_like_one("challenger") and not looks_like_one("train (old)")
    assert looks_like_one("roc_auc>0.8")
    asked: Any = names("metric.roc_auc > 0.8 and (depth = 4 or roc_auc < 0.9)")
    assert asked == ("roc_auc", "depth")
