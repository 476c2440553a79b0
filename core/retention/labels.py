"""Requests and their labels that are too old, or too many."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ..labels.store import LabelStore
from .scene import Item, Scene, too_old

_LABELS = "labels"


def requests(scene: Scene) -> Iterator[Item]:
    """Yields the old requests of each environment, of those that podium.yaml has no more too. Their number is kept to
    `labels_rows` while they are collected."""
    top = scene.opened(_LABELS)
    if top is None:
        return
    with top:
        names = sorted(name.removesuffix(".db") for name in top.names() if name.endswith(".db"))
    retain = scene.project.retain
    for name in names:
        with LabelStore.open(scene.state, name) as store:
            number = store.old(scene.now - retain.labels, retain.labels_rows)
        if number:
            remove = partial(_forget, scene, name)
            yield Item(f"requests to {name}", 0, f"{too_old(retain.labels)}, or too many", remove, entries=number)


def _forget(scene: Scene, name: str) -> int:
    retain = scene.project.retain
    with LabelStore.open(scene.state, name) as store:
        return store.forget(scene.now - retain.labels, retain.labels_rows)
