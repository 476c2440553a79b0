"""What an engine has of one project, from one request: cheap enough to be asked before every decision, and
remembered for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..engine import labels as names
from ..engine.address import Address
from ..engine.connections import LOOK, shared
from ..engine.errors import Away

# A second look within this time sees the same; what this process itself changed is looked at anew.
_FRESH_SECONDS = 0.3
# An engine that hangs is not waited for again for so long.
_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One container. `state` is the engine's word: created, running, paused, restarting, exited, …; `address` is
    empty while it does not run, `wanted` is the one that it was promised, empty for none."""

    id: str
    name: str
    state: str
    address: str
    image_id: str
    labels: Mapping[str, str]
    wanted: str = ""

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def role(self) -> str:
        return self.labels.get(names.ROLE, "")

    @property
    def environment(self) -> str:
        return self.labels.get(names.ENVIRONMENT, "")

    @property
    def replica(self) -> str:
        return self.labels.get(names.REPLICA, "")


class Listing:
    """Containers of one project's environments on one engine. Raises what the engine's errors mean."""

    def __init__(self, address: Address, project: str, home: Path) -> None:
        self._address = address
        self._filters = [f"{names.PROJECT}={project}", f"{names.HOME}={names.home_id(home)}"]
        self._lock = threading.Lock()
        self._found: dict[str, Seen] = {}
        self._at = 0.0
        self._away: Away | None = None

    def all(self) -> Mapping[str, Seen]:
        """By id."""
        with self._lock:
            age = time.monotonic() - self._at
            if self._away is not None and age < _PAUSE_SECONDS:
                raise Away(self._away.message, hint=self._away.hint)
            if self._away is not None or age > _FRESH_SECONDS:
                self._look()
            return self._found

    def cached(self, container: str) -> Seen | None:
        """As it was last seen, without asking."""
        return self._found.get(container)

    def forget(self) -> None:
        """What was seen is no longer true: this process has changed something, or wants to know for certain."""
        with self._lock:
            self._at, self._away = 0.0, None

    def _look(self) -> None:
        try:
            entries = shared(self._address, timeout=LOOK).containers(self._filters)
        except Away as error:
            self._away, self._at = error, time.monotonic()
            raise
        self._away, self._at = None, time.monotonic()
        self._found = {each.id: each for each in map(_seen, entries) if each.environment}


def _seen(entry: Mapping[str, Any]) -> Seen:
    settings = cast("Mapping[str, Any]", entry.get("NetworkSettings") or {})
    networks = cast("Mapping[str, Mapping[str, Any]]", settings.get("Networks") or {})
    address = next((str(one["IPAddress"]) for _, one in sorted(networks.items()) if one.get("IPAddress")), "")
    name = next((one.lstrip("/") for one in cast("list[str]", entry.get("Names") or [])), "")
    promised = [cast("Mapping[str, str]", one.get("IPAMConfig") or {}).get("IPv4Address") for one in networks.values()]
    labels = dict(entry.get("Labels") or {})
    wanted = next(filter(None, promised), "")
    return Seen(
        str(entry["Id"]), name, str(entry.get("State") or ""), address, str(entry.get("ImageID") or ""), labels, wanted
    )


_listings: dict[tuple[Address, str, str], Listing] = {}
_lock = threading.Lock()


def listing(address: Address, project: str, home: Path) -> Listing:
    """The one of this process."""
    with _lock:
        return _listings.setdefault((address, project, str(home)), Listing(address, project, home))
