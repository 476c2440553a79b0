"""Lists the containers of one project on one engine with one request: cheap enough to be asked before every
decision, and cached for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from ...domain.frozen import Frozen
from ..engine import labels as names
from ..engine.address import Address
from ..engine.connections import LOOK_TIMEOUT, shared
from ..engine.errors import EngineAway

# The age up to which a listing is reused; changes by this process drop it. One of many containers, or of an engine or a
# machine that is slow, is reused for longer, so that a decision about ten containers does not take ten of them.
_FRESH_SECONDS, _MAX_FRESH_SECONDS = 0.3, 2.0
_TIMES_ITS_COST = 3.0
# The pause after a failure, so that callers do not wait for a hanging engine again and again.
_PAUSE_SECONDS = 2.0


class ListedContainer(Frozen):
    """A container as the engine's list has it: less than `domain.containers.Container`, for which each container is
    inspected, but with every label, and with the address that it was created with."""

    id: str
    """The container's id."""
    name: str
    """The container's name, without the leading slash."""
    state: str
    """The engine's word: created, running, paused, restarting, exited, …"""
    address: str
    """Its address in the environment's network; empty while it is not running."""
    image_id: str
    """The id of its image."""
    labels: Mapping[str, str]
    """Its Docker labels."""
    wanted: str = ""
    """The fixed address that it was created with; empty for none."""

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
    """Lists the containers of one project's environments on one engine. Raises the errors of the engine."""

    def __init__(self, address: Address, project: str, home: Path) -> None:
        self._address = address
        self._filters = [f"{names.PROJECT}={project}", f"{names.HOME}={names.home_id(home)}"]
        self._lock = threading.Lock()
        self._found: dict[str, ListedContainer] = {}
        self._at = 0.0
        self._fresh = _FRESH_SECONDS
        self._away: EngineAway | None = None

    def all(self) -> Mapping[str, ListedContainer]:
        """Returns the containers by id."""
        with self._lock:
            age = time.monotonic() - self._at
            if self._away is not None and age < _PAUSE_SECONDS:
                raise EngineAway(self._away.message, hint=self._away.hint)
            if self._away is not None or age > self._fresh:
                self._look()
            return self._found

    def cached(self, container: str) -> ListedContainer | None:
        """Returns the container as it was last listed, without asking the engine."""
        return self._found.get(container)

    def forget(self) -> None:
        """Drops the cache: this process has changed something, or needs the present state."""
        with self._lock:
            self._at, self._away = 0.0, None

    def _look(self) -> None:
        began = time.monotonic()
        try:
            entries = shared(self._address, timeout=LOOK_TIMEOUT).containers(self._filters)
        except EngineAway as error:
            self._away, self._at = error, time.monotonic()
            raise
        self._found = {each.id: each for each in map(_seen, entries) if each.environment}
        self._away, self._at = None, time.monotonic()
        self._fresh = min(max(_FRESH_SECONDS, (self._at - began) * _TIMES_ITS_COST), _MAX_FRESH_SECONDS)


def _seen(entry: Mapping[str, Any]) -> ListedContainer:
    settings = cast("Mapping[str, Any]", entry.get("NetworkSettings") or {})
    networks = cast("Mapping[str, Mapping[str, Any]]", settings.get("Networks") or {})
    address = next((str(one["IPAddress"]) for _, one in sorted(networks.items()) if one.get("IPAddress")), "")
    name = next((one.lstrip("/") for one in cast("list[str]", entry.get("Names") or [])), "")
    promised = [cast("Mapping[str, str]", one.get("IPAMConfig") or {}).get("IPv4Address") for one in networks.values()]
    labels = dict(entry.get("Labels") or {})
    wanted = next(filter(None, promised), "")
    return ListedContainer(
        str(entry["Id"]), name, str(entry.get("State") or ""), address, str(entry.get("ImageID") or ""), labels, wanted
    )


class Listings:
    """The listings of this process: one for each project on each engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listings: dict[tuple[Address, str, str], Listing] = {}

    def get(self, address: Address, project: str, home: Path) -> Listing:
        with self._lock:
            return self._listings.setdefault((address, project, str(home)), Listing(address, project, home))


_listings: Final = Listings()


def listing(address: Address, project: str, home: Path) -> Listing:
    """Returns this process's listing of a project's containers on an engine."""
    return _listings.get(address, project, home)
