from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.containers import Engine
from podium.core.errors import PodiumError

from tests.chaos.engine import clear, furnish
from tests.chaos.light import announce
from tests.chaos.world import World
from tests.servers import images
from tests.servers.mlflow import MlflowServer


@pytest.fixture(scope="session")
def _mlflow_server() -> Iterator[MlflowServer]:
    with MlflowServer() as made:
        yield made


@pytest.fixture
def mlflow_server(_mlflow_server: MlflowServer) -> MlflowServer:
    return _mlflow_server.ensure()


@pytest.fixture
def make_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_server: MlflowServer
) -> Iterator[Callable[..., World]]:
    """Makes worlds whose driver `light` this process and every one that it starts can load; they end with the test."""
    places = announce(tmp_path / "driver")
    for place in reversed(places):
        monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
    made: list[World] = []

    def make(driver: str = "light", **more: Any) -> World:
        home = tmp_path / f"project{len(made)}"
        home.mkdir()
        made.append(World(home, mlflow_server, driver, **more))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def docker_world(make_world: Callable[..., World]) -> Iterator[Callable[..., World]]:
    """Makes worlds on an engine (`docker_world(engine, host="")`), furnished with their images; nothing of them
    stays there."""
    made: list[tuple[World, Engine]] = []

    def make(engine: Engine, **more: Any) -> World:
        world = make_world("docker", more={"proxy_image": images.HAPROXY, "host": str(engine.address), **more})
        made.append((world, engine))
        furnish(world, engine)
        return world

    yield make
    for world, engine in made:
        world.close()
        with contextlib.suppress(PodiumError):  # an engine of the test's own may be gone already
            clear(world, engine)
