"""Recovers rollouts that a crash cut: each is finished or undone. The agent does it every second, and every change
before it begins.

    last finished phase  noted as given up  what is done
    -------------------  -----------------  ------------------------------------------------
    before SHIFT         either             undone
    SHIFT or later       no                 finished: the new version was healthy, warm and had all the traffic
    SHIFT or later       yes                undone: it had failed, and an unreachable engine was in the way (`abort.py`)
"""

from __future__ import annotations

from ...domain.delivery import Deployment, DeploymentState
from ...domain.project import Project
from ...domain.rollout import SHIFT, RolloutState
from ...errors import Interrupted, PodiumError, Unreachable
from ...journal import Journal
from ..environment.lock import lock_name, operation
from ..environment.runtime import EnvironmentRuntime, Say, quiet
from . import phases
from .aliases import AliasProcess
from .rollout import Rollout
from .undo import undo

_WHO = "podium"


def recover(project: Project, journal: Journal, *, environment: str | None = None) -> list[str]:
    """Recovers the rollouts whose process is gone, of one environment or of all; returns what was done, in words."""
    done: list[str] = []
    for deployment in journal.ledger.open():
        if environment not in (None, deployment.environment):
            continue
        holder = journal.locks.holder(lock_name(deployment.environment))
        if holder is not None and holder.alive:
            continue
        if deployment.environment not in project.environments:
            message = "interrupted, and podium.yaml no longer has this environment"
            journal.ledger.finish(deployment.id, DeploymentState.FAILED, message)
            done.append(f"deployment {deployment.id}: its environment {deployment.environment} is gone")
            continue
        runtime = EnvironmentRuntime(project, journal, project.environments[deployment.environment])
        try:
            done += _recover_locked(runtime, deployment.id)
        except Interrupted:
            raise
        except (PodiumError, OSError):
            # Another operation has it, or it cannot be looked after, which healing says: the other environments do
            # not wait for it.
            continue
    return done


def _recover_locked(runtime: EnvironmentRuntime, number: int) -> list[str]:
    journal, why = runtime.journal, f"recovery of deployment {number}"
    with operation(journal, runtime.directory, runtime.name, who=_WHO, why=why):
        deployment = journal.ledger.get(number)
        return [recover_one(runtime, deployment)] if deployment.state is DeploymentState.RUNNING else []


def recover_all(runtime: EnvironmentRuntime) -> list[str]:
    """Recovers every interrupted rollout of an environment that the caller holds; returns what was done, in words.

    Unreachable where one could not be recovered: a change that began over it would be undone with it later.
    """
    lines: list[str] = []
    for row in runtime.journal.ledger.open():
        if row.environment == runtime.name:
            lines.append(recover_one(runtime, row, say=runtime.say))
            if runtime.journal.ledger.get(row.id).state is DeploymentState.RUNNING:
                raise Unreachable(
                    lines[-1], hint="it has to be recovered first; try again when its engine or registry answers"
                )
    return lines


def recover_one(runtime: EnvironmentRuntime, deployment: Deployment, *, say: Say = quiet) -> str:
    """Finishes or undoes one interrupted rollout; the caller holds the environment. Returns what was done, in words.

    Unreachable while the environment's engine is away: the rollout stays as it is.
    """
    what = f"{deployment.environment}: the interrupted {deployment.how} of version {deployment.to_version}"
    given_up = RolloutState.from_json(deployment.data).given_up
    if phases.reached(deployment.phase, SHIFT) and not given_up:
        runtime.proxy.alive()
        try:
            Rollout(runtime, deployment).run()
        except Interrupted:
            raise
        except PodiumError as error:
            return f"{what} could not be finished: {error}"
        return f"{what} was finished"
    problems = undo(runtime, deployment, AliasProcess(runtime.project).move_back)
    but = f", but: {'; '.join(problems)}" if problems else ""
    message = f"{given_up or 'interrupted'}; undone{but}"
    state = DeploymentState.FAILED if problems or given_up else DeploymentState.UNDONE
    runtime.journal.ledger.finish(deployment.id, state, message)
    say(message)
    return f"{what} was undone{but}"
