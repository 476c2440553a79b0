"""`${{ }}` in texts; `when:` means what it says."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podium.core.config import load
from podium.core.config.expressions import (
    evaluate_when,
    looks_at_outcome,
    placeholders,
    render,
    shell_command,
    when_names,
)
from podium.core.errors import PodiumError, UsageError

from tests.runner.turns import examples


def test_render_without_quotes() -> None:
    values = {"params": {"x": "a b"}, "matrix": {"depth": 8, "rate": 0.05, "flag": True}}
    assert (
        render("m-${{matrix.depth}}/${{ matrix.rate }}-${{ matrix.flag }} ${{  params.x  }} ${HOME}", values)
        == "m-8/0.05-true a b ${HOME}"
    )


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(UsageError) as caught:
        render("${{ params.dpth }}", {"params": {"depth": 1}})
    assert "params.depth" in caught.value.hint
    for bad in ("${{ }}", "${{ a }}", "${{ a.b.c }}", "${{ a.b", "${{ 'x' }}"):
        with pytest.raises(UsageError):
            placeholders(bad)


CONTEXT = {
    "params": {"x": "y", "fast": "false", "n": "4"},
    "matrix": {"depth": 4, "flag": True},
    "run": {"trigger": "push", "branch": "main"},
    "needs": {"train.state": "failed", "a.b.state": "succeeded"},
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", True),
        ("params.x == 'y'", True),
        ('params.x != "y"', False),
        ("params.n == 4 and matrix.depth == '4'", True),
        ("matrix.depth == 8 or trigger == 'push'", True),
        ("not matrix.depth == 8", True),
        ("not not params.fast", False),
        ("params.x", True),
        ("matrix.flag", True),
        ("matrix.flag == true", True),
        ("branch == 'main' and (trigger == 'schedule' or needs.train.state == 'failed')", True),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("needs.a.b.state == 'succeeded'", True),
        ("always()", True),
        ("failed()", True),
        ("not failed()", False),
        ("'and' == \"and\"", True),
    ],
)
def test_when(expression: str, expected: bool) -> None:
    assert evaluate_when(expression, CONTEXT) is expected


def test_failed_is_about_the_needs() -> None:
    assert not evaluate_when("failed()", {"needs": {"a.state": "succeeded"}})
    assert not evaluate_when("failed()", {})


@pytest.mark.parametrize(
    "expression",
    [
        "params.x ==",
        "== 'a'",
        "params.x = 'y'",
        "a b",
        "(true",
        "true)",
        "'open",
        "a && b",
        "f()",
        "always(",
        "${{ params.x }}",
        "and",
        "1 2",
        "a..b",
    ],
)
def test_what_is_no_expression_says_where(expression: str) -> None:
    with pytest.raises(UsageError):
        evaluate_when(expression, CONTEXT)


def test_names_and_outcomes() -> None:
    assert when_names("params.x == 'y' and not (branch == 'x' or params.x)") == ["params.x", "branch"]
    assert [
        looks_at_outcome(text)
        for text in ("", "params.x", "always()", "failed() or params.x", "needs.a.state == 'failed'")
    ] == [
        False,
        False,
        True,
        True,
        True,
    ]
    with pytest.raises(UsageError):
        evaluate_when("params.nope == 'y'", CONTEXT)


@settings(max_examples=examples(300), deadline=None)
@given(st.text("params.x =!'\"()andortue0-${}&", max_size=40) | st.text(max_size=20))
def test_noise_is_a_podium_error_or_an_answer(text: str) -> None:
    for attempt in (
        lambda: evaluate_when(text, CONTEXT),
        lambda: shell_command(text, CONTEXT),
        lambda: shell_command(text + "${{ params.x }}", CONTEXT),
    ):
        with suppress(PodiumError):
            attempt()


CONDITIONS = """\
project: p
pipelines:
  p:
    params: {flag: "%s", on: "yes"}
    steps:
      a: {run: "true", matrix: {rate: [0.1, 1, 2]}, when: "%s"}
"""


@pytest.mark.parametrize(
    ("flag", "when", "warned"),
    [
        ("yes", "matrix.rate == 0.10", "`0.10` is not `matrix.rate` where that is 0.1"),
        ("yes", "params.on and not (1.0 != matrix.rate)", "`1.0` is not `matrix.rate` where that is 1"),
        ("yes", "matrix.rate == 0.1 or matrix.rate == '2'", ""),
        ("7.0", "params.flag == '7'", "`7` is not `params.flag` where that is 7.0"),
        ("False", "not params.flag", "`params.flag` alone holds where it is False"),
        ("off", "params.flag", "`params.flag` alone holds where it is off"),
        ("0.0", "params.flag", "`params.flag` alone holds where it is 0.0"),
        ("0", "params.flag or branch == 'main'", ""),
        ("no", "params.flag == 'no'", ""),
    ],
)
def test_a_condition_that_does_not_mean_what_it_looks_like_is_told(
    tmp_path: Path, flag: str, when: str, warned: str
) -> None:
    (tmp_path / "podium.yaml").write_text(CONDITIONS % (flag, when))
    told = load(tmp_path, environ={}).idle
    assert [warned in each and each.startswith("pipelines.p.steps.a.when: ") for each in told] == [True] * bool(warned)
