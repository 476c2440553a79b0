"""How times, sizes and figures are written for people, and how durations and shares are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.cli.commands import replay
from podium.core.domain.text import format as fmt
from podium.core.domain.text.durations import parse_duration


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, ""),
        (0.0, "0.0s"),
        (0.04, "0.0s"),
        (0.312, "0.3s"),
        (9.96, "10s"),
        (12.44, "12s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (59.97, "1m00s"),
        (185, "3m05s"),
        (3599.7, "1h00m"),
        (7860, "2h11m"),
        (90_000, "1d01h"),
        (-3, "0.0s"),
    ],
)
def test_durations(seconds: float | None, written: str) -> None:
    assert fmt.duration(seconds) == written


@given(st.floats(min_value=0, max_value=1e7))
def test_a_duration_never_shows_sixty_seconds_or_minutes(seconds: float) -> None:
    written = fmt.duration(seconds)
    assert "60s" not in written
    assert "60m" not in written
    assert not written.startswith("60.")


@given(st.floats(min_value=10, max_value=1e7))
def test_a_written_duration_can_be_read_again(seconds: float) -> None:
    read = parse_duration(fmt.duration(seconds))
    assert read is not None
    assert abs(read - seconds) <= (1 if seconds < 3599 else 61 if seconds < 86399 else 3601)


@pytest.mark.parametrize(
    ("age", "written"), [(3, "3s ago"), (125, "2m ago"), (7300, "2h ago"), (86400 * 3, "3d ago"), (-5, "0s ago")]
)
def test_ages(age: float, written: str) -> None:
    assert fmt.ago(1_000_000_000 - age, now=1_000_000_000) == written


@pytest.mark.parametrize(
    ("age", "written"), [(3, "now"), (30, "<1m"), (125, "2m"), (7300, "2h"), (86400 * 3, "3d"), (86400 * 90, "3mo")]
)
def test_ages_on_the_screen_are_coarse(age: float, written: str) -> None:
    assert fmt.age(1_000_000_000 - age, now=1_000_000_000) == written


def test_moments_are_utc_with_milliseconds() -> None:
    assert fmt.moment(1_763_892_671.5) == "2025-11-23T10:11:11.500Z"
    assert fmt.moment(None) is None


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.91234567, "0.9123"),
        (1234567.5, "1,234,568"),
        (0.00001, "1e-05"),
        (3, "3"),
        (40000.0, "40000"),
        (None, ""),
        ("x", "x"),
    ],
)
def test_figures(value: object, written: str) -> None:
    assert fmt.figure(value) == written


@given(st.floats(allow_nan=True, allow_infinity=False, width=64))
def test_every_number_is_short(value: float) -> None:
    assert len(fmt.number(value)) <= 11


def test_signals_have_units() -> None:
    assert fmt.signal("latency_p95", 0.0123) == "12.3 ms" and fmt.signal("error_rate", 0.0123) == "1.2 %"
    assert (
        fmt.signal("memory", 161e6) == "161 MB"
        and fmt.signal("requests", 146.2) == "146/s"
        and fmt.signal("cpu", None) == "–"
    )


def test_plurals() -> None:
    assert fmt.count(1, "run") == "1 run"
    assert fmt.count(0, "run") == "0 runs"


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("1h30m", 5400.0), ("7d", 604_800.0), ("0.5m", 30.0)])
def test_an_option_takes_the_durations_of_podium_yaml(text: str, seconds: float) -> None:
    assert replay.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "90", "h", "-1h", "inf", "1x"])
def test_an_option_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        replay.seconds(text)


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.05", 0.05), (0.2, 0.2), ("0", 0.0)])
def test_an_option_takes_a_share_either_way(text: str | float, value: float) -> None:
    assert replay.share(text) == value


@pytest.mark.parametrize("text", ["", "x%", "-5%", "inf", "nan", "-1"])
def test_an_option_refuses_what_is_no_share(text: str) -> None:
    with pytest.raises(ValueError):
        replay.share(text)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0000123, "0.0123 ms"),
        (0.0008, "0.8 ms"),
        (0.0559, "55.9 ms"),
        (0.9994, "999 ms"),
        (1.0, "1,000 ms"),
        (12.5, "12,500 ms"),
    ],
)
def test_milliseconds(seconds: float, written: str) -> None:
    assert fmt.milliseconds(seconds) == written
