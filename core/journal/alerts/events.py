"""Stores the changes of alerts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ...domain.monitoring import AlertEvent
from ...errors import NotFound
from ..sqlite.database import Database, Row
from ..sqlite.rows import names_damage

MAX_EVENTS = 10_000
_EVENT = "id, name, environment, monitor, state, at, value, message, body"
# What of an event is in its `body`.
_IN_BODY = ("severity", "threshold", "episode", "started", "labels", "annotations", "shown", "limit")


class Alerts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event: AlertEvent) -> AlertEvent:
        """Stores a change and returns it with its id; beyond 10,000 the oldest are removed. One that makes an alert
        fire is an episode of its own."""
        body = {name: getattr(event, name) for name in _IN_BODY}
        with self._database.transaction():
            number = self._database.insert(
                "INSERT INTO alerts (name, environment, monitor, state, at, value, message, body)"
                " VALUES (?,?,?,?,?,?,?,?)",
                (
                    *(event.name, event.environment, event.monitor, event.state, event.at, event.value),
                    *(event.message, json.dumps(body)),
                ),
            )
            self._database.run("DELETE FROM alerts WHERE id <= ?", (number - MAX_EVENTS,))
            return self.get(number)

    def get(self, number: int) -> AlertEvent:
        row = self._database.one(f"SELECT {_EVENT} FROM alerts WHERE id = ?", (number,))  # noqa: S608 - constant columns
        if row is None:
            raise NotFound(f"there is no change {number} of an alert", hint="`podium alerts history` lists them")
        return _event(row)

    def recent(self, limit: int = 50, *, name: str = "") -> list[AlertEvent]:
        """Returns the newest changes of all alerts or of one, newest first."""
        sql = f"SELECT {_EVENT} FROM alerts WHERE ? IN ('', name) ORDER BY id DESC LIMIT ?"  # noqa: S608
        return [_event(row) for row in self._database.all(sql, (name, limit))]

    def after(self, number: int, environment: str, limit: int = 1000) -> list[AlertEvent]:
        """Returns the changes of an environment's alerts after event `number`, oldest first."""
        sql = f"SELECT {_EVENT} FROM alerts WHERE environment = ? AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
        return [_event(row) for row in self._database.all(sql, (environment, number, limit))]

    def newest(self) -> int:
        """Returns the id of the newest change; 0 if there is none."""
        row = self._database.one("SELECT max(id) FROM alerts")
        return int(row[0] or 0) if row else 0


@names_damage("the alert")
def _event(row: Row) -> AlertEvent:
    *fields, body = row
    kept: dict[str, Any] = json.loads(body)
    value = fields[6]
    if "shown" not in kept and value is not None:  # kept before values were told in their unit
        kept["shown"] = f"{value:.4g}"
    event = AlertEvent(*fields, **{name: kept[name] for name in _IN_BODY if name in kept})
    return replace(event, episode=event.id) if event.state == "firing" else event
