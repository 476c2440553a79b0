"""The engines that a process keeps open for all its threads: one connection, and one ssh, for each address. The next
caller reopens a broken connection. After a failed attempt there is a pause, so that many callers (a status of ten
environments, once a second) do not each wait for the same engine."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from ...errors import PodiumError
from .address import Address
from .client import TIMEOUT, Engine, open_engine, through
from .errors import EngineAway, explained

if TYPE_CHECKING:
    from .ssh import Tunnel

T = TypeVar("T")

# For reading state: a caller that polls once a second must not wait half a minute for an engine that hangs.
LOOK_TIMEOUT = 5
_PAUSE_SECONDS = 1.0
_RETRY_INTERVAL = 0.25
_RETRY_TIMEOUT = 0.05


class _SharedConnection:
    """Everything that is open to one address."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.lock = threading.Lock()
        self.tunnel: Tunnel | None = None
        self.engines: dict[int, Engine] = {}
        self.failed: PodiumError | None = None
        self.failed_at = 0.0

    def engine(self, timeout: int) -> Engine:
        """Returns the open engine, opening or reopening it if necessary."""
        with self.lock:
            if self.tunnel is not None and not self.tunnel.alive:
                self.close()
            found = self.engines.get(timeout)
            if found is not None:
                return found
            if self.failed is not None and time.monotonic() - self.failed_at < _PAUSE_SECONDS:
                raise type(self.failed)(self.failed.message, hint=self.failed.hint)
            try:
                made = self.engines[timeout] = self._open(timeout)
            except PodiumError as error:
                self.failed, self.failed_at = error, time.monotonic()
                raise
            self.failed = None
            return made

    def _open(self, timeout: int) -> Engine:
        if self.address.scheme != "ssh":
            return open_engine(self.address, timeout=timeout)
        from .ssh import Tunnel

        if self.tunnel is None:
            with explained(self.address, "opening ssh"):  # a directory of its own may not be had
                self.tunnel = Tunnel(self.address)
        return through(self.tunnel, self.address, timeout=timeout)

    def close(self) -> None:
        """Ends ssh and closes the connection."""
        for engine in self.engines.values():
            engine.close()
        self.engines.clear()
        if self.tunnel is not None:
            self.tunnel.close()
            self.tunnel = None


class SharedEngines:
    """The engines that this process keeps open, by address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[Address, _SharedConnection] = {}

    def get(self, address: Address) -> _SharedConnection:
        """Returns the connection to `address`, which may have to be opened yet."""
        with self._lock:
            return self._connections.setdefault(address, _SharedConnection(address))

    def close(self) -> None:
        """Ends every ssh of this process."""
        with self._lock:
            connections = list(self._connections.values())
            self._connections.clear()
        for each in connections:
            # A thread that waits for an engine may hold the lock for seconds, and the end of the process must not
            # wait for it.
            held = each.lock.acquire(timeout=_RETRY_TIMEOUT)
            each.close()
            if held:
                each.lock.release()


_engines: Final = SharedEngines()


def shared(address: Address, *, timeout: int = TIMEOUT) -> Engine:
    """Returns this process's engine at `address`, opening or reopening it if necessary. Callers must not close it.
    Raises the errors of open_engine."""
    return _engines.get(address).engine(timeout)


@atexit.register
def close_all() -> None:
    """Ends every ssh of this process."""
    _engines.close()


def patiently(work: Callable[[], T], seconds: float, say: Callable[[str], None]) -> T:
    """Does `work`, and retries it for at most `seconds` while its engine is away. It must be safe to do twice."""
    deadline = time.monotonic() + seconds
    waited = False
    while True:
        try:
            done = work()
        except EngineAway as error:
            if time.monotonic() >= deadline:
                raise
            if not waited:
                say(f"{error.message}; retrying for {seconds:g} s")
            waited = True
            time.sleep(_RETRY_INTERVAL)
        else:
            if waited:
                say("the engine answers again")
            return done
