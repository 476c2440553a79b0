"""Replicas that answer slowly, wrongly, or not at all: `light_server.py` looks at a file beside its model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from podium.core.containers import Engine
from podium.core.domain.delivery import Replica
from podium.core.errors import PodiumError, Unreachable
from podium.core.registry.files import directory

from .effects import Effect, Excuse
from .victims import Scene

PORT_IN_CONTAINER = 8080


def begin(mood: str, *excuses: Excuse) -> Callable[[Scene, int], Effect | None]:
    """Returns what puts one replica in a mood."""

    def work(scene: Scene, place: int) -> Effect | None:
        row = scene.replica(place)
        if row is None:
            return None
        try:
            _put(scene, row, mood)
        except (PodiumError, OSError):
            return None  # its container or its model is gone, or the disk is full or fails
        return Effect(f"{row.id} is {mood}", lambda: _end(scene, row), excuses)

    return work


def _end(scene: Scene, row: Replica) -> None:
    with suppress(PodiumError, OSError):  # it may have ended
        _put(scene, row, "")


def _put(scene: Scene, row: Replica, mood: str) -> None:
    if scene.docker is not None:
        _into_container(scene.docker, row.container, mood)
        return
    # Straight into the room: whether the disk fails is another fault's business.
    file = _model(scene, row.version) / f"mood-{row.port}"
    file.write_text(mood) if mood else file.unlink(missing_ok=True)


def _model(scene: Scene, version: int) -> Path:
    place = directory(scene.world.cockpit.project.config.state, scene.world.model, version)
    room, home = scene.ground.room, scene.ground.home
    return room / place.relative_to(home.parent) if room is not None else place


def _into_container(engine: Engine, container: str, mood: str) -> None:
    file = f"/tmp/mood-{PORT_IN_CONTAINER}"
    command = f"printf %s '{mood}' >{file}" if mood else f"printf '' >{file}"
    with engine.doing("putting a replica in a mood"):
        run = engine.api.exec_create(container, ["sh", "-c", command])
        engine.api.exec_start(run["Id"])
        if engine.api.exec_inspect(run["Id"])["ExitCode"]:
            raise Unreachable("the replica cannot be put in a mood")
