"""Moments of the past as people say them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from podium.core.domain.text.moments import spoken_moment

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC).timestamp()  # a Thursday


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setitem(os.environ, "TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("11:05", "2026-11-26T11:05"),
        ("today 11:05:30", "2026-11-26T11:05:30"),
        ("Yesterday at 14:05", "2026-11-25T14:05"),
        ("yesterday", "2026-11-25T00:00"),
        ("tuesday 14:05", "2026-11-24T14:05"),
        ("tue 14:05", "2026-11-24T14:05"),
        ("last Tuesday 14:05", "2026-11-17T14:05"),
        ("thursday 11:00", "2026-11-26T11:00"),
        ("thursday 14:05", "2026-11-19T14:05"),
        ("last thursday 11:00", "2026-11-19T11:00"),
        ("friday 9:00", "2026-11-20T09:00"),
        ("last friday 9:00", "2026-11-20T09:00"),
        ("2026-11-23T10:11", "2026-11-23T10:11"),
        ("2h", "2026-11-26T10:00"),
    ],
)
def test_a_moment_that_is_said(text: str, said: str) -> None:
    found = spoken_moment(text, NOW)
    assert found is not None
    assert datetime.fromtimestamp(found, UTC).replace(tzinfo=None) == datetime.fromisoformat(said)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "tuesday 14:99", "last 14:05", "next tuesday", "to", "14.05"])
def test_what_is_no_moment(text: str) -> None:
    assert spoken_moment(text, NOW) is None
