"""The audit: who did what, when and why; append-only, with each row chained to the one before it. Old rows are sealed
into files (`aging/segments.py`), which are read and checked as if they were still here.

A row's digest covers its content and the digest before it, and the number of rows and the last digest are stored
separately, so that an edited, removed, reordered or truncated row is noticed. A person who can write the file can
also compute a whole new chain: copy `head()` elsewhere to notice that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from ..domain.watching import AuditEntry
from .database import Database, Row

if TYPE_CHECKING:
    from .aging.segments import Segments

_COLUMNS = "id, at, who, action, subject, why, digest"
# More would not help a person; one broken link usually explains the rest.
_MAX_PROBLEMS = 20


def digest_of(before: str, id: int, at: float, who: str, action: str, subject: str, why: str) -> str:
    """Returns the SHA-256, in hex, of the digest before and this row's content."""
    from hashlib import sha256

    return sha256(json.dumps([before, id, at, who, action, subject, why]).encode()).hexdigest()


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def _sealed(self) -> Segments:
        from .aging.segments import Segments  # late: writing an entry needs nothing of it

        return Segments(self._database)

    def add(self, who: str, action: str, subject: str, why: str = "") -> AuditEntry:
        # Text that came from outside may hold lone surrogates, which SQLite refuses.
        who, action, subject, why = (text.encode("utf-8", "replace").decode() for text in (who, action, subject, why))
        at = time.time()
        with self._database.transaction():
            number, before = self.head()
            entry = AuditEntry(
                number + 1, at, who, action, subject, why, digest_of(before, number + 1, at, who, action, subject, why)
            )
            self._database.run(
                f"INSERT INTO audit ({_COLUMNS}) VALUES (?,?,?,?,?,?,?)",  # noqa: S608
                (entry.id, at, who, action, subject, why, entry.digest),
            )
            self._database.run("INSERT OR REPLACE INTO audit_head VALUES (1, ?, ?)", (entry.id, entry.digest))
        return entry

    def head(self) -> tuple[int, str]:
        """Returns (number of rows, digest of the last one)."""
        row = self._database.one("SELECT number, digest FROM audit_head")
        return (int(row[0]), str(row[1])) if row else (0, "")

    def page(self, limit: int = 50, before: int | None = None) -> list[AuditEntry]:
        """Returns entries older than entry `before`, newest first."""
        sql = f"SELECT {_COLUMNS} FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?"  # noqa: S608 - constant columns
        found = [
            AuditEntry(*row) for row in self._database.all(sql, (before if before is not None else 1 << 62, limit))
        ]
        last = found[-1].id if found else before
        return found if 0 <= limit <= len(found) else [*found, *self._sealed_before(last, limit - len(found))]

    def _sealed_before(self, before: int | None, limit: int) -> list[AuditEntry]:
        """Returns entries that are sealed, older than entry `before`, newest first."""
        found: list[AuditEntry] = []
        for segment in reversed(self._sealed.all("audit")):
            if before is None or segment.first < before:
                rows = [AuditEntry(*row) for row in self._sealed.rows(segment)]
                found += [entry for entry in reversed(rows) if before is None or entry.id < before]
            if 0 <= limit <= len(found):
                return found[:limit]
        return found

    def verify(self) -> list[str]:
        """Returns a sentence for every place where the chain is broken; empty if it is intact."""
        # One read transaction, or an entry that is added meanwhile would look like a difference.
        with self._database.reading():
            return self._verify()

    def _segments_problems(self) -> list[str]:
        return [*self._sealed.verify("audit"), *self._sealed.verify_ledger()][:_MAX_PROBLEMS]

    def _rows(self) -> Iterator[Row]:
        """Yields every entry that was ever written, the sealed ones first."""
        for segment in self._sealed.all("audit"):
            yield from self._sealed.rows(segment)
        yield from self._database.each(f"SELECT {_COLUMNS} FROM audit ORDER BY id")  # noqa: S608 - constant columns

    def _verify(self) -> list[str]:
        problems = self._segments_problems()
        if problems:  # what is left of the chain hangs on them
            return problems
        expected, before = 1, ""
        for row in self._rows():
            id, digest = int(row[0]), str(row[6])
            if id != expected:
                gap = str(expected) if id == expected + 1 else f"{expected} to {id - 1}"
                problems.append(f"audit entry {gap} is missing" if id > expected else f"audit entry {id} was inserted")
            elif digest != digest_of(before, *row[:6]):
                problems.append(f"audit entry {id} was changed, or the one before it was exchanged")
            expected, before = id + 1, digest
            if len(problems) >= _MAX_PROBLEMS:
                return [*problems, "… and perhaps more"]
        number, last = self.head()
        if number != expected - 1:
            problems.append(f"the audit ends at entry {expected - 1}, but {number} were written")
        elif last != before:
            problems.append("the last audit entry is not the one that was written")
        guards = self._database.all("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'")
        guards += self._database.all("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'segments'")
        if len(guards) < 4:
            problems.append("the guards that keep the audit append-only were removed")
        return problems
