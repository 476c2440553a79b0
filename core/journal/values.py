"""Stores small values by key, such as the last commit of a branch that a trigger handled, and what people have agreed
to about steps that change an environment."""

from __future__ import annotations

import json
from dataclasses import asdict

from ..domain.delivery import Stopped
from ..domain.runs import Agreement
from .sqlite.database import Database


class Values:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> str | None:
        row = self._database.one('SELECT value FROM "values" WHERE "key" = ?', (key,))
        return str(row[0]) if row else None

    def set(self, key: str, value: str | None) -> None:
        """Stores a value; None removes the key."""
        if value is None:
            self._database.run('DELETE FROM "values" WHERE "key" = ?', (key,))
        else:
            self._database.run('INSERT OR REPLACE INTO "values" VALUES (?,?)', (key, value))

    def all(self, prefix: str = "") -> dict[str, str]:
        """Returns every value whose key starts with `prefix`."""
        sql = 'SELECT "key", value FROM "values" WHERE "key" >= ? AND "key" < ? ORDER BY "key"'
        return dict(self._database.all(sql, (prefix, prefix + chr(0x10FFFF))))


class Stops:
    """Which environments a person stopped: one value for each, replaced by the next stop. Whether it still holds, the
    ledger says (`Stopped`)."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def put(self, stopped: Stopped) -> None:
        """Stores that an environment is stopped."""
        self._values.set(f"stopped {stopped.environment}", json.dumps(asdict(stopped)))

    def get(self, environment: str) -> Stopped | None:
        """Returns the latest stop of an environment; None if it never was stopped."""
        written = self._values.get(f"stopped {environment}")
        return Stopped(**json.loads(written)) if written else None


class Agreements:
    """Stores, per step of a run, the last agreement of a person."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def keep(self, agreement: Agreement) -> None:
        """Stores an agreement; the last one about a step counts."""
        self._values.set(_key(agreement.run_id, agreement.step), json.dumps(asdict(agreement)))

    def get(self, run_id: int, step: str) -> Agreement | None:
        written = self._values.get(_key(run_id, step))
        return Agreement(**json.loads(written)) if written else None


def _key(run_id: int, step: str) -> str:
    return f"agreed:{run_id}:{step}"
