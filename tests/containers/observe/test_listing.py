"""How long a listing of an engine's containers is good for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers.engine.address import Address
from podium.core.containers.observe import listing
from podium.core.containers.observe.listing import Listing

from tests.containers.wire import Wire, document


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.cost = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with Wire(tmp_path / "engine.sock") as made:
        yield made


def test_a_listing_that_took_long_is_used_for_longer(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(listing, "time", clock)

    def slow(request: object) -> None:
        clock.now += clock.cost
        document([])(request)  # type: ignore[arg-type]

    wire.tell("GET /containers/json", slow)
    found = Listing(Address("unix", path=wire.address.path), "shop", tmp_path)

    def lists(*, after: float) -> bool:
        clock.now += after
        before = len(wire.seen)
        found.all()
        return len(wire.seen) > before

    assert lists(after=0.0)
    assert not lists(after=0.2) and lists(after=0.2), "a quick one is asked again after 0.3 s"
    clock.cost = 0.4
    assert lists(after=0.5)
    assert not lists(after=1.1) and lists(after=0.2), "one of 0.4 s after 1.2 s"
    clock.cost = 9.0
    assert lists(after=1.3)
    assert not lists(after=1.9) and lists(after=0.2), "and none later than after 2 s"
    found.forget()
    assert lists(after=0.0), "what this process changed is seen at once"
