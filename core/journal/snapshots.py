"""What the engine of each environment was last seen to run."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ..domain.containers import Container, EngineSnapshot
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage


class Snapshots:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, snapshot: EngineSnapshot) -> None:
        containers = json.dumps([asdict(container) for container in snapshot.containers])
        self._database.run(
            "INSERT OR REPLACE INTO pictures (environment, engine, at, containers, message) VALUES (?,?,?,?,?)",
            (snapshot.environment, snapshot.engine, snapshot.at, containers, snapshot.message),
        )

    def get(self, environment: str) -> EngineSnapshot | None:
        row = self._database.one(
            "SELECT environment, engine, at, containers, message FROM pictures WHERE environment = ?", (environment,)
        )
        return _snapshot(row) if row else None

    def remove(self, environment: str) -> None:
        self._database.run("DELETE FROM pictures WHERE environment = ?", (environment,))


def _container(written: dict[str, Any]) -> Container:
    networks = tuple(written.pop("networks", ()))
    return Container(**written, networks=networks)


@names_damage("what was last seen of", numbers=(2,))
def _snapshot(row: Row) -> EngineSnapshot:
    return EngineSnapshot(row[0], row[1], row[2], tuple(_container(each) for each in json.loads(row[3])), row[4])
