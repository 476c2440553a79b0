"""A rollout: a deploy, promote or rollback, carried out phase by phase.

Each finished phase is noted in the ledger, so that neither a failure (`abort.py`) nor a crash (`recovery.py`) leaves
anything half done. The version that served before is never stopped before the new one has been verified.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from ...domain.delivery import Deployment, DeploymentState
from ...domain.frozen import Frozen
from ...domain.rollout import (
    CLEAN_UP,
    DRAIN,
    MOVE_ALIASES,
    NOTE,
    SHIFT,
    START,
    VERIFY,
    WAIT_HEALTHY,
    WARM_UP,
    RolloutState,
)
from ...telemetry.windows import Reading
from ..environment import history
from ..environment.healing import heal
from ..environment.runtime import EnvironmentRuntime
from . import phases
from .abort import abort
from .aliases import AliasProcess


class Phase(Frozen):
    """One phase: the name under which the ledger records it when it is finished, and the function that carries it
    out."""

    name: str
    carry_out: Callable[[Rollout], None]


PHASES = (
    Phase(NOTE, phases.note_before),
    Phase(START, phases.start),
    Phase(WAIT_HEALTHY, phases.wait_healthy),
    Phase(WARM_UP, phases.warm_up),
    Phase(SHIFT, phases.shift),
    Phase(MOVE_ALIASES, phases.move_aliases),
    Phase(DRAIN, phases.drain),
    Phase(VERIFY, phases.verify_version),
    Phase(CLEAN_UP, phases.clean_up),
)


class Rollout:
    """One deployment in progress; the caller holds the environment. `asked` is when it was requested (seconds since
    the epoch), to measure how long it takes until traffic has moved."""

    def __init__(self, runtime: EnvironmentRuntime, deployment: Deployment, *, asked: float = 0.0) -> None:
        self.runtime = runtime
        self.deployment = deployment
        self.state = RolloutState.from_json(deployment.data)
        self.asked = asked or deployment.at
        self.alias_process = AliasProcess(runtime.project)
        self.warnings: list[str] = []
        self.reading_before = Reading()

    def run(self) -> Deployment:
        """Does the phases that are left and returns the finished row. Whatever goes wrong is raised again after
        `abort` has undone, kept or finished the rollout."""
        try:
            self.carry_on()
        except BaseException as error:
            abort(self, error)
            raise
        finally:
            self.alias_process.close()
        self.finish(DeploymentState.SUCCEEDED, "; ".join(self.warnings))
        return self.runtime.journal.ledger.get(self.deployment.id)

    def carry_on(self) -> None:
        """Does the phases that are left, and notes each in the ledger when it is finished."""
        left = phases.after(self.deployment.phase)
        for phase in PHASES:
            if phase.name in left:
                phase.carry_out(self)
                self.save(phase.name)

    @property
    def version(self) -> int:
        """Returns the version that gets the traffic."""
        return self.deployment.to_version

    @property
    def moves_aliases(self) -> bool:
        """Tells whether aliases move."""
        carries = history.carries(self.runtime.project, self.runtime.name)
        return self.deployment.how.moves_aliases and bool(carries)

    def heal(self, *, skip: Collection[str] = ()) -> None:
        """Heals the environment, which the agent leaves alone meanwhile, and says what was done. `skip` are ids of
        replicas that the caller waits for itself."""
        for line in heal(self.runtime, skip=skip):
            self.runtime.say(line)

    # What the phases note

    def update(self, **fields: Any) -> None:
        """Changes fields of the state; `save` writes it to the ledger."""
        self.state = replace(self.state, **fields)

    def save(self, phase: str | None = None) -> None:
        """Writes the state to the ledger, and the phase that was just finished."""
        # The one field that another process writes: AliasProcess notes it before it moves the first alias.
        aliases = self._in_ledger().aliases_before
        self.update(aliases_before=self.state.aliases_before if aliases is None else aliases)
        finished = phase or self.deployment.phase
        self.runtime.journal.ledger.phase(self.deployment.id, finished, self.state.to_json())
        self.deployment = replace(self.deployment, phase=finished)

    def reread_phase(self) -> None:
        """Takes the last finished phase from the ledger."""
        self.deployment = replace(self.deployment, phase=self.runtime.journal.ledger.get(self.deployment.id).phase)

    def give_up(self, reason: str) -> None:
        """Notes why the rollout failed and leaves its row open: recovery undoes it when the engine is there again."""
        row = self.runtime.journal.ledger.get(self.deployment.id)
        state = replace(RolloutState.from_json(row.data), given_up=reason)
        self.runtime.journal.ledger.phase(self.deployment.id, row.phase, state.to_json())

    def finish(self, state: DeploymentState, message: str) -> None:
        """Notes how the rollout ended."""
        self.runtime.journal.ledger.finish(self.deployment.id, state, message)

    def warn(self, text: str) -> None:
        """Logs a warning that also goes into the ledger and the step's result."""
        self.warnings.append(text)
        self.runtime.say(f"warning: {text}")

    def quarantine_left(self) -> None:
        """Quarantines the version that a rollback leaves, with its commit."""
        left = self.deployment.from_version
        if left is not None and left != self.version:
            self.quarantine(left, self.deployment.why or f"rolled back from {self.runtime.name}")

    def quarantine(self, version: int, why: str) -> None:
        """Quarantines a version with its commit."""
        commit = self.runtime.version(version).commit
        self.runtime.journal.quarantine.add(self.deployment.model, version, commit, self.deployment.who, why)
        self.runtime.say(f"version {version} is quarantined")

    def _in_ledger(self) -> RolloutState:
        return RolloutState.from_json(self.runtime.journal.ledger.get(self.deployment.id).data)
