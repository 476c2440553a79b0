"""Ends replicas that came to be after the rollout that wanted them was undone.

An engine goes on with what it was asked for although whoever asked has been killed: a container can be there a moment
after the undo looked for it, created and never started, or started. Nobody notes it, so nobody would end it.
"""

from __future__ import annotations

import time

from ...clock import elapsed
from ...domain.delivery import DeploymentState
from ...domain.rollout import RolloutState
from ...journal import Journal
from .runtime import EnvironmentRuntime

# How long after an undo something may still come; in seconds. An engine that is this busy answers nobody.
LATE_SECONDS = 120.0
_RECENT = 5  # rollouts that may have ended within that time
_UNDONE = (DeploymentState.UNDONE, DeploymentState.FAILED)


def unwanted(journal: Journal, environment: str) -> list[str]:
    """Returns the ids of replicas that rollouts which were undone a moment ago started, and that have no row."""
    wanted = {row.id for row in journal.replicas.of(environment)}
    found: dict[str, None] = {}
    for row in journal.ledger.history(environment, _RECENT):
        if row.state in _UNDONE and row.ended is not None and elapsed(row.ended, time.time()) < LATE_SECONDS:
            found.update(dict.fromkeys(RolloutState.from_json(row.data).new_replicas))
    return [replica for replica in found if replica not in wanted]


def end_late(runtime: EnvironmentRuntime) -> list[str]:
    """Ends what came too late; the caller holds the environment. Returns what was done, in words."""
    done: list[str] = []
    for replica in unwanted(runtime.journal, runtime.name):
        if runtime.driver.stop_lost(runtime.marker(replica)):
            done.append(f"{runtime.name}: {replica} came after its rollout was undone; ended it")
    return done
