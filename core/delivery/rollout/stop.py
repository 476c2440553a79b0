"""Stops an environment because a person wants it stopped: plans that, and carries it out.

That it is stopped is written to the journal first (`Stopped`), so that the agent brings nothing back, whatever becomes
of this process. The stop holds until a deployment succeeds: `start`, deploy, promote or rollback.
"""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...domain.access.roles import Role
from ...domain.delivery import Replica, ReplicaState, Stopped
from ...domain.plans import Change, Plan
from ...domain.project import Project
from ...domain.text.format import count
from ...journal import Journal
from ..environment import history
from ..environment.ending import end_all, runs
from ..environment.lock import operation
from ..environment.runtime import EnvironmentRuntime
from ..environment.served_at import STOPPED
from .carry_out import ensure_as_planned
from .change_steps import ensure_allowed, runtime_of, seen_of
from .plans import ledger_state, locked
from .recovery import recover_all

if TYPE_CHECKING:
    from ...engine.context import StepContext

_SECONDS = 2.0


def plan_stop(project: Project, journal: Journal, target: str) -> Plan:
    """Returns what a stop would end. NotFound for an unknown environment."""
    environment = project.environment(target)
    runtime = EnvironmentRuntime(project, journal, environment)
    serving, rows = history.serving(journal, target, runtime.model), runtime.replicas()
    return Plan(
        target=target,
        verb="stop",
        title=f"Stop {target}",
        action="Stop",
        command=f"podium stop -e {shlex.quote(target)}",
        changes=tuple(_changes(runtime, serving, rows)),
        steps=(
            f"note that {target} is stopped: the agent does not bring it back",
            "give no request to a replica any more, and let those in flight finish",
            "end the proxy",
            *([f"end {count(len(rows), 'replica')}"] if rows else []),
        ),
        warnings=(f"nothing answers for {target} afterwards; podium start -e {shlex.quote(target)} brings it back",),
        refusal=locked(journal, target),
        nothing_to_do=_nothing(runtime),
        type_to_confirm=target if environment.protected else "",
        guarded=True,
        kept_in="journal",
        expected_seconds=_SECONDS,
        rests_on=ledger_state(journal, target),
    )


def _changes(runtime: EnvironmentRuntime, serving: int | None, rows: Sequence[Replica]) -> list[Change]:
    taking = any(row.weight for row in rows)
    found = [Change(f"traffic of {runtime.name}", f"version {serving}", "none")] if taking and serving else []
    kept = Counter((row.version, "" if row.weight else _kept(row)) for row in rows)
    found += [
        Change(f"version {version}", f"{count(number, 'replica')}{how}", "none")
        for (version, how), number in sorted(kept.items(), key=lambda item: (bool(item[0][1]), -item[0][0]))
    ]
    return [*found, Change("proxy", runtime.driver.url(), "nothing answers")]


def _kept(row: Replica) -> str:
    return ", stopped and kept" if row.state is ReplicaState.STOPPED else ", warm"


def _nothing(runtime: EnvironmentRuntime) -> str:
    if runs(runtime):
        return ""
    stopped = history.stopped(runtime.journal, runtime.name)
    if stopped is not None:
        return f"{runtime.name} was stopped by {stopped.who}"
    return (
        f"nothing runs for {runtime.name}"
        if history.serving(runtime.journal, runtime.name, runtime.model) is None
        else ""
    )


def stop(context: StepContext) -> Mapping[str, Any]:
    """The built-in step `stop`. Options: `environment`, which the operation's target is by default."""
    runtime = runtime_of(context)
    ensure_allowed(context, runtime, Role.STOP)
    run = context.run
    with operation(runtime.journal, runtime.directory, runtime.name, who=run.who, why="stop"):
        for line in recover_all(runtime):
            runtime.say(line)
        ensure_as_planned(runtime.name, seen_of(context.options), ledger_state(runtime.journal, runtime.name))
        current = runtime.journal.ledger.current(runtime.name)
        deployment = current.id if current else None
        runtime.journal.stops.put(Stopped(runtime.name, deployment, run.who, time.time(), run.why, run.id))
        busy = runtime.traffic.drain([row for row in runtime.replicas() if row.weight])
        ended = end_all(runtime)
    runtime.journal.audit.add(run.who, STOPPED, runtime.name, run.why)
    if busy:
        runtime.say(f"{', '.join(sorted(busy))} still answered requests when the time for that was over")
    return {"environment": runtime.name, "version": current.to_version if current else None, "ended": ended}
