"""Taking a change back: weights as they were, aliases as they were, the new replicas gone. Used by a saga that fails
and after a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from ...domain.delivery import Deployment, ReplicaState
from ...errors import Interrupted, PodiumError, Unreachable
from ..environment.runtime import EnvironmentRuntime

Labels = Callable[[Deployment], list[str]]


def undo(runtime: EnvironmentRuntime, deployment: Deployment, labels: Labels) -> list[str]:
    """What could not be taken back, in words: empty when everything could. `labels` puts the aliases back.

    Unreachable when the engine that serves the environment, or its proxy, is away or goes away meanwhile,
    Interrupted when the process is told to end: it has to be done again, as a whole, later."""
    runtime.proxy.alive()
    data = runtime.journal.ledger.get(deployment.id).data
    problems: list[str] = []
    away: Unreachable | None = None
    for part in (_weights, _new_replicas, _proxy):
        try:
            part(runtime, data)
        except Interrupted:
            raise
        except Unreachable as error:
            away = away or error
        except (PodiumError, OSError) as error:
            problems.append(str(error))
    try:
        _labels(data, deployment, labels)
    except Interrupted:
        raise
    except (PodiumError, OSError) as error:
        problems.append(str(error))
    if away is not None:
        raise away
    return problems


def _weights(runtime: EnvironmentRuntime, data: Mapping[str, object]) -> None:
    before = cast("Mapping[str, int]", data.get("weights") or {})
    if not before:
        return
    rows = runtime.replicas()
    if any(before.get(row.id, 0) != row.weight for row in rows):
        runtime.weigh({row.id: before.get(row.id, 0) for row in rows})
    for row in runtime.replicas():
        if row.state is ReplicaState.DRAINING and row.id in before:
            runtime.journal.replicas.put(replace(row, state=ReplicaState.WARM))


def _new_replicas(runtime: EnvironmentRuntime, data: Mapping[str, object]) -> None:
    before = cast("Mapping[str, int]", data.get("weights") or {})
    # One that had traffic was there before, dead or starting, and should serve: it stays, for whoever brings it up.
    new = [name for name in cast("list[str]", data.get("new") or []) if not before.get(name)]
    kept = cast("list[str]", data.get("stopped") or [])
    rows = [row for row in runtime.replicas() if row.id in new]
    runtime.put_aside([row for row in rows if row.id in kept], grace=3.0)
    runtime.retire([row for row in rows if row.id not in kept], grace=3.0)
    for name in set(new) - {row.id for row in rows}:
        runtime.driver.stop_lost(runtime.marker(name))


def _proxy(runtime: EnvironmentRuntime, data: Mapping[str, object]) -> None:
    """A proxy that this change started for nobody else is not left behind."""
    if data.get("proxy") is False and not runtime.replicas():
        runtime.proxy.stop()
        runtime.driver.teardown()


def _labels(data: Mapping[str, object], deployment: Deployment, labels: Labels) -> None:
    if data.get("aliases"):
        labels(deployment)
