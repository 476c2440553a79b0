"""Queries of the screens: what two threads are the first to import at once is read all the same."""

from __future__ import annotations

from typing import Any, cast

import pytest
from podium.core.cockpit import Cockpit
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
