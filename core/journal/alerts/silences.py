"""Stores silences. Each is in the audit too, with who began and who ended it."""

from __future__ import annotations

import time
from dataclasses import replace

from ...domain.monitoring import Silence
from ...errors import NotFound
from ..audit import Audit
from ..sqlite.database import Database

# Silences that are over and stay to be looked at; the audit has all of them.
MAX_SILENCES = 1_000
_SILENCE = "id, subject, who, why, at, until, ended"


class Silences:
    def __init__(self, database: Database, audit: Audit) -> None:
        self._database, self._audit = database, audit

    def add(self, subject: str, *, who: str, why: str, until: float, words: str) -> Silence:
        """Begins a silence; `words` say until when, for the audit."""
        now = time.time()
        with self._database.transaction():
            number = self._database.insert(
                "INSERT INTO silences (subject, who, why, at, until) VALUES (?,?,?,?,?)",
                (subject, who, why, now, until),
            )
            self._database.run(
                "DELETE FROM silences WHERE id <= ? AND (ended IS NOT NULL OR until < ?)", (number - MAX_SILENCES, now)
            )
            self._audit.add(who, "silence alert", subject, f"{words}: {why}")
        return Silence(number, subject, who, why, now, until)

    def end(self, subject: str, *, who: str, why: str = "") -> list[Silence]:
        """Ends what silences the subject now; returns what did. Raises NotFound if nothing does."""
        now = time.time()
        with self._database.transaction():
            found = [each for each in self.active(now) if each.subject == subject]
            if not found:
                raise NotFound(f"{subject} is not silenced", hint="`podium alerts` shows what is")
            for each in found:
                self._database.run("UPDATE silences SET ended = ? WHERE id = ?", (now, each.id))
            self._audit.add(who, "end silence", subject, why)
        return [replace(each, ended=now) for each in found]

    def active(self, now: float) -> list[Silence]:
        """Returns the silences that hold at `now`, the newest first."""
        sql = f"SELECT {_SILENCE} FROM silences WHERE ended IS NULL AND at <= ? AND until > ? ORDER BY id DESC"  # noqa: S608
        return [Silence(*row) for row in self._database.all(sql, (now, now))]
