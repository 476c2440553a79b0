"""After a crash: sagas whose process is gone are finished or undone, and what should run is brought back. The agent
calls both every second."""

from __future__ import annotations

from ...domain.delivery import Deployment, DeploymentState
from ...domain.project import Environment, Project
from ...errors import Interrupted, PodiumError, Unreachable
from ...journal import Journal
from ..environment.healing import tend
from ..environment.lock import healing, lock_name, operation
from ..environment.runtime import EnvironmentRuntime, Say, quiet
from . import aliases, phases, undo
from .saga import GIVEN_UP, Saga

_WHO = "podium"


def heal(project: Project, journal: Journal, environment: Environment) -> list[str]:
    """Restart dead replicas and a dead proxy of an environment; what was done, in words. Leaves it alone while
    somebody changes it."""
    if not journal.replicas.of(environment.name):
        return []
    runtime = EnvironmentRuntime(project, journal, environment)
    with healing(journal, runtime.directory, environment.name) as allowed:
        return tend(runtime) if allowed else []


def recover(project: Project, journal: Journal, *, environment: str | None = None) -> list[str]:
    """Finish or undo deployments whose process is gone, of one environment or of all; what was done, in words."""
    done: list[str] = []
    for deployment in journal.ledger.open():
        if environment not in (None, deployment.environment):
            continue
        holder = journal.locks.holder(lock_name(deployment.environment))
        if holder is not None and holder.alive:
            continue
        config = project.environments.get(deployment.environment)
        if config is None:
            journal.ledger.finish(
                deployment.id, DeploymentState.FAILED, "interrupted, and podium.yaml no longer has this environment"
            )
            done.append(f"deployment {deployment.id}: its environment {deployment.environment} is gone")
            continue
        runtime = EnvironmentRuntime(project, journal, config)
        try:
            with operation(
                journal, runtime.directory, runtime.name, who=_WHO, why=f"recovery of deployment {deployment.id}"
            ):
                if journal.ledger.get(deployment.id).state is DeploymentState.RUNNING:
                    done.append(settle(runtime, journal.ledger.get(deployment.id)))
        except Interrupted:
            raise
        except (PodiumError, OSError):
            # another operation has it, or it cannot be looked after, which healing says: the other environments do not
            # wait for it
            continue
    return done


def settled(runtime: EnvironmentRuntime) -> list[str]:
    """Every interrupted deployment of the environment settled, in words; the caller holds it. Unreachable where one
    could not be: begun over it, another change would be taken back by whoever settles it later."""
    lines: list[str] = []
    for row in runtime.journal.ledger.open():
        if row.environment == runtime.name:
            lines.append(settle(runtime, row, say=runtime.say))
            if runtime.journal.ledger.get(row.id).state is DeploymentState.RUNNING:
                raise Unreachable(lines[-1], hint="it has to be settled first; try again when what it needs answers")
    return lines


def settle(runtime: EnvironmentRuntime, deployment: Deployment, *, say: Say = quiet) -> str:
    """Finish or undo one interrupted deployment; the caller holds the environment. Unreachable while its engine is
    away: it stays as it is."""
    what = f"{deployment.environment}: the interrupted {deployment.how} of version {deployment.to_version}"
    if phases.reached(deployment.phase, phases.SHIFTED) and not deployment.data.get(GIVEN_UP):
        runtime.proxy.alive()
        try:
            Saga(runtime, deployment).run()
        except Interrupted:
            raise
        except PodiumError as error:
            return f"{what} could not be finished: {error}"
        return f"{what} was finished"
    problems = undo.undo(runtime, deployment, lambda row: aliases.apart(runtime.project, row, "undo"))
    why = str(deployment.data.get(GIVEN_UP) or "interrupted")
    message = f"{why}; undone" + (f", but: {'; '.join(problems)}" if problems else "")
    runtime.journal.ledger.finish(
        deployment.id,
        DeploymentState.FAILED if problems or deployment.data.get(GIVEN_UP) else DeploymentState.UNDONE,
        message,
    )
    say(message)
    return f"{what} was undone" + (f", but: {'; '.join(problems)}" if problems else "")
