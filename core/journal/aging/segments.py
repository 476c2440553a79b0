"""Seals the oldest rows of the audit and of the ledger: they leave the journal for files (`files.py`) that are listed,
with their digests, in the table `segments`, and are checked together with what stays."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence

from ...domain.frozen import Frozen
from ..sqlite.database import Database, Row
from . import files

AUDIT, LEDGER = "audit", "ledger"
DIRECTORY = "sealed"
AUDIT_COLUMNS = ("id", "at", "who", "action", "subject", "why", "digest")
LEDGER_COLUMNS = (
    "id", "environment", "how", "state", "model", "to_version", "from_version", "at", "who", "why", "run_id", "commit",
    "digest", "strategy", "forced", "phase", "ended", "message", "data",
)  # fmt: skip
# Fewer are not worth a file; more would be held in memory at once.
LEAST_ROWS, MOST_ROWS = 1000, 20_000
# The newest deployments of an environment stay in the journal, however old they are.
NEWEST_DEPLOYMENTS = 1000


class Segment(Frozen):
    """A sealed segment, as the journal lists it."""

    kind: str
    """`audit` or `ledger`."""
    number: int
    """Counts from 1 for each kind."""
    first: int
    """The lowest number among its rows."""
    last: int
    """The highest one."""
    rows: int
    before: str
    """The digest that its first row continues."""
    digest: str
    """That of its last row."""
    file: str
    """Its name below `.podium/sealed/`."""
    sha256: str
    """That of the file."""
    at: float


class Segments:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.directory = database.path.parent / DIRECTORY

    def all(self, kind: str) -> list[Segment]:
        """Returns the segments of a kind, the oldest first."""
        sql = (
            "SELECT kind, number, first, last, rows, before, digest, file, sha256, at FROM segments WHERE kind = ?"
            " ORDER BY number"
        )
        return [Segment(*row) for row in self._database.all(sql, (kind,))]

    def last(self, kind: str) -> tuple[int, str]:
        """Returns the highest number that is sealed, and the digest of the last sealed row; (0, "") for none."""
        found = self.all(kind)
        return (found[-1].last, found[-1].digest) if found else (0, "")

    def rows(self, segment: Segment) -> Iterator[Row]:
        """Yields what a segment holds, the oldest first, each row with its digest. JournalError if it cannot be
        read."""
        return files.read(self.directory / segment.file)

    # -- what may be sealed ----------------------------------------------------------------------------------------

    def count_old(self, kind: str, before: float) -> int:
        """Returns how many rows are old enough; 0 while they are too few for a segment."""
        where, values = _old(kind, before)
        row = self._database.one(f"{_with(kind)}SELECT count(*) FROM {_table(kind)} WHERE {where}", values)  # noqa: S608 - constant text
        number = int(row[0]) if row else 0
        return number if number >= LEAST_ROWS else 0

    def seal(self, kind: str, before: float) -> Segment | None:
        """Moves the oldest rows that are older than `before` into a segment; None while they are too few. The file is
        whole and on the disk before the rows go, so that a crash loses nothing. OSError when it cannot be written."""
        if not self.count_old(kind, before):
            return None
        rows = self._chained(kind, before)
        done = self.all(kind)
        number, head = len(done) + 1, done[-1].digest if done else ""
        name = f"{kind}-{number:06}.jsonl.gz"
        columns = AUDIT_COLUMNS if kind == AUDIT else (*LEDGER_COLUMNS, "chained")
        sha = files.write(self.directory / name, kind, columns, head, rows)
        ids = [int(row[0]) for row in rows]
        made = Segment(kind, number, min(ids), max(ids), len(rows), head, rows[-1][-1], name, sha, time.time())
        with self._database.transaction():
            if len(self.all(kind)) != len(done) or self._chained(kind, before, ids) != rows:
                return None  # another process sealed or changed them meanwhile: its word counts
            self._note(made)
            self._database.many(f"DELETE FROM {_table(kind)} WHERE id = ?", [(each,) for each in ids])  # noqa: S608
        return made

    def _note(self, made: Segment) -> None:
        self._database.run(
            "INSERT INTO segments (kind, number, first, last, rows, before, digest, file, sha256, at)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                made.kind,
                made.number,
                made.first,
                made.last,
                made.rows,
                made.before,
                made.digest,
                made.file,
                made.sha256,
                made.at,
            ),
        )

    def _chained(self, kind: str, before: float, ids: Sequence[int] | None = None) -> list[Row]:
        """Returns the rows to seal, with their digests; those of `ids` only, where they are given."""
        where, values = _old(kind, before)
        columns = ", ".join(f'"{name}"' for name in (AUDIT_COLUMNS if kind == AUDIT else LEDGER_COLUMNS))
        sql = f"{_with(kind)}SELECT {columns} FROM {_table(kind)} WHERE {where} ORDER BY id LIMIT ?"  # noqa: S608 - constant text
        rows = self._database.all(sql, (*values, MOST_ROWS if ids is None else len(ids)))
        if kind == AUDIT:
            return rows  # they have their chain
        _, digest = self.last(kind)
        found: list[Row] = []
        for row in rows:
            digest = chained(digest, row)
            found.append((*row, digest))
        return found

    # -- checking --------------------------------------------------------------------------------------------------

    def verify(self, kind: str) -> Iterator[str]:
        """Yields a sentence for each segment that is missing, was changed, or does not continue the one before."""
        before = ""
        for place, segment in enumerate(self.all(kind), 1):
            path = self.directory / segment.file
            if segment.number != place or segment.before != before:
                yield f"sealed {kind} segment {segment.number} does not continue the one before"
            try:
                if files.file_digest(path) != segment.sha256:
                    yield f"the sealed segment {path} was changed"
            except OSError as error:
                yield f"the sealed segment {path} cannot be read: {error.strerror or error}"
            before = segment.digest

    def verify_ledger(self) -> Iterator[str]:
        """Yields a sentence for each segment of the ledger whose rows are not those that were sealed."""
        yield from self.verify(LEDGER)
        for segment in self.all(LEDGER):
            digest = segment.before
            for row in self.rows(segment):
                digest = chained(digest, row[:-1])
                if digest != row[-1]:
                    yield f"deployment {row[0]} in {segment.file} was changed"
                    break
            if digest != segment.digest:
                yield f"{segment.file} does not end as it was sealed"


def chained(before: str, row: Row) -> str:
    """Returns the digest of a row of the ledger that continues `before`."""
    return hashlib.sha256(json.dumps([before, *row]).encode()).hexdigest()


def _table(kind: str) -> str:
    return "audit" if kind == AUDIT else "deployments"


# For each environment: the oldest of the deployments that stay, and the one that serves. Read once for a statement.
_OLDEST = """
WITH names AS MATERIALIZED (SELECT DISTINCT environment FROM deployments), oldest AS MATERIALIZED (
  SELECT environment, coalesce((SELECT id FROM deployments AS d WHERE d.environment = names.environment ORDER BY id DESC
    LIMIT 1 OFFSET {offset}), 0) AS kept, coalesce((SELECT max(id) FROM deployments AS d
    WHERE d.environment = names.environment AND d.state = 'succeeded'), 0) AS serving FROM names)
"""


def _with(kind: str) -> str:
    return "" if kind == AUDIT else _OLDEST.format(offset=NEWEST_DEPLOYMENTS - 1)


def _old(kind: str, before: float) -> tuple[str, tuple[float | int, ...]]:
    """Returns the condition for rows that may be sealed. Of the audit it is a beginning, up to the first entry that is
    younger, whatever clocks did; of the ledger what nothing looks at any more."""
    if kind == AUDIT:
        return "id < coalesce((SELECT min(id) FROM audit WHERE at >= ?), (SELECT max(id) FROM audit))", (before,)
    return (
        "at < ? AND state <> 'running' AND EXISTS (SELECT 1 FROM oldest WHERE oldest.environment ="
        " deployments.environment AND deployments.id < oldest.kept AND deployments.id <> oldest.serving)"
    ), (before,)
