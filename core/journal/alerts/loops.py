"""Stores what the feedback loop did: at most one entry for each firing of an alert and each pipeline."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from ...domain.monitoring import LoopEntry, LoopState
from ...errors import NotFound
from ..sqlite.database import Database, Row
from ..sqlite.rows import names_damage

MAX_ENTRIES = 10_000
_COLUMNS = "id, alert, environment, pipeline, episode, at, state, body"
_IN_BODY = ("mode", "run", "version", "why", "ended")
# Value of the journal, with a run's number: what the alert was that started it.
_CAUSE = "alert of run:"


class Loops:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, entry: LoopEntry) -> LoopEntry:
        """Stores an entry, a new one with an id of 0; returns it with its id. Raises JournalError for a second one of
        the same firing and pipeline."""
        body = json.dumps({name: getattr(entry, name) for name in _IN_BODY})
        with self._database.transaction():
            if entry.id:
                self._database.run(
                    "UPDATE loops SET at = ?, state = ?, body = ? WHERE id = ?",
                    (entry.at, str(entry.state), body, entry.id),
                )
                return self.get(entry.id)
            number = self._database.insert(
                "INSERT INTO loops (alert, environment, pipeline, episode, at, state, body) VALUES (?,?,?,?,?,?,?)",
                (
                    *(entry.alert, entry.environment, entry.pipeline, entry.episode, entry.at),
                    *(str(entry.state), body),
                ),
            )
            self._database.run("DELETE FROM loops WHERE id <= ?", (number - MAX_ENTRIES,))
            return self.get(number)

    def get(self, number: int) -> LoopEntry:
        row = self._database.one(f"SELECT {_COLUMNS} FROM loops WHERE id = ?", (number,))  # noqa: S608 - constant columns
        if row is None:
            raise NotFound(f"the feedback loop has no entry {number}", hint="`podium feedback` lists them")
        return _entry(row)

    def of(self, episode: int, pipeline: str) -> LoopEntry | None:
        """Returns the entry of one firing of an alert and a pipeline."""
        sql = f"SELECT {_COLUMNS} FROM loops WHERE episode = ? AND pipeline = ?"  # noqa: S608 - constant columns
        row = self._database.one(sql, (episode, pipeline))
        return _entry(row) if row else None

    def recent(self, limit: int = 50, *, pipeline: str = "") -> list[LoopEntry]:
        """Returns the newest entries of all pipelines or of one, newest first."""
        sql = f"SELECT {_COLUMNS} FROM loops WHERE ? IN ('', pipeline) ORDER BY id DESC LIMIT ?"  # noqa: S608
        return [_entry(row) for row in self._database.all(sql, (pipeline, limit))]

    def in_state(self, states: Collection[LoopState]) -> list[LoopEntry]:
        """Returns the entries in one of the states, oldest first."""
        marks = ",".join("?" * len(states))
        sql = f"SELECT {_COLUMNS} FROM loops WHERE state IN ({marks}) ORDER BY id"  # noqa: S608 - constant text
        return [_entry(row) for row in self._database.all(sql, [str(each) for each in states])]

    def keep_cause(self, run: int, mode: str, values: Mapping[str, str]) -> None:
        """Keeps what the alert was that started a run, in which mode, for the steps of the run."""
        self._database.run(
            'INSERT OR REPLACE INTO "values" VALUES (?,?)', (f"{_CAUSE}{run}", json.dumps([mode, dict(values)]))
        )

    def cause(self, run: int) -> tuple[str, Mapping[str, str]]:
        """Returns the mode and the values of the alert that started a run; empty ones where none did."""
        row = self._database.one('SELECT value FROM "values" WHERE "key" = ?', (f"{_CAUSE}{run}",))
        return _cause(row) if row is not None else ("", {})


@names_damage("the loop")
def _entry(row: Row) -> LoopEntry:
    number, alert, environment, pipeline, episode, at, state, body = row
    kept: dict[str, Any] = json.loads(body)
    return LoopEntry(number, alert, environment, pipeline, episode, at, LoopState(state), **kept)


@names_damage("what started a run:")
def _cause(row: Row) -> tuple[str, Mapping[str, str]]:
    mode, values = json.loads(row[0])
    return str(mode), dict(values)
