"""The relay of an environment on another machine: a container beside its replicas and its proxy that carries
Podium's requests to them."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Final

from ....containers import Engine, Labels
from ....containers.engine import labels as names
from ....containers.images import store
from ....containers.relay.client import Relay, RelayConnection
from ....errors import Interrupted, NotFound, PodiumError, RunFailed, Unreachable
from .create import PYTHON, ContainerRecipe, relay
from .place import EngineObjects
from .signed import for_relay, may_be_relay


class RelayConnections:
    """The connections of this process: one to the relay of each environment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[tuple[str, str, str], RelayConnection] = {}

    def get(self, place: EngineObjects) -> RelayConnection:
        key = (str(place.address), str(place.setting.project.home), place.setting.environment.name)
        with self._lock:
            return self._connections.setdefault(key, RelayConnection())


_connections: Final = RelayConnections()


@contextmanager
def _no_answer() -> Generator[None]:
    """Turns whatever keeps the relay from being asked into OSError: that its engine is away, and also that the engine
    refuses, as for a relay that ended after it was listed. The next request starts another one, and nobody gives up a
    rollout or a round of healing for that."""
    try:
        yield
    except Interrupted:
        raise
    except PodiumError as error:
        raise OSError(error.message) from error


@contextmanager
def _unreachable(what: str, hint: str) -> Generator[None]:
    """Turns the same, and what the relay itself could not do, into Unreachable."""
    try:
        yield
    except (Unreachable, Interrupted):
        raise
    except PodiumError as error:
        raise Unreachable(f"{what}: {error}", hint=error.hint or hint) from error
    except OSError as error:
        raise Unreachable(f"{what}: {error}", hint=hint) from error


class RelayTransport:
    """The Transport (proxy/transport.py) of such an environment. It may be used by any thread, so it asks the engine
    and never the journal."""

    def __init__(self, place: EngineObjects) -> None:
        self._place = place
        self._relay = Relay(self._open, PYTHON, _connections.get(place))

    def http(
        self,
        address: str,
        port: int,
        method: str,
        path: str,
        *,
        unix: str = "",
        body: bytes | None = None,
        timeout: float = 2.0,
    ) -> tuple[int, bytes]:
        """Sends an HTTP request from the relay."""
        with _no_answer():
            return self._place.patiently(
                lambda: self._relay.http(address, port, method, path, unix=unix, body=body, timeout=timeout)
            )

    def timed(
        self, address: str, port: int, path: str, *, body: bytes, content_type: str, timeout: float
    ) -> tuple[int, bytes, float]:
        """Sends a POST and returns (status, body, seconds as measured beside the replica). Raises OSError as `http`
        does."""
        with _no_answer():
            return self._relay.timed(address, port, "POST", path, body=body, content_type=content_type, timeout=timeout)

    def ask(self, socket: PurePath, command: str, *, timeout: float = 1.0) -> str:
        """Asks the proxy's runtime socket through the relay."""
        with _unreachable(
            f"the proxy on {self._place.address} does not answer", "start the agent or deploy again to restart it"
        ):
            return self._relay.ask(str(socket), command, timeout=timeout)

    def write(self, directory: PurePath, files: Mapping[str, str]) -> None:
        """Replaces small files in the directory of the proxy's configuration. Raises Unreachable if that cannot be
        done."""
        with _unreachable(
            f"{', '.join(files)} cannot be written on {self._place.address}",
            "the agent tries again; `podium repair` does so now",
        ):
            self._relay.write({str(directory / name): text for name, text in files.items()})

    def _open(self) -> tuple[Engine, str]:
        """Returns the engine and the id of the relay's container, started if necessary."""
        place = self._place
        place.listing.forget()
        for old in place.find(names.RELAY_ROLE):
            try:
                if old.running:
                    return place.engine, old.id
                if may_be_relay(place, old.image_id):
                    place.start(old.id)
                    return place.engine, old.id
                place.remove(old.id)
            except (NotFound, RunFailed):
                place.remove(old.id)
        # Another Podium process may be creating it as well; then that container is used.
        container = place.create(self._recipe(self._image()), replace=False)
        place.start(container)
        return place.engine, container

    def _recipe(self, image: str) -> ContainerRecipe:
        return relay(self._place.called, image, self._place.volume("proxy"))

    def _image(self) -> str:
        """Returns the image that a new relay is made of."""
        return for_relay(self._place, self._known)

    def _known(self) -> list[str]:
        """Returns the images on the engine with the Python that a relay needs, the newest first: every serving image of
        the project has one."""
        project = self._place.setting.project
        labels = Labels(project.name, project.home, names.IMAGE_ROLE)
        found = store.find(self._place.engine, labels.filters())
        return [str(one["Id"]) for one in sorted(found, key=lambda one: int(one.get("Created") or 0), reverse=True)]
