"""Two runs in one directory must not write what the other one reads or writes. A run by hand uses the working tree; it claims the paths that its
steps declare for as long as it works there, and a second run that needs one of them waits and says for whom.

Kernel locks (flock) on files under `.podium/claims/`: they are gone with the process that holds them, however it ends. An output is locked for
itself alone; what lies above it, and inputs, are shared.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from .graph import PlannedStep


class Claims:
    def __init__(self, state: Path, run_id: int, steps: Sequence[PlannedStep]) -> None:
        self._directory = state / "claims"
        self._run_id = run_id
        self._wanted = _wanted(steps)
        self._held: list[int] = []

    @property
    def needed(self) -> bool:
        return bool(self._wanted) and not self._held

    def take(self) -> str:
        """Claim everything, or nothing: then the answer says who has what."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, alone in sorted(self._wanted.items()):
            name = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:24]
            descriptor = os.open(self._directory / name, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except OSError:
                holder = os.read(descriptor, 40).decode("ascii", "replace").strip()
                os.close(descriptor)
                self.release()
                return f"waits for {f'run {holder}' if holder and holder != str(self._run_id) else 'another run'}, which uses {path}"
            self._held.append(descriptor)
            if alone:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(self._run_id).encode(), 0)
        return ""

    def release(self) -> None:
        while self._held:
            os.close(self._held.pop())


def _wanted(steps: Sequence[PlannedStep]) -> dict[str, bool]:
    """Path -> whether for itself alone."""
    wanted: dict[str, bool] = {}
    for step in steps:
        for output in step.outputs:
            path = PurePosixPath(os.path.normpath(output))
            for parent in path.parents:
                if str(parent) != ".":
                    wanted.setdefault(str(parent), False)
            wanted[str(path)] = True
    for step in steps:
        for source in step.inputs:
            fixed = os.path.normpath(source.split("*")[0].split("?")[0].split("[")[0] or ".")
            if fixed != ".":
                wanted.setdefault(fixed, False)
    return wanted
