"""What an environment's containers use, once a second: from this machine's cgroup files if they are available, else
from one stream of statistics per container. Containers are never polled, because an engine takes one to two seconds
to answer a single request for statistics."""

from __future__ import annotations

import json
import selectors
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from ...domain.containers import Container, EngineSnapshot
from ...domain.frozen import Frozen
from ...errors import PodiumError
from ..engine.client import Engine
from ..engine.stream import CHUNK_BYTES, Stream
from .cgroups import FILES, Cgroup, Counters
from .descriptors import descriptors

MEASURE_INTERVAL = 1.0
_MAX_ANSWER_BYTES = 1 << 20


class Usage(Frozen):
    """What one container used in the last second: share of one core, bytes of memory, bytes/s received, bytes/s
    sent."""

    cpu: float
    memory: float
    received: float
    sent: float


Put = Callable[[Mapping[str, tuple[Container, Usage]]], None]


class Stats:
    """A companion of a watch (watcher.py) that measures. `put` is called once a second in its own thread with the
    usage by container id, and not while nothing runs. `local` False forces streams even where files are available.
    Containers for which the process has no descriptors left are not measured."""

    def __init__(self, engine: Engine, put: Put, *, local: bool = True) -> None:
        self._engine, self._put = engine, put
        self._local = local and engine.address.local
        self._lock = threading.Lock()
        self._wanted: dict[str, Container] = {}
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._files: dict[str, Cgroup] = {}
        self._streams = _Streams(engine)
        self._before: dict[str, Counters] = {}
        self._thread = threading.Thread(target=self._run, name="statistics", daemon=True)
        self._thread.start()

    def see(self, snapshot: EngineSnapshot) -> None:
        with self._lock:
            # A manager does not measure the tasks of its Swarm.
            found = [each for each in snapshot.containers if not each.service]
            self._wanted = {each.id: each for each in found if each.state in ("running", "paused")}
        self._changed.set()

    def close(self) -> None:
        self._stop.set()
        self._changed.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._stop.is_set():
                if self._changed.is_set():
                    self._changed.clear()
                    self._settle()
                if not self._wanted:
                    self._changed.wait()
                    continue
                due = max(due + MEASURE_INTERVAL, time.monotonic())
                self._streams.read_until(due, self._stop)
                if not self._stop.is_set():
                    self._report()
        finally:
            self._streams.close()
            for identity in list(self._files):
                self._close_files(identity)

    def _settle(self) -> None:
        """Opens what is new and closes what is gone. A restarted container has another process number and is
        reopened."""
        with self._lock:
            wanted = dict(self._wanted)
        for identity in [each for each in self._files if each not in wanted]:
            self._close_files(identity)
        self._streams.keep(wanted.keys())
        self._before = {key: value for key, value in self._before.items() if key in wanted}
        for identity in wanted:
            if identity in self._files or identity in self._streams:
                continue
            try:
                if not self._local or not self._open_files(identity):
                    self._streams.add(identity)
            except PodiumError:
                continue  # it has just ended: the next snapshot shows it

    def _open_files(self, identity: str) -> bool:
        """Opens the cgroup files of a container; returns False if there are none. A container that is not running
        has none either: the next snapshot brings it back."""
        pid = int(self._engine.inspect(identity)["State"].get("Pid") or 0)
        if not pid or not descriptors.take(FILES):
            return True
        try:
            self._files[identity] = Cgroup(identity, pid)
        except LookupError:
            descriptors.give(FILES)
            return False
        return True

    def _close_files(self, identity: str) -> None:
        self._files.pop(identity).close()
        descriptors.give(FILES)

    def _report(self) -> None:
        now: dict[str, Counters] = dict(self._streams.latest)
        for identity, files in list(self._files.items()):
            try:
                now[identity] = files.read()
            except (OSError, ValueError):
                # It ended, or restarted as another process; the next snapshot finds it.
                self._close_files(identity)
                self._before.pop(identity, None)
                self._changed.set()
        with self._lock:
            wanted = dict(self._wanted)
        found = {
            identity: (wanted[identity], used)
            for identity, counters in now.items()
            if identity in wanted and (used := usage(self._before.get(identity), counters)) is not None
        }
        self._before = now
        if found:
            self._put(found)


