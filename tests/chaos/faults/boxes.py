"""What happens to containers: killed, paused, removed, cut off from their network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from podium.core.errors import PodiumError

from tests.servers.pausing import pause

from .effects import Effect, Excuse
from .victims import Scene

Begin = Callable[[Scene, int], Effect | None]
Act = Callable[[Any, str], object]

KILLED = Excuse("held by a killed instance of the proxy", 0.5, 8)
HALTED = Excuse("held by an instance of the proxy that was paused or cut off", 1.5, 16)
# What it was asked before the proxy took it out of service.
MUTE = Excuse("held by a replica that was paused or cut off", 8.0, 60)


def _kill(api: Any, container: str) -> None:
    api.kill(container)


def _remove(api: Any, container: str) -> None:
    api.remove_container(container, force=True)


def _cut(api: Any, container: str) -> None:
    for name in api.inspect_container(container)["NetworkSettings"]["Networks"]:
        api.disconnect_container_from_network(container, name, force=True)


def _stop_inside(api: Any, container: str) -> None:
    """The engine goes on saying that it runs."""
    api.kill(container, "STOP")


def _go_on_inside(api: Any, container: str) -> None:
    api.kill(container, "CONT")


def _resume(api: Any, container: str) -> None:
    api.unpause(container)


def _on_replica(act: Act, words: str, *excuses: Excuse, back: Act | None = None) -> Begin:
    def begin(scene: Scene, place: int) -> Effect | None:
        row = scene.replica(place)
        return _do(scene, act, row.container, f"{row.id} {words}", excuses, back) if row is not None else None

    return begin


def _on_proxy(act: Act, words: str, *excuses: Excuse, back: Act | None = None) -> Begin:
    def begin(scene: Scene, place: int) -> Effect | None:
        return _do(scene, act, scene.proxy_container(place), f"an instance of the proxy {words}", excuses, back)

    return begin


def _do(
    scene: Scene, act: Act, container: str, words: str, excuses: tuple[Excuse, ...], back: Act | None
) -> Effect | None:
    if not _done(scene, act, container):
        return None
    return Effect(words, (lambda: _done(scene, back, container)) if back is not None else None, excuses)


def _done(scene: Scene, act: Act, container: str) -> bool:
    """Does it; returns False where there is no such container any more, or it is in another state."""
    assert scene.docker is not None
    with suppress(PodiumError):
        if container:
            with scene.docker.doing("chaos"):
                act(scene.docker.api, container)
            return True
    return False


FAULTS: Mapping[str, tuple[Begin, tuple[float, float], str]] = {
    "container of a replica killed": (_on_replica(_kill, "killed"), (0.0, 0.0), "replica"),
    "container of a replica removed": (_on_replica(_remove, "removed"), (0.0, 0.0), "replica"),
    "container of a replica paused": (_on_replica(pause, "paused", MUTE, back=_resume), (1.0, 4.0), "replica"),
    "container of a replica cut off": (_on_replica(_cut, "cut off", MUTE), (0.0, 0.0), "replica"),
    "container of the proxy killed": (_on_proxy(_kill, "killed", KILLED), (0.0, 0.0), "proxy"),
    "container of the proxy removed": (_on_proxy(_remove, "removed", KILLED), (0.0, 0.0), "proxy"),
    "container of the proxy paused": (_on_proxy(pause, "paused", HALTED, back=_resume), (1.0, 4.0), "proxy"),
    "container of the proxy stopped inside": (
        _on_proxy(_stop_inside, "stopped inside", HALTED, back=_go_on_inside),
        (1.0, 4.0),
        "proxy",
    ),
    "container of the proxy cut off": (_on_proxy(_cut, "cut off", HALTED), (0.0, 0.0), "proxy"),
}
