"""Plans and carries out a repair, and the restart of one replica."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...domain.access.roles import Role
from ...domain.delivery import EnvironmentStatus, Replica, ReplicaState
from ...domain.plans import Plan
from ...domain.project import Project
from ...domain.repair import Difference, DifferenceKind, Severity
from ...errors import NotFound, Refused, RunFailed
from ...journal import Journal
from ..environment.history import start_seconds
from ..environment.lock import operation
from ..environment.runtime import EnvironmentRuntime
from ..rollout.change_steps import ENGINE_TIMEOUT, ensure_allowed
from ..rollout.restart import others_serve, restart_replica
from ..status import status as environments
from .apply import REPAIRED_KINDS, Repair

if TYPE_CHECKING:
    from ...engine.context import StepContext

_SHORT_SECONDS = 1.0
_START_SECONDS = 5.0
_STARTS = frozenset(
    (
        DifferenceKind.STOPPED,
        DifferenceKind.GONE,
        DifferenceKind.MISSING,
        DifferenceKind.IMAGE,
        DifferenceKind.LABELS,
        DifferenceKind.SETTINGS,
        DifferenceKind.UNHEALTHY,
    )
)
_REMOVE = "remove"
_RESTART = "restart"
PROXY = "proxy"


class StillDifferent(RunFailed):
    """Raised when the repair was done and a problem is left. `results` are the step's results, which are kept."""

    def __init__(self, message: str, results: Mapping[str, Any]) -> None:
        super().__init__(
            message,
            hint=f"podium status -e {results['environment']} shows what is left; podium repair can be done again",
        )
        self.results = dict(results)


# Plans


def plan(project: Project, journal: Journal, target: str) -> Plan:
    """Returns what a repair would do now; the engine is asked. An environment that matches the ledger has a plan
    without steps."""
    environment = project.environment(target)
    status = environments.status(project, journal, environment, fresh=True)
    found = status.differences
    repairable = () if status.stopped is not None else tuple(each for each in found if each.repairable)
    ranked = sorted(repairable, key=lambda each: REPAIRED_KINDS.index(each.kind))
    steps = list(dict.fromkeys(each.repair for each in ranked))
    start = start_seconds(journal, target) or _START_SECONDS
    strays = [each.subject for each in found if each.kind is DifferenceKind.STRAY]
    return Plan(
        target=target,
        verb="repair",
        title=f"Repair {target}",
        action="Repair",
        differences=found,
        steps=(*steps, "look again, and say what is still different") if steps else (),
        command=f"podium repair -e {shlex.quote(target)}",
        warnings=_warnings(found),
        refusal=_refusal(status),
        nothing_to_do="" if steps else _nothing(status),
        type_to_confirm=target if environment.protected else "",
        guarded=True,
        kept_in="audit",
        expected_seconds=_SHORT_SECONDS + start * any(each.kind in _STARTS for each in ranked) if steps else None,
        arguments={_REMOVE: " ".join(strays)} if strays else {},
    )


def _nothing(status: EnvironmentStatus) -> str:
    if status.stopped is not None:
        return f"{status.name} was {status.stopped.words}: podium start -e {shlex.quote(status.name)} brings it back"
    return status.why_not_repair() or f"there is nothing that a repair of {status.name} could do"


def _warnings(found: tuple[Difference, ...]) -> tuple[str, ...]:
    left = [
        f"a repair can do nothing about this: {each.words}"
        for each in found
        if not each.repairable and each.kind is not DifferenceKind.UNREACHABLE
    ]
    strays = [each for each in found if each.kind is DifferenceKind.STRAY]
    if strays:
        left.append(
            f"{len(strays)} container{'s' * (len(strays) > 1)} with this environment's labels will be removed, whoever"
            " made them"
        )
    return tuple(left)


def _refusal(status: EnvironmentStatus) -> str:
    if status.locked_by:
        return status.why_not_change()
    away = next((each for each in status.differences if each.kind is DifferenceKind.UNREACHABLE), None)
    return f"nothing can be repaired while the engine does not answer: {away.words}" if away is not None else ""


def plan_restart(project: Project, journal: Journal, target: str, *, replica: str) -> Plan:
    """Returns what the restart of one replica, by its id, or of the proxy (`proxy`, or its container's name) would
    do. NotFound for any other name."""
    environment = project.environment(target)
    runtime = EnvironmentRuntime(project, journal, environment)
    status = environments.status(project, journal, environment)
    row = _meant(runtime, replica)
    start = start_seconds(journal, target) or _START_SECONDS
    return Plan(
        target=target,
        verb="restart",
        title=f"Restart the proxy of {target}" if row is None else f"Restart {row.id}",
        action="Restart",
        steps=_restart_steps(runtime, row),
        command=(f"podium repair -e {shlex.quote(target)} --restart {shlex.quote(replica if row is None else row.id)}"),
        refusal=_refusal(status),
        type_to_confirm=target if environment.protected else "",
        guarded=True,
        kept_in="audit",
        expected_seconds=_SHORT_SECONDS if row is None else start,
        step="repair",
        arguments={_RESTART: PROXY if row is None else row.id},
    )


