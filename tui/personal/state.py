"""Small things that the cockpit remembers for a person across projects: what was looked for, how lists are shown. What
cannot be read or written is done without."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

MAX_BYTES = 256 * 1024


def directory() -> Path | None:
    """Returns where a person's state is kept; None for an account that has no home directory."""
    named = os.environ.get("XDG_STATE_HOME", "")
    try:
        return (Path(named) if Path(named).is_absolute() else Path.home() / ".local" / "state") / "podium"
    except RuntimeError:
        return None


class Remembered:
    """One JSON file of a person's state."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        folder = folder or directory()
        self.file = folder / name if folder is not None else None

    def read(self) -> Any:
        """Returns what is remembered; None if nothing is, or nobody can read it."""
        if self.file is None:
            return None
        with suppress(OSError, ValueError), self.file.open("rb") as file:
            return json.loads(file.read(MAX_BYTES))
        return None

    def write(self, value: Any) -> None:
        """Remembers a value in place of the one before. Two cockpits at once leave the one or the other, never a
        mixture."""
        if self.file is None:
            return
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with NamedTemporaryFile("w", dir=self.file.parent, delete=False, encoding="utf-8") as file:
                json.dump(value, file)
            Path(file.name).replace(self.file)
