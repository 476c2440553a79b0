"""Two servers in one process, ours and MLflow's, around the same model; requests reach both as a client's bytes
would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest


@dataclass(frozen=True)
class Pair:
    ours: Any
    theirs: Any
    loop: asyncio.AbstractEventLoop

    def ask(
        self, app: Any, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
                return await client.request(method, path, content=body, headers=headers)

        return self.loop.run_until_complete(call())


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import logging

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    from tests.serving import models

    return models.save(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def pair(saved: dict[str, Path]) -> Iterator[Callable[[str], Pair]]:
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server
    from podium.core.serving import scoring
    from podium.core.serving.app import App
    from podium.core.serving.options import Options

    loop = asyncio.new_event_loop()
    made: dict[str, Pair] = {}

    def of(name: str) -> Pair:
        if name not in made:
            app = App(Options(saved[name], 0))
            app.ready(scoring.load(saved[name]))
            made[name] = Pair(app, scoring_server.init(mlflow.pyfunc.load_model(str(saved[name]))), loop)
        return made[name]

    yield of
    loop.close()