def _meant(runtime: EnvironmentRuntime, name: str) -> Replica | None:
    """Returns the replica of that id, or whose container has that name or id; None for the proxy."""
    from ..environment import observed

    snapshot = observed.snapshot(runtime)
    containers = snapshot.containers if snapshot is not None else ()
    found = next((each for each in containers if name in (each.name, each.id)), None)
    if name == PROXY or (found is not None and found.role == PROXY):
        return None
    rows = runtime.replicas()
    row = next((row for row in rows if row.id == name or (found is not None and row.container == found.id)), None)
    if row is None:
        raise NotFound(
            f"{runtime.name} has no replica {name!r}", hint=f"it has: {', '.join([*(row.id for row in rows), PROXY])}"
        )
    return row


def _restart_steps(runtime: EnvironmentRuntime, row: Replica | None) -> tuple[str, ...]:
    if row is None:
        return ("start another HAProxy, which takes over the connections of the one that runs",)
    again = f"stop {row.id} and start it again"
    if not row.weight:
        return (again, "wait until it is healthy")
    first = (
        ()
        if others_serve(runtime, row)
        else (f"start another replica of version {row.version} beside it, as nothing else serves",)
    )
    last = () if not first else ("remove the other one again",)
    return (
        *first,
        f"take the traffic from {row.id} and let its requests end",
        again,
        "give it its traffic back once it is healthy",
        *last,
    )


# The step


def repair(context: StepContext) -> Mapping[str, Any]:
    """The built-in step `repair`. Options: `environment`; `remove`, names of containers to be removed; `restart`,
    the one replica to restart instead."""
    config = context.project.environment(str(context.options.get("environment") or context.options.get("target") or ""))
    runtime = EnvironmentRuntime(context.project, context.journal, config, say=context.log, patience=ENGINE_TIMEOUT)
    restart = str(context.options.get(_RESTART) or "")
    if restart:
        ensure_allowed(context, runtime, Role.STOP)
        return _restart(runtime, restart, who=context.run.who)
    return carry_out(
        runtime, who=context.run.who, why=context.run.why, remove=str(context.options.get(_REMOVE) or "").split()
    )


def _restart(runtime: EnvironmentRuntime, name: str, *, who: str) -> Mapping[str, Any]:
    row = _meant(runtime, name)
    what = PROXY if row is None else row.id
    with operation(runtime.journal, runtime.directory, runtime.name, who=who, why=f"restart of {what}"):
        if row is None:
            runtime.proxy.reload()
            runtime.traffic.sync()
        else:
            if row.state is ReplicaState.STOPPED:
                raise Refused(f"{row.id} is stopped and kept for a rollback", hint="a rollback starts it")
            restart_replica(runtime, next(each for each in runtime.replicas() if each.id == row.id), keep=True)
    return {"environment": runtime.name, "restarted": what}


def carry_out(
    runtime: EnvironmentRuntime, *, who: str, why: str = "", remove: list[str] | None = None
) -> Mapping[str, Any]:
    """Carries out a repair and compares again. Raises StillDifferent if a problem is left or a part failed; Refused
    while another operation changes the environment."""
    said: list[str] = []
    say = runtime.say

    def note(line: str) -> None:
        said.append(line)
        say(line)

    runtime.say = note
    with operation(runtime.journal, runtime.directory, runtime.name, who=who, why="repair"):
        before = environments.look(runtime, fresh=True)
        if before.history.stopped is not None:
            raise Refused(
                f"{runtime.name} was {before.history.stopped.words}",
                hint=f"podium start -e {shlex.quote(runtime.name)}",
            )
        for each in before.differences:
            say(f"different: {each.words}")
        problems = Repair(runtime, before.differences, remove=remove or ()).run()
        left = environments.look(runtime, fresh=True).differences
    runtime.journal.audit.add(who, "repaired", runtime.name, why or "; ".join(said)[:500])
    results = {
        "environment": runtime.name,
        "differences": [each.words for each in before.differences],
        "done": said,
        "problems": problems,
        "left": [each.words for each in left],
    }
    for each in left:
        say(f"still different: {each.words}")
    wrong = [*problems, *(each.words for each in left if each.severity is Severity.PROBLEM)]
    if wrong:
        raise StillDifferent(f"{runtime.name} is only partly repaired: {'; '.join(wrong)}", results)
    return results
