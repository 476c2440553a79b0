"""Remembers which steps left MLflow runs that a version was chosen from, by their keys: what of them is in the cache is
no use without those runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress


class TrackedKeys:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE IF NOT EXISTS tracked (key TEXT PRIMARY KEY) WITHOUT ROWID")

    def note(self, keys: Iterable[str]) -> None:
        """Adds these, and forgets those that the cache has no result of any more."""
        with suppress(sqlite3.Error):
            self._database.execute("DELETE FROM tracked WHERE key NOT IN (SELECT key FROM entries)")
            self._database.executemany("INSERT OR IGNORE INTO tracked VALUES (?)", [(key,) for key in keys])

    def has(self, key: str) -> bool:
        return self._database.execute("SELECT 1 FROM tracked WHERE key = ?", (key,)).fetchone() is not None
