"""The file of an environment's requests and labels: opening it, and its tables."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from ..errors import JournalError
from ..journal.sqlite.database import Database

_SUBJECT = "the store of labels"
_TIMEOUT = 30.0
_WAL_BYTES = 16 << 20
_VERSION = 3

_TABLES = """
CREATE TABLE requests (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, at REAL NOT NULL, version INTEGER,
  status INTEGER NOT NULL, rows INTEGER NOT NULL, predictions TEXT NOT NULL);
CREATE INDEX requests_by_id ON requests(id);
CREATE INDEX requests_by_time ON requests(at, number);
CREATE TABLE keys (
  key TEXT NOT NULL, request INTEGER NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (key, request, row)) WITHOUT ROWID;
CREATE INDEX keys_by_request ON keys(request);
CREATE TABLE inputs (request INTEGER PRIMARY KEY, content_type TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE labels (
  number INTEGER PRIMARY KEY AUTOINCREMENT, request INTEGER NOT NULL, row INTEGER NOT NULL, value TEXT NOT NULL,
  at REAL NOT NULL, received REAL NOT NULL, client TEXT NOT NULL, UNIQUE (request, row));
CREATE TABLE disputes (
  number INTEGER PRIMARY KEY AUTOINCREMENT, request INTEGER NOT NULL, row INTEGER NOT NULL, value TEXT NOT NULL,
  received REAL NOT NULL, client TEXT NOT NULL);
CREATE INDEX disputes_by_request ON disputes(request);
CREATE TABLE waiting (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, key TEXT, row INTEGER, value TEXT NOT NULL, at REAL,
  received REAL NOT NULL, client TEXT NOT NULL);
CREATE INDEX waiting_by_id ON waiting(id) WHERE id IS NOT NULL;
CREATE INDEX waiting_by_key ON waiting(key) WHERE key IS NOT NULL;
CREATE TABLE forgotten (id INTEGER PRIMARY KEY, number INTEGER NOT NULL);
CREATE INDEX forgotten_by_number ON forgotten(number);
CREATE TABLE clients (
  name TEXT PRIMARY KEY, matched INTEGER NOT NULL, repeated INTEGER NOT NULL, contradictory INTEGER NOT NULL,
  late INTEGER NOT NULL, unknown INTEGER NOT NULL, refused INTEGER NOT NULL, last REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
  number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, mark BLOB NOT NULL, offset INTEGER NOT NULL,
  UNIQUE (name, mark));
"""
# Since version 2: requests that only their captures have told of so far.
_EARLY = "CREATE TABLE early (request INTEGER PRIMARY KEY)"
# Since version 3: labels by key stay for requests that come later, and no longer wait beside those by id.
_BY_KEY = """
CREATE TABLE truths (
  number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, value TEXT NOT NULL, at REAL, received REAL NOT NULL,
  client TEXT NOT NULL, found INTEGER NOT NULL);
CREATE INDEX truths_by_key ON truths(key, number);
CREATE INDEX truths_by_time ON truths(received);
CREATE INDEX truths_waiting ON truths(client, received) WHERE found = 0;
CREATE TABLE arrived (key TEXT NOT NULL, request INTEGER NOT NULL, row INTEGER NOT NULL);
INSERT INTO truths (key, value, at, received, client, found)
  SELECT key, value, at, received, client, 0 FROM waiting WHERE key IS NOT NULL ORDER BY number;
DELETE FROM waiting WHERE key IS NOT NULL;
"""


def place(state: Path, environment: str) -> Path:
    """Returns where the file of an environment is."""
    return state / "labels" / f"{environment}.db"


def connect(path: Path) -> Database:
    """Opens the file, which is made (mode 600, its directory 700) where it is missing. Raises JournalError if it
    cannot be opened, is damaged, or was written by a later version."""
    try:
        # Without the state directory: a project that was moved away is not made anew in its old place.
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None, cached_statements=256)
    except (OSError, sqlite3.Error) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise JournalError(
            f"{_SUBJECT} {path} cannot be opened: {words}",
            hint="may this user write there, and is there room on the disk?",
        ) from error
    database = Database(connection, path, _SUBJECT)
    try:
        _prepare(database)
    except BaseException:
        connection.close()
        raise
    return database


def _prepare(database: Database) -> None:
    database.run("PRAGMA synchronous=NORMAL")
    database.run(f"PRAGMA journal_size_limit={_WAL_BYTES}")
    if _version(database) == _VERSION:
        return
    database.run("PRAGMA auto_vacuum=INCREMENTAL")
    _begin_log(database)
    with database.transaction():
        version = _version(database)
        for statements in (_TABLES, _EARLY, _BY_KEY)[version:]:
            for statement in filter(str.strip, statements.split(";")):
                database.run(statement)
        database.run(f"PRAGMA user_version={_VERSION}")


def _begin_log(database: Database) -> None:
    """Changes to WAL, which needs the file for itself for a moment; SQLite does not wait for that by itself."""
    deadline = time.monotonic() + _TIMEOUT
    while True:
        try:
            database.run("PRAGMA journal_mode=WAL")
            return
        except JournalError as error:
            busy = getattr(error.__cause__, "sqlite_errorname", "").startswith("SQLITE_BUSY")
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _version(database: Database) -> int:
    """Returns the version of the tables, 0 for none. Raises JournalError for a file of a later version."""
    row = database.one("PRAGMA user_version")
    version = int(row[0]) if row else 0
    if version > _VERSION:
        raise JournalError(
            f"{_SUBJECT} {database.path} was written by a later version of Podium",
            hint="use that version, or a newer one",
        )
    return version
