"""The memory of replicas while they are under load."""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.delivery import Replica
from ...telemetry.exposition import parse
from ..environment.runtime import EnvironmentRuntime

_GAUGE = "process_resident_memory_bytes"
_TIMEOUT = 1.0


class Memory:
    """Remembers the most that one replica took."""

    def __init__(self, runtime: EnvironmentRuntime, replicas: Sequence[Replica]) -> None:
        self._runtime, self._replicas = runtime, replicas
        self.peak = 0.0
        """Resident bytes; 0 as long as nothing could be read."""

    def look(self) -> None:
        for replica in self._replicas:
            self.peak = max(self.peak, _of_process(replica.pid) if replica.pid else self._told_by(replica))

    def _told_by(self, replica: Replica) -> float:
        """Returns what a replica in a container says of itself."""
        try:
            status, body = self._runtime.transport.http(
                replica.address, replica.port, "GET", "/metrics", timeout=_TIMEOUT
            )
        except OSError:
            return 0.0
        points = parse(body.decode("utf-8", "replace")) if status == 200 else []
        return max((point.value for point in points if point.name == _GAUGE), default=0.0)


def _of_process(pid: int) -> float:
    """Returns the resident bytes of a process and of what it started; 0 if it has ended."""
    import psutil

    total = 0
    try:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    except psutil.Error:
        pass
    return float(total)
