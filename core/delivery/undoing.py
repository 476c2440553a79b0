"""Taking a change back: weights as they were, aliases as they were, the new replicas gone. Used by a saga that fails and after a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from ..domain.delivery import Deployment, ReplicaState
from ..errors import PodiumError
from . import proxy
from .site import Site

Labels = Callable[[Deployment], list[str]]


def undo(site: Site, deployment: Deployment, labels: Labels) -> list[str]:
    """What could not be taken back, in words: empty when everything could. `labels` puts the aliases back."""
    data = site.journal.ledger.get(deployment.id).data
    problems: list[str] = []
    parts: tuple[Callable[[], None], ...] = (
        lambda: _weights(site, data),
        lambda: _new_replicas(site, data),
        lambda: _proxy(site, data),
        lambda: _labels(data, deployment, labels),
    )
    for part in parts:
        try:
            part()
        except (PodiumError, OSError) as error:
            problems.append(str(error))
    return problems


def _weights(site: Site, data: Mapping[str, object]) -> None:
    before = cast("Mapping[str, int]", data.get("weights") or {})
    if not before:
        return
    rows = site.replicas()
    if any(before.get(row.id, 0) != row.weight for row in rows):
        site.weigh({row.id: before.get(row.id, 0) for row in rows})
    for row in site.replicas():
        if row.state is ReplicaState.DRAINING and row.id in before:
            site.journal.replicas.put(replace(row, state=ReplicaState.WARM))


def _new_replicas(site: Site, data: Mapping[str, object]) -> None:
    new = cast("list[str]", data.get("new") or [])
    rows = [row for row in site.replicas() if row.id in new]
    site.retire(rows, grace=3.0)
    for name in set(new) - {row.id for row in rows}:
        site.driver.stop_lost(site.marker(name))


def _proxy(site: Site, data: Mapping[str, object]) -> None:
    """A proxy that this change started for nobody else is not left behind."""
    if data.get("proxy") is False and not site.replicas():
        proxy.stop(site.directory)


def _labels(data: Mapping[str, object], deployment: Deployment, labels: Labels) -> None:
    if data.get("aliases"):
        labels(deployment)
