"""Which process is the project's agent: at most one."""

from __future__ import annotations

import os
import time

from ..domain.watching import AgentStatus
from ..errors import Refused
from .database import Database
from .processes import alive, hostname

# Seconds without a heartbeat (the agent writes one a second) after which it counts as not answering.
STALE = 15.0


class Agent:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._mine: tuple[int, float] | None = None

    def claim(self, pid: int, started: float, host: str, who: str) -> None:
        """Makes the process (pid, started) the agent; Refused while another one lives (on another host: while its
        heartbeat is fresh)."""
        with self._database.transaction():
            held = self._row()
            if held is not None and (held.pid, held.started) != (pid, started) and _holds(held):
                raise Refused(
                    f"an agent already watches this project: process {held.pid} on {held.host}, started by {held.who}",
                    hint="One agent per project is enough. `podium watch --stop` ends it.",
                )
            self._database.run(
                "INSERT OR REPLACE INTO agent VALUES (1,?,?,?,?,?)", (pid, started, host, who, time.time())
            )
        self._mine = (pid, started)

    def heartbeat(self) -> None:
        """Says that the agent lives. Refused when another process has taken its place meanwhile."""
        if self._mine is None or not self._database.run(
            "UPDATE agent SET heartbeat = ? WHERE pid = ? AND started = ?", (time.time(), *self._mine)
        ):
            raise Refused(
                "this process is not the project's agent any more",
                hint="Another agent has taken over; `podium status` names it.",
            )

    def release(self) -> None:
        """Gives the place back; nothing happens when it is another's."""
        if self._mine is not None:
            self._database.run("DELETE FROM agent WHERE pid = ? AND started = ?", self._mine)
            self._mine = None

    def status(self) -> AgentStatus:
        held = self._row()
        if held is None:
            return AgentStatus(False, message="no agent watches this project")
        heartbeat = held.heartbeat or 0.0
        silent = max(0.0, time.time() - heartbeat)
        here = held.host == hostname()
        exists = alive(held.pid, held.started) if here else True
        if not exists:
            message = f"process {held.pid} is gone"
        elif silent > STALE:
            message = f"process {held.pid} on {held.host} has not answered for {silent:.0f} s"
        else:
            message = ""
        return AgentStatus(not message, held.pid, held.host, held.who, held.started, heartbeat, message)

    def _row(self) -> AgentStatus | None:
        row = self._database.one("SELECT pid, host, who, started, heartbeat FROM agent")
        return AgentStatus(False, *row) if row else None


def _holds(held: AgentStatus) -> bool:
    if held.host == hostname():
        return held.pid != os.getpid() and alive(held.pid, held.started)
    return time.time() - (held.heartbeat or 0.0) <= STALE
