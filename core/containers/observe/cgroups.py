"""What a container uses, read from this machine's own files: cgroup version 1 or 2, and its network counters. It
serves only engines of this machine, and only if the files really belong to the container (an engine in a virtual
machine has other process numbers). Reading them costs a tenth of a millisecond per container; the engine's
statistics cost several milliseconds, most of it in the engine."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

from ...domain.frozen import Frozen

# How many a Cgroup keeps open.
FILES = 4
_HOST_ROOT = Path("/")


class Counters(Frozen):
    """A reading of a container's counters: `at` is its time (seconds of a monotonic clock), `cpu` the seconds used
    since the container began, `memory` the bytes without what the kernel would free on demand, `received` and `sent`
    the bytes since the container began."""

    at: float
    cpu: float
    memory: int
    received: int
    sent: int


class Cgroup:
    """The files of one container, kept open. Raises LookupError if they are not available on this machine."""

    def __init__(self, container: str, pid: int, *, root: Path = _HOST_ROOT) -> None:
        self._open_files: list[int] = []
        try:
            found = _paths(container, pid, root)
            self._cpu, self._memory, self._stat = (self._open(path) for path in found.files)
            self._version = found.version
            # A process without a network of its own counts the machine's: that is not the container's.
            own = _namespace(root, pid)
            shared = own in ("", _namespace(root, "1"), _namespace(root, "self"))
            self._network = -1 if shared else self._open(root / "proc" / str(pid) / "net" / "dev")
        except (OSError, ValueError) as error:
            self.close()
            raise LookupError(str(error)) from error

    def _open(self, path: Path) -> int:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._open_files.append(handle)
        return handle

    def read(self) -> Counters:
        """Reads the counters. Raises OSError if the container has ended."""
        now = time.monotonic()
        if self._version == 1:
            cpu = int(_all(self._cpu)) / 1e9
            inactive = _field(_all(self._stat), b"total_inactive_file")
        else:
            cpu = _field(_all(self._cpu), b"usage_usec") / 1e6
            inactive = _field(_all(self._stat), b"inactive_file")
        used = int(_all(self._memory))
        received, sent = _traffic(_all(self._network)) if self._network >= 0 else (0, 0)
        return Counters(now, cpu, used - inactive if inactive < used else used, received, sent)

    def close(self) -> None:
        while self._open_files:
            with contextlib.suppress(OSError):
                os.close(self._open_files.pop())

    def __del__(self) -> None:
        self.close()


class _Found(Frozen):
    version: int
    files: tuple[Path, Path, Path]


def _paths(container: str, pid: int, root: Path) -> _Found:
    """Returns the files of the container. Raises ValueError if the process is not in one of its cgroups."""
    groups: dict[str, str] = {}
    for line in (root / "proc" / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)
    mounts = _mounts(root)
    if "memory" in groups and "cpuacct" in groups and "memory" in mounts and "cpuacct" in mounts:
        cpu, memory = (root / mounts[name].lstrip("/") / groups[name].lstrip("/") for name in ("cpuacct", "memory"))
        found = _Found(1, (cpu / "cpuacct.usage", memory / "memory.usage_in_bytes", memory / "memory.stat"))
    else:
        base = root / mounts.get("", "/sys/fs/cgroup").lstrip("/") / groups.get("", "").lstrip("/")
        found = _Found(2, (base / "cpu.stat", base / "memory.current", base / "memory.stat"))
    if container not in str(found.files[1]):
        raise ValueError(f"process {pid} is not in a group of container {container[:12]}")
    return found


def _mounts(root: Path) -> dict[str, str]:
    """Returns the mount point of each controller (empty: version 2). Format: proc(5), mountinfo."""
    found: dict[str, str] = {}
    for line in (root / "proc" / "self" / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if kind[0] == "cgroup2":
            found[""] = words[4]
        elif kind[0] == "cgroup":
            found |= dict.fromkeys(kind[2].split(","), words[4])
    return found


def _namespace(root: Path, pid: int | str) -> str:
    """Returns the network namespace of a process; empty if it may not be read, as process 1's by anyone but root."""
    with contextlib.suppress(OSError):
        return str((root / "proc" / str(pid) / "ns" / "net").readlink())
    return ""


def _all(handle: int) -> bytes:
    return os.pread(handle, 16_384, 0)


def _field(text: bytes, name: bytes) -> int:
    match = re.search(rb"^%s (\d+)" % name, text, re.MULTILINE)
    return int(match[1]) if match else 0


def _traffic(text: bytes) -> tuple[int, int]:
    """Returns (received, sent) of every interface but the loopback. Format: proc(5), net/dev."""
    received = sent = 0
    for line in text.split(b"\n")[2:]:
        name, _, rest = line.partition(b":")
        words = rest.split()
        if len(words) >= 9 and name.strip() != b"lo":
            received += int(words[0])
            sent += int(words[8])
    return received, sent
