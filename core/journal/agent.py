"""Records which process is the project's agent: at most one."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Collection
from typing import Any

from ..clock import elapsed
from ..domain.frozen import Frozen
from ..domain.watching import AgentStatus, Trouble
from ..errors import Refused
from ..identity.machine import Machine, ProcessLocation, here
from ..identity.processes import alive
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage
from .values import Values

# Seconds without a heartbeat (the agent writes one a second) after which it counts as not answering.
STALE_SECONDS = 15.0
_TROUBLE = "agent.trouble"
_TROUBLES = "agent.trouble:"
_COLUMNS = "pid, started, who, heartbeat, host, machine, boot, namespace"


def push_trouble(pipeline: str, branch: str) -> str:
    """Returns under which name it is noted that a push to the branch cannot run the pipeline."""
    return f"push to {branch} ({pipeline})"


def first_commit(pipeline: str, branch: str) -> str:
    """Returns under which key the commit is that a branch had when it was first looked at for a pipeline."""
    return f"first push:{pipeline}:{branch}"


def fork_of(run_id: int) -> str:
    """Returns under which key it is which fork a run's commit comes from: it is set for code from a fork only."""
    return f"fork:{run_id}"


class _AgentRow(Frozen):
    pid: int
    started: float
    who: str
    heartbeat: float
    machine: Machine


class Agent:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._mine: tuple[int, float] | None = None

    def claim(self, pid: int, started: float, who: str, *, machine: Machine | None = None) -> None:
        """Makes the process (pid, started) of this machine, or of `machine`, the agent. Raises Refused while another
        one is alive; one whose process cannot be looked up from here counts as alive while its heartbeat is fresh."""
        machine = here() if machine is None else machine
        with self._database.transaction():
            held = self._row()
            if held is not None and (held.pid, held.started) != (pid, started) and _holds(held):
                raise Refused(
                    f"an agent already watches this project: process {held.pid} on {held.machine.host}, started by"
                    f" {held.who}",
                    hint="One agent per project is enough. `podium watch --stop` ends it.",
                )
            self._database.run(
                f"INSERT OR REPLACE INTO agent (only_row, {_COLUMNS}) VALUES (1,?,?,?,?,?,?,?,?)",  # noqa: S608 - constant columns
                (pid, started, who, time.time(), machine.host, machine.id, machine.boot, machine.namespace),
            )
            # What the agent before this one could not do, this one has to find out.
            for trouble in self._troubles():
                if not trouble.lasting:
                    self.over(trouble.subject)
        self._mine = (pid, started)

    def heartbeat(self) -> None:
        """Records that the agent is alive. Raises Refused if another process has taken its place."""
        if self._mine is None or not self._database.run(
            "UPDATE agent SET heartbeat = ? WHERE pid = ? AND started = ?", (time.time(), *self._mine)
        ):
            raise Refused(
                "this process is not the project's agent any more",
                hint="Another agent has taken over; `podium status` names it.",
            )

    def release(self) -> None:
        """Gives up the place. Does nothing if it belongs to another process."""
        if self._mine is not None:
            self._database.run("DELETE FROM agent WHERE pid = ? AND started = ?", self._mine)
            self._mine = None

    def status(self) -> AgentStatus:
        held = self._row()
        if held is None:
            lasting = tuple(each for each in self._troubles() if each.lasting)
            return AgentStatus(False, message="no agent watches this project", troubles=lasting)
        silent = elapsed(held.heartbeat, time.time())
        where = held.machine.seen_from(here())
        if _gone(held, where):
            message = f"process {held.pid} is gone"
        elif silent > STALE_SECONDS:
            last = f"for {silent:.0f} s" if math.isfinite(silent) else "since the clock was ahead"
            message = f"process {held.pid} on {held.machine.host} has not answered {last}"
        else:
            message = ""
        local = where in (ProcessLocation.HERE, ProcessLocation.EARLIER_BOOT)
        trouble = "" if message else Values(self._database).get(_TROUBLE) or ""
        troubles = tuple(each for each in self._troubles() if each.lasting or not message)
        seen = (held.pid, held.machine.host, held.who, held.started, held.heartbeat, message, local, trouble, troubles)
        return AgentStatus(not message, *seen)

    def note(self, subject: str, words: str, *, lasting: bool = False) -> None:
        """Notes what the agent cannot do; the same words again change nothing."""
        before = self._database.one('SELECT value FROM "values" WHERE "key" = ?', (_TROUBLES + subject,))
        kept: dict[str, Any] = json.loads(before[0]) if before else {}
        if kept.get("words") != words or kept.get("lasting") != lasting:
            value = {"words": words, "at": time.time(), "lasting": lasting}
            Values(self._database).set(_TROUBLES + subject, json.dumps(value))

    def over(self, subject: str) -> None:
        """Notes that it can do that again."""
        if self._database.one('SELECT 1 FROM "values" WHERE "key" = ?', (_TROUBLES + subject,)) is not None:
            Values(self._database).set(_TROUBLES + subject, None)

    def forget(self, prefix: str, wanted: Collection[str]) -> None:
        """Removes the troubles of a kind whose subject is not there any more."""
        for trouble in self._troubles():
            if trouble.subject.startswith(prefix) and trouble.subject not in wanted:
                self.over(trouble.subject)

    def _troubles(self) -> list[Trouble]:
        if self._database.borrowed is not None:
            return []  # those of the original's agent
        found = Values(self._database).all(_TROUBLES)
        told = [_trouble((key, value)) for key, value in found.items()]
        return sorted(told, key=lambda each: each.at or 0.0)

    def trouble(self, text: str) -> None:
        """Notes why the agent works by an older podium.yaml; an empty text that it does not."""
        Values(self._database).set(_TROUBLE, text or None)

    def _row(self) -> _AgentRow | None:
        if self._database.borrowed is not None:
            return None  # the original's agent is not this copy's
        row = self._database.one(f"SELECT {_COLUMNS} FROM agent")  # noqa: S608 - constant columns
        return _held(row) if row else None


@names_damage("the agent's trouble")
def _trouble(row: Row) -> Trouble:
    return Trouble(str(row[0]).removeprefix(_TROUBLES), **json.loads(row[1]))


@names_damage("the agent's process", numbers=(0, 1, 3))
def _held(row: Row) -> _AgentRow:
    pid, started, who, heartbeat, host, machine, boot, namespace = row
    return _AgentRow(pid, started, who, heartbeat, Machine(host, machine, boot, namespace))


def _gone(held: _AgentRow, where: ProcessLocation) -> bool:
    return where is ProcessLocation.EARLIER_BOOT or (
        where is ProcessLocation.HERE and not alive(held.pid, held.started)
    )


def _holds(held: _AgentRow) -> bool:
    where = held.machine.seen_from(here())
    if where in (ProcessLocation.HERE, ProcessLocation.EARLIER_BOOT):
        return held.pid != os.getpid() and not _gone(held, where)
    return elapsed(held.heartbeat, time.time()) <= STALE_SECONDS
