"""Drives the app by keys, without a terminal and without sleeping longer than it must."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from podium.core.cockpit import Cockpit
from podium.tui.application import PodiumApp
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from tests.runner.scale import scaled

from .seed import NOW


def make_app(cockpit: Cockpit, **options: Any) -> PodiumApp:
    options.setdefault("clock", lambda: NOW)
    options.setdefault("interval", 0.05)
    options.setdefault("plain", False)
    return PodiumApp(cockpit, **options)


async def until(pilot: Pilot[Any], predicate: Callable[[], Any], what: str = "", timeout: float = 8.0) -> Any:
    """The first true value of `predicate`, with the app running on."""
    deadline = time.monotonic() + scaled(timeout)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so: {what or predicate}\n{text(pilot.app)}")
        await asyncio.sleep(0.02)


async def settled(pilot: Pilot[Any]) -> None:
    """Everything that the screen asked for has come and is drawn."""
    app = pilot.app
    assert isinstance(app, PodiumApp)

    def idle() -> bool:
        screen = app.podium_screen
        if screen is None or not screen.ready or not app._loaded:
            return False
        keys = [query.key for query in screen.all_queries()]
        snapshots = [app.store.get(key) for key in keys]
        return (
            not any(snapshot.loading for snapshot in snapshots)
            and not app.pool.busy("log")
            and not any(app.pool.busy(key) for key in keys)
        )

    for _ in range(2):  # what came may have asked for more
        await until(pilot, idle, "the screen has all its data")
        await pilot.pause()
        await pilot.pause()


def burst(pilot: Pilot[Any], *keys: str) -> None:
    """Types all keys at once, as a person does who knows the way: nothing is awaited between two of them."""
    for key in keys:
        name = _character_to_key(key) if len(key) == 1 else key
        event = events.Key(name, key if len(key) == 1 else None)
        event.set_sender(pilot.app)
        assert pilot.app._driver is not None
        pilot.app._driver.send_message(event)


def text(app: Any) -> str:
    """What is on screen, as text."""
    width, height = app.size
    lines = (
        ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips(app.size)]
        if width and height
        else []
    )
    return "\n".join(line.rstrip() for line in lines)


def drive(app: PodiumApp, script: Callable[[Pilot[Any]], Awaitable[None]], size: tuple[int, int] = (120, 40)) -> None:
    """Run the app, let it load, and do what the script says."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            await script(pilot)

    asyncio.run(run())
