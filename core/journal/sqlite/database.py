"""One connection to the journal's file: opening, transactions, and errors in plain words.

Statements are prepared once: sqlite3 keeps the last 256 by their text, and every text here is constant or one of a
few shapes.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import JournalError, Refused
from ...identity.home import STATE
from ...identity.private import close_to_others
from . import schema
from .problems import translate

Row = tuple[Any, ...]

_LARGEST = 2**63 - 1  # of SQLite's whole numbers
# After a checkpoint the write-ahead log is cut back to this size, so that one burst of writes does not keep disk for
# ever.
_WAL_BYTES = 16 << 20
_FILLING_SECONDS = 2.0


def _kept(value: Any) -> Any:
    """Returns a value as SQLite can keep it, for what others have written: text that is not UTF-8 (from a file name or
    a command line) with its wrong bytes as question marks, a whole number of more than 64 bits as the largest one."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return max(-_LARGEST - 1, min(value, _LARGEST)) if isinstance(value, int) else value


class Database:
    """A connection for one thread. Every method raises JournalError if SQLite fails; nothing half-done is left
    behind."""

    def __init__(self, connection: sqlite3.Connection, path: Path, subject: str = "the journal") -> None:
        """`subject` is what its errors call the file."""
        self.connection = connection
        self.path = path
        self.subject = subject
        self._depth = 0
        self.borrowed: Refused | None = None

    def borrow(self, refusal: Refused) -> None:
        """Lets this connection read only, and raise `refusal` for whatever would write: the journal is a copy of one
        that belongs to another directory. What it names (processes, containers, locks) is not there for this one."""
        self.run("PRAGMA query_only=ON")
        self.borrowed = refusal

    def close(self) -> None:
        try:
            self.connection.close()
        except sqlite3.Error as error:
            raise translate(error, self.path, self.subject) from error

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Executes one statement and returns the number of rows it changed."""
        try:
            return self._execute(sql, values).rowcount
        except sqlite3.DatabaseError as error:
            raise self._problem(error) from error

    def _execute(self, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self.connection.execute(sql, values)
        except (UnicodeEncodeError, OverflowError):
            return self.connection.execute(sql, [_kept(value) for value in values])

    def insert(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Inserts one row and returns its id."""
        try:
            return self._execute(sql, values).lastrowid or 0
        except sqlite3.DatabaseError as error:
            raise self._problem(error) from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Executes one statement for many rows, in one transaction."""
        with self.transaction():
            try:
                for values in rows:
                    self._execute(sql, values)
            except sqlite3.DatabaseError as error:
                raise self._problem(error) from error

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._problem(error) from error

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Yields rows one by one, for tables that may be large."""
        try:
            yield from self._execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise self._problem(error) from error

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        try:
            row: Row | None = self._execute(sql, values).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._problem(error) from error
        return row

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Opens a transaction: all or nothing. The outermost one takes the write lock at once (a later upgrade could
        fail half-way); inner ones are savepoints."""
        depth = self._depth
        begin, commit, undo = (
            ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
            if depth == 0
            else (f"SAVEPOINT p{depth}", f"RELEASE p{depth}", (f"ROLLBACK TO p{depth}", f"RELEASE p{depth}"))
        )
        self.run(begin)
        self._depth = depth + 1
        try:
            yield
            self.run(commit)
        except BaseException:
            # A full disk makes SQLite roll back by itself; asking again would hide the first error.
            if self.connection.in_transaction:
                for statement in undo:
                    self.connection.execute(statement)
            raise
        finally:
            self._depth = depth

    @contextmanager
    def reading(self) -> Generator[None]:
        """Makes several reads see one state of the journal, whatever others write meanwhile."""
        if self.connection.in_transaction:
            yield
            return
        self.run("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")

    def _problem(self, error: sqlite3.DatabaseError) -> Exception:
        if self.borrowed is not None and getattr(error, "sqlite_errorname", "").startswith("SQLITE_READONLY"):
            return Refused(self.borrowed.message, hint=self.borrowed.hint)
        # A wrong call (closed journal, another thread, a bad number of values) is our defect and stays what it is.
        return error if isinstance(error, sqlite3.ProgrammingError) else translate(error, self.path, self.subject)


def connect(path: Path, *, create: bool, read_only: bool, timeout: float) -> Database:
    """Opens the file, creating it (0600, its directory 0700) and migrating its schema where that is allowed. A state
    directory that others may look into (one that came with a clone) is closed to them."""
    made = _prepare(path, create=create and not read_only)
    if not read_only and path.parent.name == STATE:
        close_to_others(path.parent)
    deadline = time.monotonic() + timeout
    try:
        connection = (
            _open_reader(path, timeout)
            if read_only
            else sqlite3.connect(path, timeout=timeout, isolation_level=None, cached_statements=256)
        )
    except sqlite3.Error as error:
        raise translate(error, path) from error
    database = Database(connection, path)
    try:
        _configure(database, read_only=read_only, deadline=deadline)
        if made:
            schema.count_runs_on(database, last_run(path.parent))
    except BaseException:
        connection.close()
        raise
    return database


def last_run(state: Path) -> int:
    """Returns the highest number of a run that has files in the state directory; 0 if none has."""
    try:
        names = [entry.name for entry in os.scandir(state / "runs")]
    except OSError:
        return 0
    return max((int(name) for name in names if name.isascii() and name.isdecimal()), default=0)


def _is_empty(path: Path) -> bool:
    """Returns whether the file has no content; one that was made a moment ago is just being filled by another
    process."""
    found = path.stat()
    return found.st_size == 0 and abs(time.time() - found.st_mtime) > _FILLING_SECONDS


def _prepare(path: Path, *, create: bool) -> bool:
    """Returns whether the file was made here, just now."""
    made = False
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                made = True
        elif not path.exists():
            raise JournalError(
                f"there is no journal at {path}", hint="The first `podium run` in the project's directory starts one."
            )
        if path.is_dir():
            raise JournalError(
                f"the journal {path} is a directory",
                hint="Move it away: Podium keeps its journal in a file of that name.",
            )
        if not made and _is_empty(path) and (last := last_run(path.parent)):
            raise JournalError(
                f"the journal {path} is empty, and there are files of runs beside it, up to run {last}: its content is"
                " lost",
                hint=f"Move {path.parent} away and bring a backup back (`podium restore FILE`). Without one remove the"
                f" empty file: Podium starts a new journal, which counts on from run {last}, and `podium history"
                " --rebuild` fills its ledger from Git's tags.",
            )
    except OSError as error:
        permission = "Give this user write permission on the directory, or run the command as its owner."
        hint = "Free some space and try again." if error.errno == errno.ENOSPC else permission
        raise JournalError(f"the journal {path} cannot be made: {error.strerror}", hint=hint) from error
    return made


def _open_reader(path: Path, timeout: float) -> sqlite3.Connection:
    """Opens a connection that cannot write. Where not even the -shm file can be created (read-only medium), the file
    is read as it is."""
    connection = _connect_reader(path, "mode=ro", timeout)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "").split("_")[1:2] not in (["CANTOPEN"], ["READONLY"]):
            return connection
        connection.close()
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            return _open_copy(path, log, timeout)
        connection = _connect_reader(path, "mode=ro&immutable=1", timeout)
    return connection


def _connect_reader(path: Path, options: str, timeout: float) -> sqlite3.Connection:
    quoted = os.fsdecode(os.fsencode(path.absolute())).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(
        f"file:{quoted}?{options}", uri=True, timeout=timeout, isolation_level=None, cached_statements=256
    )


def _open_copy(path: Path, log: Path, timeout: float) -> sqlite3.Connection:
    """Opens a copy, where the newest rows are still in the write-ahead log: without its -shm file SQLite reads none
    of them. The copy goes with the connection."""
    import shutil  # these two bring more than the rest of a journal
    import tempfile

    with tempfile.TemporaryDirectory(prefix="podium-journal-") as directory:
        copy = Path(directory) / path.name
        for source in (path, log):
            shutil.copyfile(source, Path(directory) / source.name)
        connection = sqlite3.connect(copy, timeout=timeout, isolation_level=None, cached_statements=256)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        connection.execute("PRAGMA query_only=ON")
        return connection


def _configure(database: Database, *, read_only: bool, deadline: float) -> None:
    database.run("PRAGMA foreign_keys=ON")
    if read_only:
        schema.check(database)
        return
    database.run("PRAGMA synchronous=NORMAL")
    database.run(f"PRAGMA journal_size_limit={_WAL_BYTES}")
    if schema.check(database):
        return
    while True:
        # Changing to WAL needs the file for itself for a moment, and SQLite does not wait for that by itself.
        try:
            database.run("PRAGMA journal_mode=WAL")
            break
        except JournalError as error:
            busy = getattr(error.__cause__, "sqlite_errorname", "").startswith("SQLITE_BUSY")
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    schema.migrate(database)
