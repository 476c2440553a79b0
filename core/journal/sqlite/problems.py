"""Explains SQLite's errors and says what to do about each."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ...errors import JournalError

_HINTS: tuple[tuple[str, str, str], ...] = (
    (
        "SQLITE_BUSY",
        "is locked by another process",
        (
            "Another process has been writing for longer than the time-out. Try again; `podium ps` and `podium doctor`"
            " show who is at work."
        ),
    ),
    (
        "SQLITE_LOCKED",
        "is locked by another process",
        "Try again; `podium ps` and `podium doctor` show who is at work.",
    ),
    (
        "SQLITE_READONLY",
        "cannot be written",
        "Give this user write permission on the file and its directory, or run the command as its owner.",
    ),
    (
        "SQLITE_CANTOPEN",
        "cannot be opened",
        (
            "Check that its directory exists and that this user may write there (SQLite keeps two files, -wal and -shm,"
            " beside it)."
        ),
    ),
    (
        "SQLITE_PERM",
        "may not be opened",
        "Give this user access to the file and its directory, or run the command as its owner.",
    ),
    (
        "SQLITE_FULL",
        "cannot grow: the disk is full",
        "Free some space and try again. What was written before is safe; this change was not made.",
    ),
    (
        "SQLITE_IOERR",
        "cannot be read or written (disk error, or a size limit was reached)",
        (
            "Check the disk's free space, `ulimit -f` and the system log. What was written before is safe; this change"
            " was not made."
        ),
    ),
    (
        "SQLITE_NOTADB",
        "is not a journal, or is damaged",
        (
            "Move the file away (keep it) and restore a copy, or let Podium start a new one: versions and lineage are"
            " in MLflow's tags, history is not."
        ),
    ),
    (
        "SQLITE_CORRUPT",
        "is damaged",
        (
            "Nothing was changed. Keep the file, then restore a copy or save what is readable with: sqlite3 journal.db"
            " .recover | sqlite3 new.db"
        ),
    ),
    (
        "SQLITE_PROTOCOL",
        "cannot be locked",
        "The journal needs a local file system: SQLite's WAL mode does not work over NFS or SMB.",
    ),
)


def translate(error: sqlite3.Error, path: Path, subject: str = "the journal") -> JournalError:
    """Returns the JournalError that explains SQLite's code for the file at `path`, which `subject` names."""
    name = str(getattr(error, "sqlite_errorname", "") or "")
    for prefix, words, hint in _HINTS:
        if name.startswith(prefix):
            return JournalError(f"{subject} {path} {words}", hint=hint)
    return JournalError(
        f"{subject} {path} refused: {error}",
        hint="Run `podium doctor`; if it finds nothing, please report this as a defect.",
    )
