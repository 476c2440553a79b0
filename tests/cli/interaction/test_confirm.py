"""Agreeing to a change: what is shown, what is asked, and what happens when nobody is there."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest
from podium.cli.interaction.confirm import agree
from podium.cli.text import diagnostics
from podium.core.changes import ensure_agreed
from podium.core.domain.models import Version
from podium.core.domain.plans import Change, Plan, VersionChange
from podium.core.domain.text.planned import plan_lines
from podium.core.errors import Refused

PLAN = Plan(
    "production",
    "promote",
    "Promote flights v4 to production",
    "Promote",
    "podium promote 4 -e production",
    changes=(Change("alias champion", "v3", "v4"), Change("alias previous", "", "v3")),
    steps=("start 2 replicas of v4", "move the traffic"),
    warnings=("v4 was trained in a dirty tree",),
    expected_seconds=9.0,
    versions=VersionChange(
        "flights",
        4,
        3,
        Version("flights", 4, 0.0, metrics={"roc_auc": 0.71}),
        Version("flights", 3, 0.0, metrics={"roc_auc": 0.7}),
    ),
)


def test_the_plan_as_a_person_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan_lines(PLAN) == [
        "Promote flights v4 to production",
        "  alias champion  v3 → v4",
        "  alias previous  none → v3",
        "  1. start 2 replicas of v4",
        "  2. move the traffic",
        "  roc_auc: 0.7000 → 0.7100 (+0.0100)",
        "  expected to take 9.0s",
        "  warning: v4 was trained in a dirty tree",
        "  podium promote 4 -e production",
    ]


@pytest.mark.parametrize(
    ("typed", "yes", "confirm", "agreed"),
    [
        ("", True, "", True),
        ("", False, "", False),
        ("production", True, "", False),
        ("production", True, "production", True),
        ("production", False, "production", True),
    ],
)
def test_without_a_terminal(
    typed: str, yes: bool, confirm: str, agreed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = replace(PLAN, type_to_confirm=typed)
    if agreed:
        agree(plan, yes=yes, confirm=confirm)
        return
    with pytest.raises(Refused) as caught:
        agree(plan, yes=yes, confirm=confirm)
    assert caught.value.hint == ("podium promote 4 -e production --yes" + (" --confirm production" if typed else ""))
    assert capsys.readouterr().out == ""


def test_a_wrong_name_is_refused_even_with_yes() -> None:
    plan = replace(PLAN, type_to_confirm="production")
    with pytest.raises(Refused, match="staging"):
        ensure_agreed(plan, confirmed=agree(plan, yes=True, confirm="staging"))


@pytest.mark.parametrize(
    ("typed", "answer", "agreed"),
    [
        ("", "y", True),
        ("", "YES", True),
        ("", "", False),
        ("", "n", False),
        ("", "production", False),
        ("production", "production", True),
        ("production", "y", False),
        ("production", "", False),
    ],
)
def test_on_a_terminal(
    typed: str, answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(diagnostics, "interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer + "\n"))
    plan = replace(PLAN, type_to_confirm=typed)
    if agreed:
        agree(plan, yes=False, confirm="")
    else:
        with pytest.raises(Refused, match="nothing was changed"):
            agree(plan, yes=False, confirm="")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("type production to promote" if typed else "promote? [y/N]") in printed.err
