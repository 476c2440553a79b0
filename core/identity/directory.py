"""Tells one project's directory from another, from a copy of it, and from itself after it was moved."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..errors import UNREADABLE
from .machine import here


class DirectoryStatus(StrEnum):
    """What has become of a directory since it was noted."""

    SAME = "same"
    MOVED = "moved"
    """The same directory under another path: what was started from it is still its own."""
    COPIED = "copied"
    """Another directory (a copy, a restored backup): what the journal names belongs to the first one."""
    UNKNOWN = "unknown"
    """On another machine, whose numbers say nothing here."""


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """Names a project's state directory: a copy has another inode, and a moved one another path."""

    path: str
    device: int
    inode: int
    machine: str = ""

    @classmethod
    def of(cls, path: Path) -> StateDirectory:
        """Returns the directory as it is now. OSError when there is none."""
        status = path.stat()
        machine = here()
        return cls(str(path.resolve()), status.st_dev, status.st_ino, machine.id or machine.host)

    def seen(self, now: StateDirectory) -> DirectoryStatus:
        """Returns what has become of this directory, which was noted before, where `now` is what stands there today.
        The device's number may change with a boot, so a directory that has its path and its inode is the same one."""
        if self.machine != now.machine:
            return DirectoryStatus.UNKNOWN
        if self.inode == now.inode and self.path == now.path:
            return DirectoryStatus.SAME
        if self.inode == now.inode and self.device == now.device:
            return DirectoryStatus.MOVED
        return DirectoryStatus.COPIED

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> StateDirectory | None:
        """Returns what `to_text` wrote; None for anything else."""
        try:
            found: dict[str, Any] = json.loads(text)
            return cls(str(found["path"]), int(found["device"]), int(found["inode"]), str(found.get("machine", "")))
        except UNREADABLE:
            return None


def path_digest(home: Path) -> str:
    """Returns 12 hex digits for a project's directory: its id where it has noted none (`home.py`)."""
    return hashlib.sha256(str(home).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def path_id(path: Path) -> str:
    """Returns 16 hex digits for a path that is too long, or written too freely, for where its name has to stand (a
    socket's)."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
