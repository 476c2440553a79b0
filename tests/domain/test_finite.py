"""Numbers and times that others have written."""

from __future__ import annotations

import math

import pytest
from podium.core.domain.finite import finite, time_of
from podium.core.domain.text.format import ago, local, moment, when


@pytest.mark.parametrize("value", [10**400, -(10**400), math.inf, math.nan, True, "1", None, [1], {}])
def test_what_is_no_number(value: object) -> None:
    assert finite(value) is None and time_of(value) is None


@pytest.mark.parametrize(("value", "expected"), [(1, 1.0), (-2.5, -2.5), (10**300, 1e300), (0, 0.0)])
def test_numbers(value: float, expected: float) -> None:
    assert finite(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0.0), (1800000000, 1.8e9), (1800000000000, None), (-1, None), (1e300, None)]
)
def test_times(value: float, expected: float | None) -> None:
    assert time_of(value) == expected


@pytest.mark.parametrize("at", [1e300, -1e300, 1e18, math.inf, -math.inf, math.nan])
def test_a_time_that_no_calendar_has_is_shown_as_the_nearest(at: float) -> None:
    assert all(isinstance(show(at), str) for show in (ago, local, moment, when))
    assert (moment(1e300) or "").startswith("9999-12-30") and (moment(-1e300) or "").startswith("0001-01-02")
