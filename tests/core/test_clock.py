"""Times that were noted while the clock was wrong."""

from __future__ import annotations

import math

import pytest
from podium.core.clock import elapsed


@pytest.mark.parametrize(
    ("since", "seconds"),
    [(990.0, 10.0), (1000.0, 0.0), (1060.0, 0.0), (1120.0, 0.0), (1120.5, math.inf), (1000.0 + 365 * 86400, math.inf)],
)
def test_what_lies_far_in_the_future_was_long_ago(since: float, seconds: float) -> None:
    assert elapsed(since, 1000.0) == seconds
