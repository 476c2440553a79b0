"""What a Git host has to be told is noted in the outbox here, in the transaction of the change that it is about.

A message names its subject, and never how that stands: whoever sends it looks that up then, so that whatever order
messages take, what is told last is what holds. A subject that waits to be told is not noted again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

# The value that says who is told what; without it nothing is noted.
FOLLOWED = "telling"
# What the receivers of these messages begin with.
PREFIX = "git:"


class Subject(StrEnum):
    """What a message is about: its `kind`."""

    STATUS = "status"
    """A run, for the marks on its commit."""
    COMMENT = "comment"
    """A run, for the comment on its commit's pull request."""
    QUARANTINE = "quarantine"
    """A commit."""
    DEPLOYMENT = "deployment"
    """A row of the ledger."""
    TAGS = "tags"
    """Everything that version tags record."""


class Followed:
    """Who is told what, as it is now."""

    def __init__(self, database: Database) -> None:
        self._database = database
        row = database.one('SELECT value FROM "values" WHERE "key" = ?', (FOLLOWED,))
        known = _known(row) if row else {}
        self.host = str(known.get("host", ""))
        self.subjects = frozenset(map(str, known.get("subjects", ())))

    def note(self, subject: Subject, part: str, body: Mapping[str, object]) -> None:
        """Notes a subject. Messages about one `part` of what a host has (a commit, an environment) are told in order,
        and do not keep back those about others."""
        if subject not in self.subjects:
            return
        receiver = f"{PREFIX}{self.host} {part}"
        # One that was taken up may have looked already: only what nobody has taken up tells what is noted here too.
        waits = self._database.one(
            "SELECT 1 FROM outbox WHERE state = 'waiting' AND leased IS NULL AND receiver = ? AND kind = ?"
            " AND body = ?",
            (receiver, str(subject), json.dumps(dict(body))),
        )
        if waits is None:
            from .outbox import Outbox

            Outbox(self._database).add(receiver, str(subject), body)


class Telling:
    """What is noted for the Git host, for those who begin to follow a project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def follow(self, host: str, subjects: frozenset[Subject]) -> bool:
        """Has these subjects noted for a host from now on; no subjects: nothing. Returns whether that is new."""
        written = json.dumps({"host": host, "subjects": sorted(subjects)}) if subjects else None
        with self._database.transaction():
            row = self._database.one('SELECT value FROM "values" WHERE "key" = ?', (FOLLOWED,))
            if (str(row[0]) if row else None) == written:
                return False
            self._database.run('DELETE FROM "values" WHERE "key" = ?', (FOLLOWED,))
            if written is not None:
                self._database.run('INSERT INTO "values" VALUES (?,?)', (FOLLOWED, written))
        return True

    def active(self) -> bool:
        """Whether anything is noted for a host."""
        return bool(Followed(self._database).subjects)

    def run(self, number: int) -> None:
        about_run(self._database, number, report=True)

    def comment(self, number: int) -> None:
        about_comment(self._database, number)

    def deployment(self, number: int) -> None:
        about_deployment(self._database, number)

    def versions(self) -> None:
        about_versions(self._database)

    def commit(self, model: str, version: int, commit: str) -> None:
        about_commit(self._database, model, version, commit)


def about_run(database: Database, run_id: int, *, report: bool = False) -> None:
    """Notes a run of a pipeline at a commit; with a `report` of a gate, or ended, also for the pull request. A run of
    files that differ from their commit says nothing about it."""
    followed = Followed(database)
    if not followed.subjects:
        return
    row = database.one('SELECT kind, "commit", dirty, ended FROM runs WHERE id = ?', (run_id,))
    if row is None or row[0] != "pipeline" or not row[1] or row[2]:
        return
    followed.note(Subject.STATUS, f"commit {row[1]}", {"run": run_id})
    if report or row[3] is not None:
        about_comment(database, run_id)


def about_comment(database: Database, run_id: int) -> None:
    """Notes a run of a pipeline at a commit for the pull request."""
    row = database.one('SELECT "commit" FROM runs WHERE id = ?', (run_id,))
    if row is not None and row[0]:
        Followed(database).note(Subject.COMMENT, f"pull request of {row[0]}", {"run": run_id})


def about_commit(database: Database, model: str, version: int, commit: str) -> None:
    """Notes that the quarantine of a commit has changed."""
    if commit:
        Followed(database).note(
            Subject.QUARANTINE, f"commit {commit}", {"model": model, "version": version, "commit": commit}
        )


def about_deployment(database: Database, number: int) -> None:
    """Notes a row of the ledger."""
    followed = Followed(database)
    if not followed.subjects:
        return
    row = database.one("SELECT environment FROM deployments WHERE id = ?", (number,))
    if row is not None:
        followed.note(Subject.DEPLOYMENT, f"environment {row[0]}", {"deployment": number})
        followed.note(Subject.TAGS, "tags", {})


def about_versions(database: Database) -> None:
    """Notes that a version may have been registered."""
    Followed(database).note(Subject.TAGS, "tags", {})


@names_damage("whom a Git host is told of:")
def _known(row: Row) -> dict[str, Any]:
    return dict(json.loads(row[0]))
