"""Stores small values by key, such as the last commit of a branch that a trigger handled."""

from __future__ import annotations

from .database import Database


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
        rows = self._database.all('SELECT "key", value FROM "values" ORDER BY "key"')
        return {key: value for key, value in rows if key.startswith(prefix)}
