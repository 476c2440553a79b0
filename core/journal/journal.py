"""The journal as one object: a connection and one store per subject.

A store and its values are loaded on first use: the worker of a run needs three of them, and starts with every run.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..closing import Closing
from .sqlite.database import Database, connect

if TYPE_CHECKING:
    from ..errors import Refused
    from .agent import Agent
    from .aging.rows import Rows
    from .aging.segments import Segments
    from .alerts.events import Alerts
    from .alerts.loops import Loops
    from .alerts.silences import Silences
    from .alerts.states import AlertStates
    from .audit import Audit
    from .canary_requests import CanaryRequests
    from .gates import Gates
    from .host_runs import HostRuns
    from .images import Images
    from .ledger import Ledger
    from .locks import Locks
    from .measurements import Measurements
    from .outbox import Outbox
    from .quarantine import Quarantine
    from .relocation import Relocation
    from .replicas import Replicas
    from .runs import Runs
    from .samples import Samples
    from .snapshots import Snapshots
    from .steps import Steps
    from .telling import Telling
    from .values import Agreements, Stops, Tokens, Values
    from .verdicts import Verdicts
    from .versions import Versions


class Journal(Closing):
    """Everything that Podium stores about one project. Belongs to the thread that opened it; open another one for
    another thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, path: Path, *, create: bool = True, read_only: bool = False, timeout: float = 5.0) -> Self:
        """Opens `path`; `timeout` is how many seconds to wait for another process's write. JournalError says what is
        wrong with the file."""
        return cls(connect(Path(path), create=create, read_only=read_only, timeout=timeout))

    @property
    def path(self) -> Path:
        return self._database.path

    @property
    def borrowed(self) -> bool:
        """Whether this is a copy that nobody has adopted: it is read, and every write is refused."""
        return self._database.borrowed is not None

    def borrow(self, refusal: Refused) -> None:
        """Makes it one, for as long as it is open."""
        self._database.borrow(refusal)

    @cached_property
    def relocation(self) -> Relocation:
        from .relocation import Relocation

        return Relocation(self._database)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def suspended(self) -> Generator[None]:
        """Closes the connection inside the block: SQLite's must never be carried across a fork. Not within a
        transaction."""
        path = self._database.path
        self._database.close()
        try:
            yield
        finally:
            self._database.connection = connect(path, create=False, read_only=False, timeout=5.0).connection

    def data_version(self) -> int:
        """Returns a number that grows whenever any process, this object included, has written. Costs a few
        microseconds and is made for polling."""
        row = self._database.one("PRAGMA data_version")
        # SQLite's number moves for other connections' commits only; total_changes counts our own. Both only grow, so
        # does the sum.
        return int(row[0] if row else 0) + self._database.connection.total_changes

    def transaction(self) -> AbstractContextManager[None]:
        """Combines several writes: all or nothing, and one wait for the disk. May be nested."""
        return self._database.transaction()

    def check(self) -> list[str]:
        """Returns what SQLite finds wrong with the file, in its own words; empty if it is intact. Reads the whole
        file."""
        return [str(row[0]) for row in self._database.all("PRAGMA quick_check(20)") if row[0] != "ok"]

    @cached_property
    def audit(self) -> Audit:
        from .audit import Audit

        return Audit(self._database)

    @cached_property
    def host_runs(self) -> HostRuns:
        from .host_runs import HostRuns

        return HostRuns(self._database)

    @cached_property
    def runs(self) -> Runs:
        from .runs import Runs

        return Runs(self._database)

    @cached_property
    def steps(self) -> Steps:
        from .steps import Steps

        return Steps(self._database)

    @cached_property
    def tokens(self) -> Tokens:
        from .values import Tokens

        return Tokens(self._database, self.values, self.audit)

    @cached_property
    def stops(self) -> Stops:
        from .values import Stops

        return Stops(self.values)

    @cached_property
    def ledger(self) -> Ledger:
        from .ledger import Ledger

        return Ledger(self._database)

    @cached_property
    def replicas(self) -> Replicas:
        from .replicas import Replicas

        return Replicas(self._database)

    @cached_property
    def images(self) -> Images:
        from .images import Images

        return Images(self._database)

    @cached_property
    def snapshots(self) -> Snapshots:
        from .snapshots import Snapshots

        return Snapshots(self._database)

    @cached_property
    def canary_requests(self) -> CanaryRequests:
        from .canary_requests import CanaryRequests

        return CanaryRequests(self._database, self.audit)

    @cached_property
    def outbox(self) -> Outbox:
        from .outbox import Outbox

        return Outbox(self._database)

    @cached_property
    def telling(self) -> Telling:
        from .telling import Telling

        return Telling(self._database)

    @cached_property
    def quarantine(self) -> Quarantine:
        from .quarantine import Quarantine

        return Quarantine(self._database, self.audit)

    @cached_property
    def locks(self) -> Locks:
        from .locks import Locks

        return Locks(self._database, self.audit)

    @cached_property
    def verdicts(self) -> Verdicts:
        from .verdicts import Verdicts

        return Verdicts(self._database)

    @cached_property
    def versions(self) -> Versions:
        from .versions import Versions

        return Versions(self._database)

    @cached_property
    def gates(self) -> Gates:
        from .gates import Gates

        return Gates(self._database)

    @cached_property
    def samples(self) -> Samples:
        from .samples import Samples

        return Samples(self._database)

    @cached_property
    def measurements(self) -> Measurements:
        from .measurements import Measurements

        return Measurements(self._database)

    @cached_property
    def alerts(self) -> Alerts:
        from .alerts.events import Alerts

        return Alerts(self._database)

    @cached_property
    def alert_states(self) -> AlertStates:
        from .alerts.states import AlertStates

        return AlertStates(self._database)

    @cached_property
    def loops(self) -> Loops:
        from .alerts.loops import Loops

        return Loops(self._database)

    @cached_property
    def silences(self) -> Silences:
        from .alerts.silences import Silences

        return Silences(self._database, self.audit)

    @cached_property
    def agent(self) -> Agent:
        from .agent import Agent

        return Agent(self._database)

    @cached_property
    def agreements(self) -> Agreements:
        from .values import Agreements

        return Agreements(self.values)

    @cached_property
    def values(self) -> Values:
        from .values import Values

        return Values(self._database)

    @cached_property
    def rows(self) -> Rows:
        from .aging.rows import Rows

        return Rows(self._database)

    @cached_property
    def segments(self) -> Segments:
        from .aging.segments import Segments

        return Segments(self._database)
