"""The audit: who did what, when and why; append-only, with each row chained to the one before it. Old rows are sealed
into files (`aging/segments.py`), which are read and checked as if they were still here.

A row's digest covers its content and the digest before it, and the number of rows and the last digest are stored
separately, so that an edited, removed, reordered or truncated row is noticed. A person who can write the file can
also compute a whole new chain: copy `head()` elsewhere to notice that.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from ..domain.watching import AuditEntry, AuditFilter
from ..errors import JournalError
from .sqlite.database import Database, Row

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

    def page(
        self, limit: int | None = 50, before: int | None = None, only: AuditFilter | None = None
    ) -> list[AuditEntry]:
        """Returns entries older than entry `before`, newest first; `limit` None is all of them."""
        return list(islice(self._matching(before, only or AuditFilter()), limit))

    def _matching(self, before: int | None, only: AuditFilter) -> Iterator[AuditEntry]:
        since = -inf if only.since is None else only.since
        until = inf if only.until is None else only.until
        about = [
            *([self._about_environment(only.environment)] if only.environment else []),
            *([self._about_version(only.version)] if only.version is not None else []),
        ]
        for row in self._newest_first(1 << 62 if before is None else before, since, until):
            entry = AuditEntry(*row)
            if _says(entry, only) and all(matches(entry) for matches in about):
                yield entry

    def _newest_first(self, before: int, since: float, until: float) -> Iterator[Row]:
        """Yields entries of that time older than entry `before`; a sealed segment is read when it is reached."""
        sql = f"SELECT {_COLUMNS} FROM audit WHERE id < ? AND at >= ? AND at < ? ORDER BY id DESC"  # noqa: S608
        yield from self._database.each(sql, (before, since, until))
        for segment in reversed(self._sealed.all("audit")):
            if segment.first < before:
                rows = [row for row in self._sealed.rows(segment) if row[0] < before and since <= row[1] < until]
                yield from reversed(rows)

    def _about_environment(self, name: str) -> Callable[[AuditEntry], bool]:
        """Returns what tells an entry about an environment: one that names it, or a run that was an operation on it."""
        named = re.compile(rf"(?:environment |replay on )?{re.escape(name)}(?: version | \(|$)")
        sql = "SELECT id FROM runs WHERE name = ? AND kind <> 'pipeline'"
        runs = {int(row[0]) for row in self._database.all(sql, (name,))}
        return lambda entry: named.match(entry.subject) is not None or _run_of(entry) in runs

    def _about_version(self, number: int) -> Callable[[AuditEntry], bool]:
        """Returns what tells an entry about a version: one that names it, or a run that was told to bring it."""
        named = re.compile(rf"(?<![\w.-])(?:version |v){number}(?!\w)")
        quarantined = re.compile(rf" {number}$")
        sql = "SELECT id FROM runs WHERE kind <> 'pipeline' AND json_extract(params, '$.version') IN (?1, ?2)"
        runs = {int(row[0]) for row in self._database.all(sql, (number, str(number)))}

        def matches(entry: AuditEntry) -> bool:
            return (
                named.search(entry.subject) is not None
                or (entry.action.startswith("quarantine") and quarantined.search(entry.subject) is not None)
                or _run_of(entry) in runs
            )

        return matches

    def verify(self, known: tuple[int, str] | None = None) -> list[str]:
        """Returns a sentence for every place where the chain is broken; empty if it is intact. `known` is a head that
        was kept elsewhere: that entry has to be there with that digest."""
        # One read transaction, or an entry that is added meanwhile would look like a difference.
        with self._database.reading():
            return [*self._verify(), *(self._compare(*known) if known is not None else [])]

    def lacking(self, known: tuple[int, str]) -> list[str]:
        """Returns why a head that was kept elsewhere is not in the chain; empty if it is. Computes nothing again."""
        with self._database.reading():
            return list(self._compare(*known))

    def _compare(self, number: int, digest: str) -> Iterator[str]:
        try:
            row = next((row for row in self._newest_first(number + 1, -inf, inf) if row[0] == number), None)
        except JournalError:
            return  # the segment that should have it cannot be read, which was said
        if row is None and (number, digest) != (0, ""):
            yield f"audit entry {number}, which the kept head names, is missing"
        elif row is not None and row[6] != digest:
            yield f"audit entry {number} is not the one that the kept head names: the chain was computed anew"

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


def _says(entry: AuditEntry, only: AuditFilter) -> bool:
    who, action, search = (text.casefold() for text in (only.who, only.action, only.search))
    texts = (entry.who, entry.action, entry.subject, entry.why)
    return (
        who in entry.who.casefold()
        and action in ("", entry.action.casefold())
        and (not search or any(search in text.casefold() for text in texts))
    )


def _run_of(entry: AuditEntry) -> int | None:
    """Returns the run that an entry is about: `run 12`, `run 12 train`, `production (run 12)`."""
    found = re.match(r"run (\d{1,18})\b", entry.subject) or re.search(r"\(run (\d{1,18})\)$", entry.subject)
    return int(found[1]) if found else None
