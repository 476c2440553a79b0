"""The decision tables of `abort.py` and `undo.py`, row by row: how far it came, what it is, why it stops; and what the
ledger says then."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from podium.core.delivery.rollout import abort, phases, rollout, undo
from podium.core.delivery.rollout.rollout import Phase, Rollout
from podium.core.delivery.rollout.undo import UndoAction
from podium.core.domain.delivery import Deployment, DeploymentState, How
from podium.core.domain.rollout import (
    CLEAN_UP,
    DRAIN,
    MOVE_ALIASES,
    NOTE,
    SEQUENCE,
    SHIFT,
    START,
    VERIFY,
    WAIT_HEALTHY,
    WARM_UP,
    RolloutState,
)
from podium.core.errors import Interrupted, PodiumError, RunFailed, Unreachable

from tests.delivery.light import World

# The last finished phase, and what becomes of a rollout that stops then.
BY_PHASE = {
    # phase           deploy   promote  rollback
    "": ("undone", "undone", "undone"),
    NOTE: ("undone", "undone", "undone"),
    START: ("undone", "undone", "undone"),
    WAIT_HEALTHY: ("undone", "undone", "undone"),
    WARM_UP: ("undone", "undone", "undone"),
    SHIFT: ("undone", "undone", "stays"),
    MOVE_ALIASES: ("undone", "undone", "stays"),
    DRAIN: ("undone", "undone", "stays"),
    VERIFY: ("stays", "stays", "stays"),
}
VERBS = (How.DEPLOY, How.PROMOTE, How.ROLLBACK)
CASES = [(phase, verb, row[place]) for phase, row in BY_PHASE.items() for place, verb in enumerate(VERBS)]


@dataclass(frozen=True)
class Ending:
    """`left_open`: whether recovery has to look at the row again, and whether it is noted as given up; `finishes`:
    whether the phases that were left are done."""

    state: DeploymentState
    message: str
    left_open: bool = False
    given_up: str = ""
    finishes: bool = False


FAILED, UNDONE, SUCCEEDED, RUNNING = (
    DeploymentState.FAILED,
    DeploymentState.UNDONE,
    DeploymentState.SUCCEEDED,
    DeploymentState.RUNNING,
)
# fmt: off
ENDINGS = {
    ("undone", "failed"):            Ending(FAILED, "no"),
    ("undone", "cannot be undone"):  Ending(FAILED, "no (not everything could be undone: disk full)"),
    ("undone", "unreachable"):       Ending(RUNNING, "", left_open=True, given_up="away"),
    ("undone", "no descriptors"):    Ending(RUNNING, "", left_open=True, given_up="[Errno 24] none left"),
    ("undone", "none for a moment"): Ending(UNDONE, "[Errno 24] none left"),
    ("undone", "interrupted"):       Ending(UNDONE, "Ctrl-C"),
    ("undone", "interrupted twice"): Ending(RUNNING, "", left_open=True, given_up="Ctrl-C"),
    ("undone", "a bug"):             Ending(UNDONE, "ZeroDivisionError"),
    ("stays", "failed"):             Ending(SUCCEEDED, "traffic has moved, but: no"),
    ("stays", "cannot be undone"):   Ending(SUCCEEDED, "traffic has moved, but: no"),
    ("stays", "unreachable"):        Ending(SUCCEEDED, "traffic has moved, but: away"),
    ("stays", "no descriptors"):     Ending(RUNNING, "", left_open=True),
    ("stays", "none for a moment"):  Ending(SUCCEEDED, "[Errno 24] none left when traffic had moved", finishes=True),
    ("stays", "interrupted"):        Ending(SUCCEEDED, "Ctrl-C when traffic had moved", finishes=True),
    ("stays", "interrupted twice"):  Ending(RUNNING, "", left_open=True),
    ("stays", "a bug"):              Ending(SUCCEEDED, "traffic has moved, but: ZeroDivisionError"),
}
# Kind of error -> what stops the rollout, and what comes in the way when it is undone or finished.
ERRORS: dict[str, tuple[BaseException, PodiumError | OSError | None]] = {
    "failed":            (RunFailed("no"), None),
    "cannot be undone":  (RunFailed("no"), PodiumError("disk full")),
    "unreachable":       (Unreachable("away"), Unreachable("away")),
    "no descriptors":    (OSError(errno.EMFILE, "none left"), OSError(errno.EMFILE, "none left")),
    "none for a moment": (OSError(errno.EMFILE, "none left"), None),
    "interrupted":       (Interrupted("Ctrl-C"), None),
    "interrupted twice": (Interrupted("Ctrl-C"), Interrupted("Ctrl-C")),
    "a bug":             (ZeroDivisionError(), None),
}
# fmt: on


def row(world: World, phase: str, verb: How) -> Deployment:
    ledger = world.journal.ledger
    made = ledger.begin(environment="staging", how=verb, model="tiny", to_version=1, from_version=2, who="anna")
    ledger.phase(made.id, phase, {})
    return ledger.get(made.id)


def stop_at_next_phase(monkeypatch: pytest.MonkeyPatch, error: BaseException, then: Exception | None) -> list[str]:
    """The first phase that is left raises `error`; what comes after that, to undo or to finish, raises `then`, or is
    done and noted in the list. The aliases' phase is the real one: nothing here carries aliases, a rollback
    quarantines."""
    done: list[str] = []
    raised: list[BaseException] = []

    def phase(name: str) -> Callable[[Rollout], None]:
        def carry_out(each: Rollout) -> None:
            problem = then if raised else error
            if problem is not None:
                raised.append(problem)
                raise problem
            done.append(name)
            if name == MOVE_ALIASES:
                phases.move_aliases(each)

        return carry_out

    def part(*_: object) -> None:
        if then is not None:
            raise then

    monkeypatch.setattr(rollout, "PHASES", tuple(Phase(name, phase(name)) for name in SEQUENCE))
    monkeypatch.setattr(undo, "_weights", part)
    return done


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize(("phase", "verb", "outcome"), CASES)
def test_what_becomes_of_a_rollout_that_stops(
    world: World, monkeypatch: pytest.MonkeyPatch, phase: str, verb: How, outcome: str, kind: str
) -> None:
    error, then = ERRORS[kind]
    ending = ENDINGS[outcome, kind]
    done = stop_at_next_phase(monkeypatch, error, then)
    made = row(world, phase, verb)
    with pytest.raises(type(error)) as caught:
        Rollout(world.runtime, made).run()
    assert str(caught.value) == str(error)
    now = world.journal.ledger.get(made.id)
    assert (now.state, now.message) == (ending.state, ending.message)
    assert [each.id for each in world.journal.ledger.open()] == ([made.id] if ending.left_open else [])
    assert RolloutState.from_json(now.data).given_up == ending.given_up
    assert done == (list(phases.after(phase)) if ending.finishes else [])
    assert now.phase == (CLEAN_UP if ending.finishes else phase)
    stays = verb is How.ROLLBACK and outcome == "stays" and not ending.left_open
    quarantined_now = stays and not phases.reached(phase, MOVE_ALIASES)
    assert (world.journal.quarantine.find("tiny", 2) is not None) == quarantined_now


def test_what_is_left_and_fails_is_said_and_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_at_next_phase(monkeypatch, Interrupted("Ctrl-C"), RunFailed("disk full"))
    made = row(world, VERIFY, How.DEPLOY)
    with pytest.raises(Interrupted):
        Rollout(world.runtime, made).run()
    now = world.journal.ledger.get(made.id)
    assert (now.state, now.message) == (SUCCEEDED, "traffic has moved, but: Ctrl-C; disk full")


def test_the_decision_needs_no_more_than_the_table_says() -> None:
    for phase, verb, outcome in CASES:
        for kind, (error, _) in ERRORS.items():
            late = kind.startswith(("interrupted", "no descriptors", "none for a moment"))
            wanted = "undo" if outcome == "undone" else "finish" if late else "keep"
            assert abort.decide(verb, phase, error) == wanted, (phase, verb, kind)


@pytest.mark.parametrize(
    ("weights", "stopped", "wanted"),
    [
        ({}, (), UndoAction.REMOVE),
        ({"v2-1": 0}, (), UndoAction.REMOVE),
        ({"v1-1": 100}, (), UndoAction.REMOVE),
        ({}, ("v2-1",), UndoAction.KEEP),
        ({"v2-1": 100}, (), UndoAction.LEAVE),
        ({"v2-1": 100}, ("v2-1",), UndoAction.LEAVE),
    ],
)
def test_what_becomes_of_a_new_replica(weights: dict[str, int], stopped: tuple[str, ...], wanted: UndoAction) -> None:
    state = RolloutState(weights_before=weights, new_replicas=("v2-1",), stopped_before=stopped, proxy_ran=True)
    assert undo.fate(state, "v2-1") is wanted
