"""How Podium reaches what runs on several hosts: through the relay of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePath

from ....containers.engine.errors import EngineAway
from ....domain.engines.places import split
from ....errors import Unreachable
from ..docker.place import EngineObjects
from ..docker.relay import RelayTransport

# A Python in a new container, on a machine that is busy.
_WAKE_TIMEOUT = 20.0


class HostRelay(RelayTransport):
    """The relay of one host."""

    def __init__(self, place: EngineObjects) -> None:
        super().__init__(place)
        self._place = place

    def wake(self) -> None:
        """Starts the relay where it does not run, and waits until it answers: whoever is in a hurry later finds it
        there."""
        with suppress(OSError):  # nothing answers there, which is an answer
            self._relay.ask("/", "", timeout=_WAKE_TIMEOUT)

    def _image(self) -> str:
        """Returns the image that a new relay is made of. Where only what is signed is run, and the host has nothing of
        that, it counts as one that does not answer: the others are served and healed all the same."""
        try:
            return super()._image()
        except Unreachable as error:
            if self._place.setting.environment.verified:
                raise EngineAway(error.message, hint=error.hint) from error
            raise


class HostsTransport:
    """The Transport (proxy/transport.py) of several hosts. An address begins with the name of its host."""

    def __init__(self, to: Callable[[str], HostRelay]) -> None:
        """`to` returns the way to a host of that name, and raises OSError if there is none."""
        self._to = to

    def _split(self, address: str) -> tuple[HostRelay, str]:
        name, inside = split(address)
        return self._to(name), inside

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
        """Sends an HTTP request from the relay of the address's host."""
        relay, inside = self._split(address)
        return relay.http(inside, port, method, path, unix=unix, body=body, timeout=timeout)

    def timed(
        self, address: str, port: int, path: str, *, body: bytes, content_type: str, timeout: float
    ) -> tuple[int, bytes, float]:
        """Sends a POST and returns (status, body, seconds as measured beside the replica). Raises OSError as `http`
        does."""
        relay, inside = self._split(address)
        return relay.timed(inside, port, path, body=body, content_type=content_type, timeout=timeout)

    def ask(self, socket: PurePath, command: str, *, timeout: float = 1.0) -> str:
        """Raises Unreachable: a proxy is asked over the relay of its own host."""
        raise Unreachable(f"{socket} is on several hosts")
