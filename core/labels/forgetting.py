"""Removes requests that are too old or too many. Their ids stay as numbers for a while, so that a label that comes
after that is told from one whose request never was."""

from __future__ import annotations

from ..journal.sqlite.database import Database
from .matching import Matching, short

# Requests of one transaction.
_BATCH = 2000


def _which(database: Database, before: float, most: int) -> tuple[float, int]:
    """Returns what a request has to be older than, or its number not greater than, to go. Numbers rise as requests are
    collected, so the newest are the last ones; what was removed in between only leaves fewer."""
    row = database.one("SELECT max(number) FROM requests")
    return before, (row[0] if row and row[0] else 0) - most


def old(database: Database, before: float, most: int) -> int:
    """Returns how many requests would go, and labels by key."""
    row = database.one("SELECT count(*) FROM requests WHERE at < ? OR number <= ?", _which(database, before, most))
    said = database.one("SELECT count(*) FROM truths WHERE received < ?", (before,))
    return (row[0] if row else 0) + (said[0] if said else 0)


def forget(database: Database, before: float, most: int) -> int:
    """Removes them, a batch at a time; returns how many went."""
    bounds, removed = _which(database, before, most), 0
    while True:
        with database.transaction():
            rows = database.all(
                f"SELECT number, id, status FROM requests WHERE at < ? OR number <= ? LIMIT {_BATCH}",  # noqa: S608
                bounds,
            )
            for number, name, status in rows:
                _remove(database, number)
                if status == 200:
                    database.run("INSERT OR REPLACE INTO forgotten (id, number) VALUES (?, ?)", (short(name), number))
            _bound(database, most)
        removed += len(rows)
        if len(rows) < _BATCH:
            break
    _forget_keys(database, before, most)
    if removed:
        database.all("PRAGMA incremental_vacuum")
    return removed


def _forget_keys(database: Database, before: float, most: int) -> None:
    with database.transaction():
        matching = Matching(database)
        matching.forget_keys("received < ?", before)
        row = database.one("SELECT max(number) FROM truths")
        matching.forget_keys("number <= ?", (row[0] if row and row[0] else 0) - most)
        matching.written()


def _remove(database: Database, number: int) -> None:
    for table in ("labels", "inputs", "disputes", "keys", "early", "arrived"):
        database.run(f"DELETE FROM {table} WHERE request = ?", (number,))  # noqa: S608 - names of ours
    database.run("DELETE FROM requests WHERE number = ?", (number,))


def _bound(database: Database, most: int) -> None:
    """Keeps no more ids of forgotten requests than requests."""
    database.run("DELETE FROM forgotten WHERE number <= (SELECT coalesce(max(number), 0) FROM forgotten) - ?", (most,))
