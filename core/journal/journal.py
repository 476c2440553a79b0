"""The journal as one object: a connection and a store per subject."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from .agent import Agent
from .alerts import Alerts
from .audit import Audit
from .database import Database, connect
from .gates import Gates
from .ledger import Ledger
from .locks import Locks
from .quarantine import Quarantine
from .replicas import Replicas
from .runs import Runs
from .samples import Samples
from .steps import Steps
from .values import Values
from .versions import Versions


class Journal:
    """Everything that Podium remembers about one project. Belongs to the thread that opened it; open another for another thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.audit = Audit(database)
        self.runs = Runs(database)
        self.steps = Steps(database)
        self.ledger = Ledger(database)
        self.replicas = Replicas(database)
        self.quarantine = Quarantine(database, self.audit)
        self.locks = Locks(database, self.audit)
        self.versions = Versions(database)
        self.gates = Gates(database)
        self.samples = Samples(database)
        self.alerts = Alerts(database)
        self.agent = Agent(database)
        self.values = Values(database)

    @classmethod
    def open(cls, path: Path, *, create: bool = True, read_only: bool = False, timeout: float = 5.0) -> Self:
        """Opens `path`; `timeout` is how many seconds to wait for another process's write. JournalError says what is wrong with it."""
        return cls(connect(Path(path), create=create, read_only=read_only, timeout=timeout))

    @property
    def path(self) -> Path:
        return self._database.path

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def suspended(self) -> Generator[None]:
        """Inside, no connection is open: SQLite's must never be carried across a fork. Not within a transaction."""
        path = self._database.path
        self._database.close()
        try:
            yield
        finally:
            self._database.connection = connect(path, create=False, read_only=False, timeout=5.0).connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def data_version(self) -> int:
        """A number that grows whenever anybody, this object included, has written. Costs a few microseconds: made for polling."""
        row = self._database.one("PRAGMA data_version")
        # SQLite's number moves for other connections' commits only; total_changes counts our own. Both only grow, so does the sum.
        return int(row[0] if row else 0) + self._database.connection.total_changes

    def transaction(self) -> AbstractContextManager[None]:
        """Several writes as one: all or nothing, and one wait for the disk. May be nested."""
        return self._database.transaction()

    def check(self) -> list[str]:
        """What SQLite finds wrong with the file itself, in its own words; empty when it is sound. Reads the whole file."""
        return [str(row[0]) for row in self._database.all("PRAGMA quick_check(20)") if row[0] != "ok"]