def usage(before: Counters | None, now: Counters) -> Usage | None:
    """Returns the usage between two readings; None for the first reading, and if there was no new one. Counters that
    went backwards are those of a restarted container."""
    if before is None or now.at <= before.at or now.cpu < before.cpu:
        return None
    seconds = now.at - before.at
    received, sent = max(0, now.received - before.received), max(0, now.sent - before.sent)
    return Usage((now.cpu - before.cpu) / seconds, float(now.memory), received / seconds, sent / seconds)


class _Streams:
    """Statistics of several containers: one connection each, all of them read by one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._selector = selectors.DefaultSelector()
        self._streams: dict[str, Stream] = {}
        self._parts: dict[str, bytes] = {}
        self.latest: dict[str, Counters] = {}

    def __contains__(self, identity: str) -> bool:
        return identity in self._streams

    def add(self, identity: str) -> None:
        if not descriptors.take(1):
            return
        try:
            stream = Stream(self._engine, f"/containers/{identity}/stats", {"stream": 1}, what="following statistics")
        except BaseException:
            descriptors.give(1)
            raise
        self._streams[identity], self._parts[identity] = stream, b""
        self._selector.register(stream.socket, selectors.EVENT_READ, identity)
        self._take(identity)

    def keep(self, wanted: Any) -> None:
        for identity in [each for each in self._streams if each not in wanted]:
            self._drop(identity)

    def read_until(self, due: float, stop: threading.Event) -> None:
        """Waits, and then takes what has arrived meanwhile. To wake for each message, as many as there are containers
        in each second, would keep all other threads of the process waiting for their turns."""
        if not stop.wait(max(0.0, due - time.monotonic())):
            for key, _ in self._selector.select(0):
                self._take(cast(str, key.data))

    def _take(self, identity: str) -> None:
        """Reads everything that has arrived on this connection. TLS may hold back whole records, so it reads until
        nothing is left."""
        stream = self._streams[identity]
        while (data := stream.read(0.0)) is not None:
            if not data:
                self._drop(identity)
                return
            *whole, rest = (self._parts[identity] + data).split(b"\n")
            self._parts[identity] = rest[:_MAX_ANSWER_BYTES]
            if whole and (found := counters(whole[-1])) is not None:
                self.latest[identity] = found
            if len(data) < CHUNK_BYTES:
                pending = getattr(stream.socket, "pending", None)
                if pending is None or not pending():
                    return

    def _drop(self, identity: str) -> None:
        stream = self._streams.pop(identity)
        self._selector.unregister(stream.socket)
        stream.close()
        descriptors.give(1)
        self._parts.pop(identity, None)
        self.latest.pop(identity, None)

    def close(self) -> None:
        """Closes all connections."""
        for identity in list(self._streams):
            self._drop(identity)
        self._selector.close()


def counters(line: bytes) -> Counters | None:
    """Returns the counters of one message of the engine; None for a container that is not running. The time is the
    engine's."""
    from .moments import moment

    try:
        told = cast("dict[str, Any]", json.loads(line))
        at = moment(told.get("read"))
        total = cast("int | None", told.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage"))
        memory = cast("dict[str, Any]", told.get("memory_stats") or {})
        used = int(memory.get("usage") or 0)
        if at is None or not total or not used:
            return None
        stats = cast("dict[str, int]", memory.get("stats") or {})
        inactive = stats.get("total_inactive_file", stats.get("inactive_file", 0))
        networks = cast("dict[str, dict[str, int]]", told.get("networks") or {}).values()
        received, sent = (sum(int(each.get(key, 0)) for each in networks) for key in ("rx_bytes", "tx_bytes"))
        return Counters(at, total / 1e9, used - inactive if inactive < used else used, received, sent)
    except (ValueError, AttributeError, TypeError):
        return None
