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
# Seconds by which clocks of one machine's processes may seem to differ: a silence of this very moment is none of the
# future.
_TOLERATED = 1.0
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
        """Returns the silences that hold at `now`, the newest first. One from the future was noted by a clock that has
        been put back since: it holds, until `correct` has moved it."""
        sql = f"SELECT {_SILENCE} FROM silences WHERE ended IS NULL AND until > ? ORDER BY id DESC"  # noqa: S608
        return [Silence(*row) for row in self._database.all(sql, (now,))]

    def correct(self, now: float) -> int:
        """Moves silences that were noted by a clock which has been put back since: each begins now and is as long as it
        was. Returns how many; writes nothing where there are none."""
        ahead = "ended IS NULL AND at > ?"
        if self._database.one(f"SELECT 1 FROM silences WHERE {ahead} LIMIT 1", (now + _TOLERATED,)) is None:  # noqa: S608
            return 0
        with self._database.transaction():
            found = self._database.all(f"SELECT id, at, until FROM silences WHERE {ahead}", (now + _TOLERATED,))  # noqa: S608
            for number, at, until in found:
                self._database.run(
                    "UPDATE silences SET at = ?, until = ? WHERE id = ?", (now, now + until - at, number)
                )
        return len(found)
