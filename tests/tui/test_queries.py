"""Queries of the screens: what two threads are the first to import at once is read all the same; when an answer is too old."""

from __future__ import annotations

from typing import Any, cast

import pytest
from podium.core.cockpit import Cockpit
from podium.tui.projects import session
from podium.tui.queries import Query


def test_what_was_half_imported_is_read_again_once() -> None:
    given = cast(Cockpit, object())
    asked: list[Any] = []

    def read(cockpit: Cockpit) -> str:
        asked.append(cockpit)
        if len(asked) == 1:
            raise ImportError("cannot import name 'Repository' from partially initialized module")
        return "read"

    assert Query("x", read).answer(given) == "read" and asked == [given, given]


def test_what_is_not_there_at_all_and_every_other_mistake_is_said() -> None:
    asked: list[int] = []

    def missing(_cockpit: Cockpit) -> None:
        asked.append(1)
        raise ImportError("no module")

    with pytest.raises(ImportError):
        Query("x", missing).answer(cast(Cockpit, object()))
    assert len(asked) == 2

    def wrong(_cockpit: Cockpit) -> None:
        asked.append(1)
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        Query("x", wrong).answer(cast(Cockpit, object()))
    assert len(asked) == 3


def test_an_answer_expires_by_its_age_but_what_is_slow_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])
    opened = session.Session(0, cast(Cockpit, object()), lambda: now[0])
    query = Query("x", lambda _cockpit: 1, holds=3.0)
    assert not opened.expired(query), "it was never asked: what the screen shows first has it read"
    opened.read_at["x"], opened.answers["x"] = 99.9, (100.0, 0.1)
    now[0] = 102.9
    assert not opened.expired(query)
    now[0] = 103.0
    assert opened.expired(query)
    assert not opened.expired(Query("x", query.read)), "what the journal has is read when that changes"
    opened.read_at["x"] = 103.0
    assert not opened.expired(query), "it is being asked"
    opened.answers["x"] = (105.0, 2.0)
    now[0] = 144.9
    assert not opened.expired(query), "two seconds are asked for once in forty at most"
    now[0] = 145.0
    assert opened.expired(query)
