"""Undoes a rollout: weights and aliases as they were, the new replicas gone. Used when a rollout fails and after a
crash.

What is done with each thing, by what was noted before the rollout changed anything (`RolloutState`):

    thing                   noted before               now                 undo
    ----------------------  -------------------------  ------------------  ------------------------------------
    weight of a replica     the same                                       (nothing)
                            another, or none (0)                           set back, all of them at once
    replica that drains     there                                          warm again
    new replica             with weight                                    LEAVE: it should serve; healing
                                                                           starts it
                            stopped and kept           has a row           KEEP: stopped again, and kept
                            not there                  has a row           REMOVE
                            any but with weight        has no row          a process or container without a row
                                                                           is ended
    proxy                   ran, or not noted                              (nothing)
                            did not run                replicas are left   (nothing)
                            did not run                no replica is left  stopped, with what the driver keeps
    aliases                 none moved                                     (nothing)
                            some moved                                     moved back

Each part is tried, whatever another came to. A rollout that noted nothing has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum

from ...domain.delivery import Deployment, ReplicaState
from ...domain.rollout import RolloutState
from ...errors import Interrupted, PodiumError, Unreachable
from ...identity.processes import blind
from ..environment.runtime import EnvironmentRuntime

MoveAliasesBack = Callable[[Deployment], list[str]]
# A new replica that has had no traffic, or has none any more, is not waited for long.
STOP_GRACE = 3.0


class UndoAction(StrEnum):
    """What an undo does with a replica that the rollout started."""

    LEAVE = "leave"
    KEEP = "keep"
    REMOVE = "remove"


def fate(state: RolloutState, replica_id: str) -> UndoAction:
    """Returns what the table says of a new replica."""
    if state.weights_before.get(replica_id):
        return UndoAction.LEAVE
    return UndoAction.KEEP if replica_id in state.stopped_before else UndoAction.REMOVE


def undo(runtime: EnvironmentRuntime, deployment: Deployment, move_aliases_back: MoveAliasesBack) -> list[str]:
    """Undoes the rollout; returns what could not be undone, in words: empty when everything could.

    Unreachable when the engine that serves the environment, or its proxy, is away or goes away meanwhile, or this
    process cannot look at anything, and Interrupted when a signal arrives: all of it has to be done again later.
    """
    with _sighted():
        runtime.proxy.alive()
    state = RolloutState.from_json(runtime.journal.ledger.get(deployment.id).data)
    problems: list[str] = []
    away: Unreachable | None = None
    for part in (_weights, _new_replicas, _proxy):
        try:
            with _sighted():
                part(runtime, state)
        except Interrupted:
            raise
        except Unreachable as error:
            away = away or error
        except (PodiumError, OSError) as error:
            problems.append(str(error))
    try:
        if state.aliases_before:
            with _sighted():
                move_aliases_back(deployment)
    except Interrupted:
        raise
    except _Blind as error:
        away = away or error
    except (PodiumError, OSError) as error:
        # A registry that does not answer is said, and not waited for: traffic is right without it.
        problems.append(str(error))
    if away is not None:
        raise away
    return problems


class _Blind(Unreachable):
    """This process has no file descriptor left. Another one, or this one later, can undo the rest."""


@contextmanager
def _sighted() -> Generator[None]:
    try:
        yield
    except OSError as error:
        if blind(error):
            hint = "check the limit of open files (ulimit -n)"
            raise _Blind(f"no file descriptor is left: {error}", hint=hint) from error
        raise


def _weights(runtime: EnvironmentRuntime, state: RolloutState) -> None:
    before = state.weights_before
    if not before:
        return
    rows = runtime.replicas()
    if any(before.get(row.id, 0) != row.weight for row in rows):
        runtime.traffic.weigh({row.id: before.get(row.id, 0) for row in rows})
    for row in runtime.replicas():
        if row.state is ReplicaState.DRAINING and row.id in before:
            runtime.journal.replicas.put(replace(row, state=ReplicaState.WARM))


def _new_replicas(runtime: EnvironmentRuntime, state: RolloutState) -> None:
    fates = {name: fate(state, name) for name in state.new_replicas}
    rows = [row for row in runtime.replicas() if row.id in fates]
    runtime.lifecycle.stop_and_keep([row for row in rows if fates[row.id] is UndoAction.KEEP], grace=STOP_GRACE)
    runtime.lifecycle.retire([row for row in rows if fates[row.id] is UndoAction.REMOVE], grace=STOP_GRACE)
    with_row = {row.id for row in rows}
    for name in fates:
        if name not in with_row and fates[name] is not UndoAction.LEAVE:
            runtime.driver.stop_lost(runtime.marker(name))


def _proxy(runtime: EnvironmentRuntime, state: RolloutState) -> None:
    if state.proxy_ran is False and not runtime.replicas():
        runtime.proxy.stop()
        runtime.driver.teardown()
