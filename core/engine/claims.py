"""Two runs in one directory must not write what the other one reads or writes. A run by hand uses the working tree; it claims the paths that its
steps declare for as long as it works there, and a second run that needs one of them waits and says for whom.

Kernel locks on single bytes of one file, a byte for each path: hundreds of claims cost a millisecond, and they are gone with the process that
holds them, however it ends. An output is locked for itself alone; what lies above it, and inputs, are shared.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from .graph import PlannedStep


class Claims:
    """Only one for each process: the locks belong to the process, and closing the file anywhere in it gives all of them up."""

    def __init__(self, state: Path, steps: Sequence[PlannedStep]) -> None:
        self._file = state / "claims"
        self._wanted = _wanted(steps)
        self._descriptor: int | None = None

    @property
    def needed(self) -> bool:
        return bool(self._wanted) and self._descriptor is None

    def take(self) -> str:
        """Claim everything, or nothing: then the answer is the path that another run uses."""
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        for path, alone in sorted(self._wanted.items()):
            try:
                fcntl.lockf(self._descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB, 1, _place(path))
            except OSError:
                self.release()
                return path
        return ""

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _place(path: str) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8).digest()) >> 2


def _wanted(steps: Sequence[PlannedStep]) -> dict[str, bool]:
    """Path -> whether for itself alone."""
    wanted: dict[str, bool] = {}
    for step in steps:
        for output in step.outputs:
            path = os.path.normpath(output)
            wanted[path] = True
            while "/" in path.strip("/"):
                path = path.rsplit("/", 1)[0]
                wanted.setdefault(path, False)
    for step in steps:
        for source in step.inputs:
            fixed = os.path.normpath(source.split("*")[0].split("?")[0].split("[")[0] or ".")
            if fixed != ".":
                wanted.setdefault(fixed, False)
    return wanted
