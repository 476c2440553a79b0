"""What monitors keep of their references: it is computed again when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from .scene import Item, Scene, allocated, plain_files, too_old

MONITORS = "monitors"


def references(scene: Scene) -> Iterator[Item]:
    """Yields files that no evaluation has used for long."""
    top = scene.opened(MONITORS)
    if top is None:
        return
    age = scene.project.retain.measurements
    with top:
        for name, status in plain_files(top):
            if scene.old(status.st_mtime, age):
                yield Item(name, allocated(status), too_old(age), partial(_remove, scene, name))


def _remove(scene: Scene, name: str) -> int:
    top = scene.opened(MONITORS)
    if top is None:
        return 0
    with top:
        if not top.exists(name) or not scene.old(top.status(name).st_mtime, scene.project.retain.measurements):
            return 0  # used meanwhile
        top.remove(name)
        return 1
