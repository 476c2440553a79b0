"""Named locks between processes. A lock whose holder died on this host is broken, and the audit says so."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ..errors import Refused
from .audit import Audit
from .database import Database
from .processes import alive, hostname, started_at

_COLUMNS = "name, who, why, pid, pid_started, host, at, token"


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who holds a lock. `token` tells two holds by one process apart."""

    name: str
    who: str
    why: str
    pid: int
    pid_started: float | None
    host: str
    at: float
    token: str = ""

    @property
    def alive(self) -> bool:
        """Whether its process runs. Of another host nothing is known, so its holder counts as alive."""
        return self.host != hostname() or alive(self.pid, self.pid_started)

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.at))
        return f"{self.who} since {since}{f' ({self.why})' if self.why else ''}, process {self.pid} on {self.host}"


class Lock:
    """A lock that is held. Leaving its `with` block, or `release()`, gives it back."""

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

    def take(self, name: str, who: str, why: str = "", *, pid: int | None = None) -> Lock:
        """Takes the lock for the process `pid` (this one unless told); Refused, naming the holder, while a live one
        has it, this process included."""
        pid = os.getpid() if pid is None else pid
        mine = LockHolder(name, who, why, pid, started_at(pid), hostname(), time.time(), os.urandom(8).hex())
        with self._database.transaction():
            held = self.holder(name)
            if held is not None and held.alive:
                where = "there" if held.host != hostname() else "here"
                raise Refused(
                    f"{name} is locked by {held}",
                    hint=(
                        f"Wait until it is done; `podium ps` shows what. If process {held.pid} {where} is stuck, end"
                        " it: the lock goes with it."
                    ),
                )
            if held is not None:
                self._audit.add(who, "lock broken", name, f"its holder is gone: {held}")
            self._database.run(
                f"INSERT OR REPLACE INTO locks ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)",  # noqa: S608 - constant columns
                (mine.name, mine.who, mine.why, mine.pid, mine.pid_started, mine.host, mine.at, mine.token),
            )
        return Lock(self, mine)

    def acquire(self, name: str, *, who: str, why: str = "", pid: int | None = None) -> Lock:
        """`take`, for a `with` statement."""
        return self.take(name, who, why, pid=pid)

    def release(self, name: str) -> None:
        """Gives back a lock that this process holds; nothing happens when it does not."""
        pid = os.getpid()
        held = self.holder(name)
        if held is not None and held.pid == pid and held.host == hostname() and alive(pid, held.pid_started):
            self.give_back(held)

    def give_back(self, holder: LockHolder) -> None:
        self._database.run("DELETE FROM locks WHERE name = ? AND token = ?", (holder.name, holder.token))

    def break_open(self, name: str, who: str, why: str) -> None:
        """Takes the lock from whoever has it: for a holder on a host that is gone. Kept in the audit."""
        with self._database.transaction():
            held = self.holder(name)
            if held is not None:
                self._audit.add(who, "lock broken", name, f"{why}; it was held by {held}")
                self.give_back(held)

    def holder(self, name: str) -> LockHolder | None:
        row = self._database.one(f"SELECT {_COLUMNS} FROM locks WHERE name = ?", (name,))  # noqa: S608 - constant columns
        return LockHolder(*row) if row else None

    def all(self) -> list[LockHolder]:
        return [LockHolder(*row) for row in self._database.all(f"SELECT {_COLUMNS} FROM locks ORDER BY name")]  # noqa: S608 - constant columns
