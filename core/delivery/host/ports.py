"""Finds free ports for replicas, and the process that uses a port."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import time
from collections.abc import Collection, Generator
from pathlib import Path

from ...errors import Unreachable, UsageError

# Below the range that the kernel hands to outgoing connections (32768 and up on Linux): a replica that is restarted
# finds its port free.
_FIRST_PORT, _LAST_PORT = 20_000, 31_999
_LISTEN_STATE = "0A"
_CLAIM_TIMEOUT = 30.0


def free_port(taken: Collection[int] = ()) -> int:
    """Returns a port of 127.0.0.1 that is neither in use nor reserved nor in `taken`."""
    from random import randint  # late: a command that looks starts nothing

    for _ in range(400):
        port = randint(_FIRST_PORT, _LAST_PORT)
        if port not in taken and bindable("127.0.0.1", port) and not _reserved(port):
            return port
    raise Unreachable(
        f"no free port between {_FIRST_PORT} and {_LAST_PORT} on this machine",
        hint="stop a process that uses one; `ss -ltn` lists them",
    )


def kept_port(taken: Collection[int] = ()) -> tuple[int, socket.socket]:
    """Returns a free port and its reservation (`reserve`)."""
    while True:
        port = free_port(taken)
        held = reserve(port)
        if held is not None:
            return port, held


def reserve(port: int) -> socket.socket | None:
    """Reserves `port` against every other process that reserves before it listens, of any user, until the returned
    socket is closed here and in every process that inherited it. Returns None if the port is reserved already.

    The port itself is not bound, so the process that it is reserved for may listen on it at any time. The
    reservation is one of Linux's abstract sockets (unix(7)), which live in the same network namespace as the ports.
    """
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0podium-port-{port}")
    except OSError:
        held.close()
        return None
    return held


def reserve_soon(port: int) -> socket.socket | None:
    """Reserves `port`, after a moment if it has to be: the shell that waited for its last owner (daemon.py) ends a
    moment after that."""
    deadline = time.monotonic() + 0.3
    while (held := reserve(port)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return held


def _reserved(port: int) -> bool:
    held = reserve(port)
    if held is not None:
        held.close()
    return held is None


@contextlib.contextmanager
def claimed(port: int) -> Generator[None]:
    """Lets one process at a time, of all projects and users of this machine, look whether a proxy could have `port` and
    start it there. Proxies of one account can share a port without knowing it. Raises UsageError if another one takes
    too long."""
    with socket.socket(socket.AF_UNIX) as held:
        deadline = time.monotonic() + _CLAIM_TIMEOUT
        while sys.platform == "linux":
            try:
                held.bind(f"\0podium-proxy-{port}")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise UsageError(
                        f"port {port} is being taken by another deploy", hint="try again when that is over"
                    ) from None
            time.sleep(0.02)
        yield


def addresses(bind: str) -> tuple[str, ...]:
    """Returns the addresses that an environment's `bind` means: `localhost` is that of IPv4 and, where this machine
    has it, that of IPv6, since clients take either for it."""
    if bind != "localhost":
        return (bind,)
    return ("127.0.0.1", "::1") if _refusal("::1", 0) is None else ("127.0.0.1",)


def bindable(host: str, port: int) -> bool:
    """Tells whether `host:port` can be bound now, all of them where it means several."""
    return all(_refusal(address, port) is None for address in addresses(host))


def _refusal(address: str, port: int) -> OSError | None:
    """Returns why the address cannot be bound; None if it can."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        return error
    return None


def let_go(host: str, port: int) -> bool:
    """Tells whether `host:port` can be bound. If no listener can be found, waits up to a second for it: a process
    that was just killed shows no descriptors any more, but holds them until the last of its threads has ended."""
    deadline = time.monotonic() + 1.0
    while not (free := bindable(host, port)) and listener(port) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return free


def require(host: str, port: int, *, environment: str) -> None:
    """Raises UsageError unless `host:port` can be bound; names the port, and the process that listens on it if that
    can be found out."""
    let_go(host, port)
    found = [(address, error) for address in addresses(host) if (error := _refusal(address, port)) is not None]
    for address, error in found:
        owner = listener(port)
        held = f" by pid {owner[0]} ({owner[1]})" if owner else ""
        there = f" at {address}" if address != host else ""
        used = owner or error.errno == errno.EADDRINUSE
        reason = f"is in use{there}{held}" if used else f"cannot be used{there}: {error.strerror}"
        hint = f"stop that process, or give environments.{environment}.port another number"
        raise UsageError(f"port {port} of environment {environment} {reason}", hint=hint)


def listener(port: int) -> tuple[int, str] | None:
    """Returns (pid, command) of the process that listens on `port`, if /proc shows it to this user."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()) in wanted:
                        command = (
                            (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                        )
                        return int(process.name), command[:120]
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN_STATE and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes
