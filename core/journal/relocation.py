"""What a journal says about places and processes, changed when its project was moved or a copy of it is adopted."""

from __future__ import annotations

import time
from collections.abc import Callable

from .sqlite.database import Database

_COPIED = "a copy of the project was adopted: the original goes on with this"


class Relocation:
    def __init__(self, database: Database) -> None:
        self._database = database

    def processes(self) -> list[tuple[int | None, float | None]]:
        """Returns (pid, start time) of every process that the journal names: replicas, workers, the agent."""
        return [
            (row[0], row[1])
            for row in self._database.all(
                "SELECT pid, pid_started FROM replicas UNION SELECT pid, started FROM agent UNION"
                " SELECT worker_pid, worker_started FROM runs WHERE state IN ('queued', 'running', 'waiting')"
            )
        ]

    def repath(self, moved: Callable[[str], str]) -> None:
        """Replaces the paths of the project's files: `moved` gives the new one, or the same where it is none of the
        old place's."""
        for table, column, key in (
            ("runs", "workspace", "id"),
            ("versions", "source", "rowid"),
            ("replicas", "address", "id"),
        ):
            for number, path in self._database.all(f"SELECT {key}, {column} FROM {table} WHERE {column} <> ''"):  # noqa: S608 - constant names
                fresh = moved(path)
                if fresh != path:
                    self._database.run(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (fresh, number))  # noqa: S608

    def give_up(self) -> None:
        """Forgets everything that belongs to the original: its agent, replicas, locks, containers, images, messages,
        and what it was about to do. Runs are interrupted and deployments under way failed, here only."""
        now = time.time()
        for table in ("agent", "locks", "replicas", "pictures", "images"):
            self._database.run(f"DELETE FROM {table}")  # noqa: S608 - constant names
        self._database.run("DELETE FROM outbox WHERE state = 'waiting'")
        self._database.run(
            "UPDATE deployments SET state = 'failed', ended = ?, message = ? WHERE state = 'running'", (now, _COPIED)
        )
        self._database.run(
            "UPDATE steps SET state = 'interrupted', ended = ?, message = ? WHERE state = 'running'", (now, _COPIED)
        )
        self._database.run("UPDATE steps SET state = 'pending' WHERE state = 'waiting'")
        self._database.run(
            "UPDATE runs SET state = 'interrupted', ended = ?, message = ?, worker_pid = NULL, worker_started = NULL"
            " WHERE state IN ('queued', 'running', 'waiting')",
            (now, _COPIED),
        )
