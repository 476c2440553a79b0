"""What a client and the preloading server say to each other over their Unix socket: one request with descriptors, then
answers, each a line of JSON."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct("!I")
_CREDENTIALS = struct.Struct("3i")
_MAX_REQUEST_BYTES = 16 * 1024 * 1024
_MAX_DESCRIPTORS = 64
# How long the other side may take to send what it has begun, in seconds.
SEND_TIMEOUT = 10.0
# The exit code of a child that could not be started, as a shell has it.
CANNOT_START = 126
# Ends the name of a file that says: in this environment no server can fork.
UNFIT = ".unfit"


@dataclass(frozen=True, slots=True)
class Child:
    """What a child is started as."""

    module: str
    """Its module, which has `main(arguments) -> exit code`."""
    arguments: tuple[str, ...]
    """The arguments of `main`."""
    env: Mapping[str, str]
    """All of its environment variables."""
    cwd: str
    """The directory in which it starts."""
    descriptors: tuple[int, ...]
    """Numbers of the descriptors that it gets, 0, 1 and 2 first; they have the same numbers in the child."""
    detached: bool = False
    """Whether it outlives whoever asked for it, and the server."""
    mark: str = ""
    """A text by which others find the process (`identity.processes.marked`)."""
    note: str = ""
    """For a detached child, a file for its pid and a shell's exit code once it has ended; empty for none."""
    umask: int = 0o077
    """The mask of the files that it creates."""
    nice: int = 0
    """Its nice value, if that of the server is smaller: that of whoever asked for it."""

    def command(self, program: str) -> list[str]:
        """Returns the command line of the same child as a new interpreter."""
        return [program, "-P", "-m", self.module, *self.arguments]


def ours(connection: socket.socket) -> bool:
    """Tells whether the process at the other end belongs to this user (Linux, SO_PEERCRED)."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(raw)[1] == os.getuid()


def send(connection: socket.socket, child: Child, descriptors: tuple[int, ...]) -> None:
    """Sends a request; `descriptors` are this process's own, in the order of `child.descriptors`. Raises OSError."""
    data = json.dumps(asdict(child)).encode("utf-8", "surrogateescape")
    sent = socket.send_fds(connection, [_LENGTH.pack(len(data))], descriptors)
    if sent != _LENGTH.size:
        raise OSError("the request was cut short")
    connection.sendall(data)


def receive(connection: socket.socket) -> tuple[Child, list[int]]:
    """Returns a request and its descriptors, which the caller closes. Raises OSError or ValueError if it is not one;
    the descriptors are closed then."""
    head, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, _MAX_DESCRIPTORS)
    try:
        size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        if not 0 < size <= _MAX_REQUEST_BYTES:
            raise ValueError("no request")
        document = json.loads(_exactly(connection, size).decode("utf-8", "surrogateescape"))
        child = _child(document)
        if len(child.descriptors) != len(descriptors):
            raise ValueError("the descriptors are not those that were named")
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return child, descriptors


def answer(connection: socket.socket, **facts: object) -> None:
    """Sends one line. A client that is gone is no error."""
    try:
        connection.sendall(json.dumps(facts).encode() + b"\n")
    except OSError:
        return


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(min(65_536, size - len(data)))
        if not part:
            raise ValueError("the request was cut short")
        data += part
    return bytes(data)


def _child(document: Any) -> Child:
    try:
        found = Child(**document)
        return Child(
            str(found.module),
            tuple(map(str, found.arguments)),
            {str(name): str(value) for name, value in found.env.items()},
            str(found.cwd),
            tuple(map(int, found.descriptors)),
            bool(found.detached),
            str(found.mark),
            str(found.note),
            int(found.umask),
            int(found.nice),
        )
    except (TypeError, AttributeError) as error:
        raise ValueError("no request") from error


def address(directory: Path, name: str, descriptor: int) -> str:
    """Returns a path of a socket in a directory that is short enough for the kernel however deep the directory is;
    `descriptor` is an open handle of it."""
    near = str(directory / name)
    return near if len(os.fsencode(near)) < 100 else f"/proc/self/fd/{descriptor}/{name}"
