"""The files of an environment: `.podium/environments/<environment>/`."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from ...domain.project import Project
from ...errors import Refused
from ...identity.directory import path_id

# The instances of a proxy. Two: while one is away, the other one has the port.
INSTANCES = (1, 2)
REPLICA_SOCKETS = "replica-"
# sun_path holds 108 bytes; HAProxy binds `<path>.<pid>.tmp` first and renames it, so some of them are not ours to use.
_SOCKET_LIMIT = 90
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


def safe(name: str) -> str:
    """Returns `name` as one part of a path: anything but plain letters, digits and `._-` becomes `_`, and different
    names stay different."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_"
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def private(directory: Path) -> Path:
    """Returns `directory`, created with its parents if missing, accessible to its owner only."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def environment_dir(project: Project, environment: str) -> Path:
    # Without its parents: a project that was moved away is not made anew in its old place.
    project.state.mkdir(mode=0o700, exist_ok=True)
    private(project.state / "environments")
    return private(project.state / "environments" / safe(environment))


def numbered(name: str, instance: int) -> str:
    """Returns the name of a thing of an instance; the first instance's has no number."""
    stem, dot, ending = name.partition(".")
    return name if instance == 1 else f"{stem}-{instance}{dot}{ending}"


def socket_path(directory: Path, instance: int = 1) -> Path:
    """Returns the runtime socket of an instance of the proxy. Raises Refused as `named_socket` does."""
    return named_socket(directory, numbered("proxy.sock", instance))


def replica_socket(directory: Path, slot: str) -> Path:
    """Returns the socket on which the replica of a slot listens on this machine. Raises Refused as `named_socket`
    does."""
    return named_socket(directory, f"{REPLICA_SOCKETS}{safe(slot)}.sock")


def from_directory(directory: Path, address: str) -> str:
    """Returns a replica's address as the proxy is told it: a socket in the environment's directory, which the proxy
    works in, by its name alone. So it goes on finding it when the project is moved."""
    near = Path(address)
    return f"./{near.name}" if near.is_absolute() and near.parent == directory.resolve() else address


def _temporary() -> str:
    from tempfile import gettempdir  # late: it brings `random`, and most paths are short

    return gettempdir()


def named_socket(directory: Path, name: str) -> Path:
    """Returns the path of a socket: in the environment's directory if it is short and plain enough for HAProxy there,
    else in a short private directory.

    Raises Refused if that short directory belongs to another user.
    """
    near = directory.resolve() / name
    if len(os.fsencode(near)) <= _SOCKET_LIMIT and _PLAIN_PATH.fullmatch(str(near)):
        return near
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or _temporary())
    if len(os.fsencode(base)) > 40 or not _PLAIN_PATH.fullmatch(str(base)) or not base.is_dir():
        base = Path("/tmp")  # noqa: S108 - the directory below it is checked to be ours alone
    short = base / f"podium-{os.getuid()}"
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Refused(
            f"{short} belongs to another user or is accessible to others",
            hint="remove it, or set XDG_RUNTIME_DIR to a directory of your own",
        )
    return short / f"{path_id(near)}.sock"
