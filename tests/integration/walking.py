"""What a person does in a project: commands that have to end well."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.runner.scale import scaled


def podium_in(home: Path, environment: Mapping[str, str] | None = None) -> Callable[..., str]:
    """Returns a function that runs a command of Podium there and returns what it printed. Raises AssertionError, with
    all that was said, if it does not end with 0."""

    def podium(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "podium.cli", *words],
            cwd=home,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=scaled(300),
            check=False,
        )
        assert done.returncode == 0, f"podium {' '.join(words)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    return podium
