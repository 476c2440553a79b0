"""Remembers which image a name meant when an engine was last asked, in a table of the cache's database: a result that
is in the cache is found without an engine."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress


class ImageDigests:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(
            "CREATE TABLE IF NOT EXISTS images (engine TEXT, reference TEXT, digest TEXT, seen REAL, PRIMARY KEY"
            " (engine, reference)) WITHOUT ROWID"
        )

    def digest(self, engine: str, reference: str) -> str:
        """Empty when it was never seen."""
        row = self._database.execute(
            "SELECT digest FROM images WHERE engine = ? AND reference = ?", (engine, reference)
        ).fetchone()
        return row[0] if row else ""

    def put(self, engine: str, reference: str, digest: str) -> None:
        if self.digest(engine, reference) != digest:
            with suppress(sqlite3.Error):
                self._database.execute(
                    "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?)", (engine, reference, digest, time.time())
                )
