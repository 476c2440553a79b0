"""What becomes of a rollout that cannot go on: undone, kept, or finished first.

What is done depends on how far it came, on what it is and on why it stops (`decide`):

    verb             last finished phase   failed   interrupted
    ---------------  --------------------  -------  -------------------
    deploy, promote  before VERIFY         UNDO     UNDO
    deploy, promote  VERIFY or later       KEEP     FINISH
    rollback         before SHIFT          UNDO     UNDO
    rollback         SHIFT or later        KEEP     FINISH

A verified version serves, and the one before it may be stopped already. A rollback whose traffic has moved has done
what it was for: its version is what should serve from now on. *Failed* is any error, an engine that does not answer
included; *interrupted* is a signal, or what this machine lacked for a moment (an OSError: no descriptor, no room). What
is interrupted there is finished first, because half a clean-up is worse than a late exit.

What then stands in the ledger:

    decision  what happens                             state              recovery then
    --------  ---------------------------------------  -----------------  ----------------
    UNDO      all undone, after a failure              failed
              all undone, otherwise                    undone
              a part cannot be undone                  failed, says what
              the engine is unreachable                running, given_up  undoes the rest
              interrupted again                        running, given_up  undoes the rest
    KEEP      (nothing more is done)                   succeeded
    FINISH    the other phases are done                succeeded
              one of them fails                        succeeded, says so
              interrupted again                        running            finishes the rest

An interruption while it is undone or finished is raised as Interrupted; otherwise the caller raises the first error.
A rollout whose process is gone comes to `recovery.py`: that finishes it from SHIFT on, for a crash says nothing
against the new version.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ...domain.delivery import DeploymentState, How
from ...domain.rollout import MOVE_ALIASES, SHIFT, VERIFY
from ...domain.verdicts import Verdict
from ...errors import Interrupted, PodiumError, Unreachable
from . import phases
from .canary import CanaryFailed
from .undo import undo

if TYPE_CHECKING:
    from .rollout import Rollout

# The phase from which on a rollout is not undone any more.
POINT_OF_NO_RETURN = {**dict.fromkeys(How, VERIFY), How.ROLLBACK: SHIFT}


class AbortDecision(StrEnum):
    """What is done with a rollout that cannot go on."""

    UNDO = "undo"
    KEEP = "keep"
    FINISH = "finish"


def decide(how: How, phase: str, error: BaseException) -> AbortDecision:
    """Returns the decision of the first table; `phase` is the last one that was finished."""
    if not phases.reached(phase, POINT_OF_NO_RETURN[how]):
        return AbortDecision.UNDO
    return AbortDecision.FINISH if isinstance(error, Interrupted | OSError | MemoryError) else AbortDecision.KEEP


def abort(rollout: Rollout, error: BaseException) -> None:
    """Undoes, keeps or finishes the rollout that `error` has stopped, and notes the result in the ledger.

    Raises Interrupted when a signal arrives meanwhile, and OSError when the machine still lacks something: then the
    row stays open, for recovery."""
    reason = str(error) or type(error).__name__
    # A signal may have come when a phase was written and not yet noted here: what the ledger says is finished.
    rollout.reread_phase()
    match decide(rollout.deployment.how, rollout.deployment.phase, error):
        case AbortDecision.UNDO:
            if isinstance(error, CanaryFailed):
                _quarantine(rollout, error)
            _undo(rollout, error, reason)
        case AbortDecision.KEEP:
            _keep(rollout, f"traffic has moved, but: {reason}")
        case AbortDecision.FINISH:
            _keep(rollout, _finish(rollout, reason))


def _quarantine(rollout: Rollout, error: CanaryFailed) -> None:
    """Quarantines the version whose canary failed, unless podium.yaml wants otherwise. An error of the analysis says
    nothing against the version."""
    if error.verdict is Verdict.FAIL and rollout.runtime.environment.strategy.quarantine_failed_canary:
        rollout.quarantine(rollout.version, f"{rollout.runtime.name}: {error.message}")


def _undo(rollout: Rollout, error: BaseException, reason: str) -> None:
    rollout.runtime.say("undoing what was changed")
    try:
        problems = undo(rollout.runtime, rollout.deployment, rollout.alias_process.move_back)
    except (Unreachable, Interrupted) as cut:
        rollout.give_up(reason)
        rollout.runtime.say(
            f"{cut.message}: not everything could be undone; the agent or the next rollout undoes the rest"
        )
        if isinstance(cut, Interrupted):
            raise
        return
    left = f" (not everything could be undone: {'; '.join(problems)})" if problems else ""
    failed = isinstance(error, PodiumError) and not isinstance(error, Interrupted)
    state = DeploymentState.FAILED if failed or problems else DeploymentState.UNDONE
    rollout.finish(state, f"{reason}{left}")


def _finish(rollout: Rollout, reason: str) -> str:
    """Does the remaining phases; returns what the ledger says about it."""
    rollout.runtime.say(f"{reason}: traffic has moved already, so the remaining phases are finished first")
    try:
        rollout.carry_on()
    except (Interrupted, OSError, MemoryError):
        rollout.runtime.say("not all phases could be finished; the agent or the next rollout finishes them")
        raise
    except PodiumError as error:
        return f"traffic has moved, but: {reason}; {error}"
    return f"{reason} when traffic had moved"


def _keep(rollout: Rollout, message: str) -> None:
    """Notes that the rollout stays as it is; the version that a rollback has left is quarantined in any case."""
    if rollout.deployment.how is How.ROLLBACK and not phases.reached(rollout.deployment.phase, MOVE_ALIASES):
        rollout.quarantine_left()
    rollout.finish(DeploymentState.SUCCEEDED, "; ".join([*rollout.warnings, message]))
