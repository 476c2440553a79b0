"""The events of one environment's containers from the engine's event stream, so that nothing needs to be polled."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any, cast

from ...closing import Closing
from ...domain.project import Environment, Project
from ..engine import labels
from ..engine.client import Engine
from ..engine.stream import Stream

# Without `exec_*`, which every health check causes.
_ACTIONS = (
    "create",
    "start",
    "restart",
    "die",
    "oom",
    "pause",
    "unpause",
    "destroy",
    "rename",
    "update",
    "health_status",
    "connect",
    "disconnect",
)
# One action causes several events (kill, die, stop); waiting for all of them makes one snapshot enough.
_DEBOUNCE = 0.15


class Events(Closing):
    """Listens from the moment it is created; take a snapshot afterwards for what happened before, so that nothing is
    missed. Raises Unreachable if the engine does not answer. `close` may be called from any thread and ends `wait`
    immediately."""

    def __init__(self, engine: Engine, project: Project, environment: Environment) -> None:
        filters = json.dumps({"type": ["container", "network"], "event": list(_ACTIONS)})
        self._wanted = {
            labels.PROJECT: project.name,
            labels.HOME: labels.home_id(project.home),
            labels.ENVIRONMENT: environment.name,
        }
        self._rest = b""
        self._stream = Stream(engine, "/events", {"filters": filters}, what="following the engine's events")

    def wait(self, seconds: float, known: Collection[str] = ()) -> set[str] | None:
        """Returns the ids of containers with an event within `seconds`; an empty set if there was none, None if the
        stream has ended. `known` holds ids of this environment's containers, because a network's events name a
        container but not its owner."""
        found: set[str] = set()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            data = self._stream.read(left)
            if data == b"":
                return None
            if data is None:
                break
            before = len(found)
            found |= self._ours(data, known)
            if found and not before:
                deadline = time.monotonic() + _DEBOUNCE
        return found

    def _ours(self, data: bytes, known: Collection[str]) -> set[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return {identity for line in lines if line.strip() and (identity := self._one(line, known))}

    def _one(self, line: bytes, known: Collection[str]) -> str:
        try:
            event = cast("dict[str, Any]", json.loads(line))
        except ValueError:
            return ""
        actor: dict[str, Any] = event.get("Actor") or {}
        told: dict[str, str] = actor.get("Attributes") or {}
        if event.get("Type") == "network":
            return told.get("container", "") if told.get("container") in known else ""
        identity = str(actor.get("ID") or "")
        return (
            identity if identity in known or all(told.get(key) == value for key, value in self._wanted.items()) else ""
        )

    def close(self) -> None:
        self._stream.close()
