"""How figures are written for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.cli import words


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "0.00 s"),
        (0.312, "0.31 s"),
        (12.44, "12.4 s"),
        (59.97, "1m 00s"),
        (185, "3m 05s"),
        (7860, "2h 11m"),
        (None, ""),
    ],
)
def test_durations(seconds: float | None, written: str) -> None:
    assert words.duration(seconds) == written


@given(st.floats(min_value=0, max_value=1e7))
def test_a_duration_never_shows_sixty_seconds_or_minutes(seconds: float) -> None:
    written = words.duration(seconds)
    assert "60s" not in written
    assert "60m" not in written
    assert not written.startswith("60.")


@pytest.mark.parametrize(
    ("age", "written"), [(3, "3s ago"), (125, "2m ago"), (7300, "2h ago"), (86400 * 3, "3d ago"), (-5, "0s ago")]
)
def test_ages(age: float, written: str) -> None:
    assert words.ago(1_000_000_000 - age, now=1_000_000_000) == written


def test_moments_are_utc_with_milliseconds() -> None:
    assert words.moment(1_763_892_671.5) == "2025-11-23T10:11:11.500Z"
    assert words.moment(None) is None


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.91234567, "0.9123"),
        (1234567.5, "1.235e+06"),
        (0.00001, "1e-05"),
        (3, "3"),
        (40000.0, "40000"),
        (None, ""),
        ("x", "x"),
    ],
)
def test_figures(value: object, written: str) -> None:
    assert words.figure(value) == written


def test_plurals() -> None:
    assert words.plural(1, "run") == "1 run"
    assert words.plural(0, "run") == "0 runs"
