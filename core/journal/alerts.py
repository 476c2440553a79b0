"""Stores alerts that fired and resolved."""

from __future__ import annotations

import time

from ..domain.watching import Alert
from .database import Database

_MAX_ROWS = 10_000


class Alerts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        name: str,
        *,
        environment: str,
        monitor: str,
        state: str,
        value: float | None = None,
        message: str = "",
        at: float | None = None,
    ) -> Alert:
        """Stores the alert; beyond 10,000 the oldest are removed."""
        when = time.time() if at is None else at
        with self._database.transaction():
            number = self._database.insert(
                "INSERT INTO alerts (name, environment, monitor, state, at, value, message) VALUES (?,?,?,?,?,?,?)",
                (name, environment, monitor, state, when, value, message),
            )
            self._database.run("DELETE FROM alerts WHERE id <= ?", (number - _MAX_ROWS,))
        return Alert(number, name, environment, monitor, state, when, value, message)

    def recent(self, limit: int = 50) -> list[Alert]:
        """Returns the newest alerts, newest first."""
        sql = "SELECT id, name, environment, monitor, state, at, value, message FROM alerts ORDER BY id DESC LIMIT ?"
        return [Alert(*row) for row in self._database.all(sql, (limit,))]
