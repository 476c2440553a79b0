"""Named locks between processes. A lock whose holder is dead is broken by the next process that wants it, and the
audit says so.

Who holds a lock is known by machine, boot, pid and start time (`core/identity`); the host's name is only for people.
A holder in another container of this kernel cannot be looked up by its pid: each holder also keeps a kernel lock on
a file of its own (`guard`) for as long as it lives.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from ..domain.frozen import Frozen
from ..errors import PodiumError, Refused
from ..identity.machine import Machine, ProcessLocation, here
from ..identity.processes import alive, started_at
from .audit import Audit
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

_COLUMNS = "name, who, why, pid, pid_started, host, at, token, machine, boot, namespace, guarded"


class LockHolder(Frozen):
    """Says who holds a lock."""

    name: str
    """Name of the lock."""
    who: str
    """The person or part of Podium that took it."""
    why: str
    """What it was taken for, for people."""
    pid: int
    """The process that holds it, in the numbering of its own machine and container."""
    pid_started: float | None
    """When that process started, as `identity.processes` counts it."""
    machine: Machine
    """Where that process runs."""
    at: float
    """When the lock was taken, in seconds since the epoch."""
    token: str = ""
    """Tells two holds by one process apart."""
    guard: str = ""
    """The file that the holder keeps a kernel lock on; empty where it has none."""

    @property
    def host(self) -> str:
        return self.machine.host

    @property
    def alive(self) -> bool:
        """Whether its process runs. Where nothing can be known (another machine), the holder counts as alive."""
        where = self.machine.seen_from(here())
        if where is ProcessLocation.HERE:
            return alive(self.pid, self.pid_started)
        if where is ProcessLocation.ANOTHER_CONTAINER and self.guard:
            return _guarded(self.guard)
        return where is not ProcessLocation.EARLIER_BOOT

    @property
    def elsewhere(self) -> bool:
        """Whether it runs where nobody can look from here: the lock is never broken by itself."""
        where = self.machine.seen_from(here())
        known = where in (ProcessLocation.HERE, ProcessLocation.EARLIER_BOOT)
        return not known and not (where is ProcessLocation.ANOTHER_CONTAINER and self.guard)

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.at))
        return f"{self.who} since {since}{f' ({self.why})' if self.why else ''}, process {self.pid} on {self.host}"


class _Left:
    """The locks that this process could not give back, by their tokens: the rows are still there, and the process that
    they name lives on. For any thread."""

    def __init__(self) -> None:
        self._tokens: set[str] = set()

    def __contains__(self, token: str) -> bool:
        return token in self._tokens

    def add(self, token: str) -> None:
        self._tokens.add(token)


_left = _Left()


@names_damage("the lock", numbers=(3, 4, 6))
def _holder(row: Row) -> tuple[LockHolder, bool]:
    """Returns the holder in a row, and whether there is a file that it keeps a kernel lock on."""
    name, who, why, pid, started, host, at, token, machine, boot, namespace, guarded = row
    holder = LockHolder(name, who, why, pid, started, Machine(host, machine, boot, namespace), at, str(token))
    return holder, bool(guarded)


class Lock:
    """Is a lock that is held. Leaving its `with` block, or `release()`, gives it back."""

    def __init__(self, locks: Locks, holder: LockHolder) -> None:
        self._locks = locks
        self.holder = holder
        self.name = holder.name

    def release(self) -> None:
        self._locks.give_back(self.holder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Locks:
    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._guards = database.path.parent / "locks"
        self._mine: dict[str, int] = {}

    def take(self, name: str, who: str, why: str = "", *, pid: int | None = None) -> Lock:
        """Takes the lock for the process `pid` (this one by default). Refused, naming the holder, while a live one
        has it, this process included."""
        own = pid is None or pid == os.getpid()
        pid = os.getpid() if pid is None else pid
        token = os.urandom(8).hex()
        guard = self._hold_guard(token) if own else ""
        mine = LockHolder(name, who, why, pid, started_at(pid), here(), time.time(), token, guard)
        try:
            with self._database.transaction():
                self._make_room(name, who)
                self._insert(mine)
        except BaseException:
            self._drop_guard(mine)
            raise
        return Lock(self, mine)

    def _make_room(self, name: str, who: str) -> None:
        """Breaks the lock of a holder that is dead. Refused while it is alive."""
        held = self.holder(name)
        if held is None:
            return
        if held.alive:
            where = "here" if held.machine.seen_from(here()) is ProcessLocation.HERE else "there"
            raise Refused(
                f"{name} is locked by {held}",
                hint=(
                    f"Wait until it is done; `podium ps` shows what. If process {held.pid} {where} is stuck, end it:"
                    " the lock goes with it."
                    + (f" If {held.host} is gone: podium unlock '{name}'." if held.elsewhere else "")
                ),
            )
        self._audit.add(who, "lock broken", name, f"its holder is gone: {held}")
        self._drop_guard(held)

    def _insert(self, mine: LockHolder) -> None:
        machine = mine.machine
        self._database.run(
            f"INSERT OR REPLACE INTO locks ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constant columns
            (
                mine.name,
                mine.who,
                mine.why,
                mine.pid,
                mine.pid_started,
                machine.host,
                mine.at,
                mine.token,
                machine.id,
                machine.boot,
                machine.namespace,
                int(bool(mine.guard)),
            ),
        )

    def acquire(self, name: str, *, who: str, why: str = "", pid: int | None = None) -> Lock:
        """Is `take`, for a `with` statement."""
        return self.take(name, who, why, pid=pid)

    def release(self, name: str) -> None:
        """Gives back a lock that this process holds; nothing happens when it does not."""
        pid = os.getpid()
        held = self.holder(name)
        if (
            held is not None
            and held.pid == pid
            and held.machine.seen_from(here()) is ProcessLocation.HERE
            and alive(pid, held.pid_started)
        ):
            self.give_back(held)

    def give_back(self, holder: LockHolder) -> None:
        """Gives back a lock. Where the journal cannot be written that is an error, and whoever asks next in this
        process does it."""
        try:
            self._database.run("DELETE FROM locks WHERE name = ? AND token = ?", (holder.name, holder.token))
        except PodiumError:
            if holder.pid == os.getpid() and holder.machine.seen_from(here()) is ProcessLocation.HERE:
                _left.add(holder.token)
            raise
        finally:
            self._drop_guard(holder)

    def break_open(self, name: str, who: str, why: str) -> None:
        """Takes the lock from its holder: for a holder on a machine that is gone. Kept in the audit."""
        with self._database.transaction():
            held = self.holder(name)
            if held is not None:
                self._audit.add(who, "lock broken", name, f"{why}; it was held by {held}")
                self.give_back(held)

    def holder(self, name: str) -> LockHolder | None:
        if self._database.borrowed is not None:
            return None  # whoever holds it holds the original's
        row = self._database.one(f"SELECT {_COLUMNS} FROM locks WHERE name = ?", (name,))  # noqa: S608 - constant columns
        found = self._holder(row) if row else None
        if found is None or found.token not in _left:
            return found
        with suppress(PodiumError):  # it still cannot be written
            self.give_back(found)
        return None

    def all(self) -> list[LockHolder]:
        if self._database.borrowed is not None:
            return []
        rows = self._database.all(f"SELECT {_COLUMNS} FROM locks ORDER BY name")  # noqa: S608 - constant columns
        return [found for found in map(self._holder, rows) if found.token not in _left]

    def _holder(self, row: Row) -> LockHolder:
        holder, guarded = _holder(row)
        return replace(holder, guard=str(self._guard(holder.token))) if guarded else holder

    def _guard(self, token: str) -> Path:
        return self._guards / f"{token}.lock"

    def _hold_guard(self, token: str) -> str:
        """Returns the path of a new file that this process keeps locked. A lock can do without it (a full disk):
        then a process in another container takes its holder for alive."""
        path = self._guard(token)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            return ""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return ""
        self._mine[token] = descriptor
        return str(path)

    def _drop_guard(self, holder: LockHolder) -> None:
        descriptor = self._mine.pop(holder.token, None)
        if holder.guard:
            with suppress(OSError):
                Path(holder.guard).unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


def _guarded(path: str) -> bool:
    """Whether a process, in whatever container of this kernel, holds the lock on the file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        # Shared: two processes that look at the same time do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
