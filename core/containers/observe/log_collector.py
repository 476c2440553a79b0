"""Collects the logs of an environment's containers into files while they are written. Each container has a thread,
which continues where its file ends. Broken connections, crashes and restarts of the collector lose and double
nothing: the engine has its own record and is asked for the lines after the file's last one. The file of a removed
container stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from ...domain.containers import Container, EngineSnapshot
from ...errors import NotFound, PodiumError
from ...logs.format import seconds_of
from ...logs.masking import encoded
from ..engine import swarm
from ..engine.client import Engine
from ..engine.stream import Stream
from . import services
from .descriptors import descriptors
from .log_file import LogPosition, LogStore, Parser

Say = Callable[[str], None]
# The interval of retries while another process holds the file's lock, the disk is full, or the engine fails.
_RETRY_INTERVAL = 1.0
# The stream of a running container ends when the engine rotates its log; it is reopened after this delay.
_FLUSH_INTERVAL = 0.2
# The stream and the file.
_DESCRIPTORS = 2


class LogKeeper:
    """A companion of a watch (watcher.py) that collects logs. `where` returns the log file of a container. Those for
    which the process has no descriptors left are not followed until others have ended: the engine has their logs, and
    whoever asks for one reads it there (`read_all`)."""

    def __init__(
        self,
        engine: Engine,
        where: Callable[[Container], Path],
        *,
        secrets: tuple[str, ...] = (),
        say: Say = lambda _: None,
    ) -> None:
        self._engine, self._where, self._say = engine, where, say
        self._secrets = encoded(secrets)
        self._followers: dict[str, _Follower] = {}

    def see(self, snapshot: EngineSnapshot) -> None:
        """Follows the running containers that are not followed yet, and reads the rest of the logs of those that
        have just ended."""
        present = {each.id for each in snapshot.containers}
        for identity in [each for each in self._followers if each not in present]:
            # It was removed: its stream has ended or is about to.
            if not self._followers[identity].alive:
                del self._followers[identity]
        for container in snapshot.containers:
            before = self._followers.get(container.id)
            if container.state == "created" or (
                before is not None and (before.alive or before.started == container.started)
            ):
                continue
            if not descriptors.take(_DESCRIPTORS):
                continue
            self._followers[container.id] = _Follower(
                self._engine, container, self._where(container), self._secrets, self._say
            )

    def close(self) -> None:
        for follower in self._followers.values():
            follower.stop()
        for follower in self._followers.values():
            follower.join(2.0)

    def caught_up(self) -> bool:
        """Tells whether the files contain everything that the engine had when collecting began."""
        return all(follower.caught_up for follower in list(self._followers.values()))


class _Follower:
    def __init__(self, engine: Engine, container: Container, path: Path, secrets: tuple[bytes, ...], say: Say) -> None:
        self.started = container.started
        self.caught_up = False
        self._engine, self._container, self._path, self._secrets, self._say = engine, container, path, secrets, say
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"log of {container.name}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()
        with self._lock:
            if self._stream is not None:
                self._stream.close()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._follow()
        finally:
            descriptors.give(_DESCRIPTORS)

    def _follow(self) -> None:
        trouble = ""
        while not self._stop.is_set():
            try:
                with LogStore(self._path) as store:
                    self._keep(store)
                return
            except BlockingIOError:
                self.caught_up = True  # by another process
            except NotFound:
                return  # the container is gone
            except PodiumError:
                # Retried below. If the engine is away, the watch reports it and replaces this
                # follower after reconnecting.
                pass
            except OSError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    self._say(
                        f"the log of {self._container.name} cannot be saved: {error}; the missing lines are read when"
                        " it can"
                    )
            self._stop.wait(_RETRY_INTERVAL)

    def _keep(self, store: LogStore) -> None:
        """Collects until the container has ended and its whole log is in the file, or until this follower is
        stopped."""
        while not self._stop.is_set():
            running, tty = self._now()
            place = _place(store, self._container)
            with self._open(place, follow=running or not self._container.service) as stream:
                parser = Parser(place, self._secrets, tty=tty)
                if self._stop.is_set():
                    return
                self._pass_on(stream, parser, store)
            if not running:
                self.caught_up = True
                return
            self._stop.wait(_FLUSH_INTERVAL)

    def _now(self) -> tuple[bool, bool]:
        """Returns whether more can come, and whether its output is that of a terminal. The log of a service goes on as
        long as that should run."""
        if self._container.service:
            found = next(iter(swarm.services(self._engine, identity=self._container.id).values()), None)
            if found is None:
                raise NotFound(f"the service {self._container.name} is gone")
            return found.wanted, False
        inspected = self._engine.inspect(self._container.id)
        return bool(inspected["State"].get("Running")), bool(inspected["Config"].get("Tty"))

    def _open(self, place: LogPosition, *, follow: bool) -> Stream:
        query = {"follow": int(follow), "stdout": 1, "stderr": 1, "timestamps": 1, **_since(place)}
        stream = Stream(
            self._engine,
            _path(self._container.id, service=self._container.service),
            query,
            what=f"following the log of {self._container.name}",
        )
        with self._lock:
            self._stream = stream
        return stream

    def _pass_on(self, stream: Stream, parser: Parser, store: LogStore) -> None:
        while True:
            data = stream.read(None if self.caught_up else 0.2)
            if data is None:
                self.caught_up = True
            elif data:
                store.write(parser.feed(data))
            else:
                return


def _place(store: LogStore, container: Container) -> LogPosition:
    """Returns where to continue. A file that ends before this container was created holds another container's log,
    so everything is new."""
    place = store.place()
    return place if place.newest + 0.001 > container.created else LogPosition()


def _since(place: LogPosition) -> dict[str, str]:
    """Returns the time as the engine expects it: seconds and nanoseconds, without rounding."""
    return {"since": f"{int(seconds_of(place.since))}.{place.since[-3:].decode()}000000"} if place.times else {}


def _described(engine: Engine, container: str, *, service: bool) -> Container:
    from .snapshot import describe

    if not service:
        return describe(engine.inspect(container), "", time.time())
    found = next(iter(services.of(engine, container)), None)
    if found is None:
        raise NotFound(f"the service {container[:12]} is gone")
    return found


def _path(container: str, *, service: bool) -> str:
    return f"/{'services' if service else 'containers'}/{container}/logs"


def read_all(
    engine: Engine,
    container: str,
    path: Path,
    *,
    secrets: tuple[str, ...] = (),
    patience: float = 10.0,
    service: bool = False,
) -> bool:
    """Brings the file of a container's log up to date once, without following, for a command or an error message.
    Returns True if that was done within `patience` seconds. A collector that already follows the container is not
    disturbed."""
    try:
        found = _described(engine, container, service=service)
        store = LogStore(path)
    except (NotFound, BlockingIOError):
        return False
    deadline = time.monotonic() + patience
    with store:
        place = _place(store, found)
        query = {"stdout": 1, "stderr": 1, "timestamps": 1, **_since(place)}
        parser = Parser(place, encoded(secrets))
        with Stream(engine, _path(found.id, service=service), query, what=f"reading the log of {found.name}") as stream:
            while (left := deadline - time.monotonic()) > 0 and (data := stream.read(left)) is not None:
                if not data:
                    return True
                store.write(parser.feed(data))
    return False
