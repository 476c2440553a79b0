"""podium.yaml -> a typed, checked Project. `load` is the entry point; docs/config.md is the user's documentation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from ..domain.project import Project

FILE = "podium.yaml"


def load(directory: Path, *, home: Path | None = None, environ: Mapping[str, str] | None = None) -> Project:
    """Returns the project that `directory`/podium.yaml describes.

    `home` is the project's own directory if it is another one (the run of a pushed commit works in a worktree).
    `environ` provides the values of `${NAME}`. Raises ConfigError with every problem found.
    """
    from .loading import load_project

    root = Path(directory).resolve()
    return load_project(
        root / FILE, root, Path(home).resolve() if home else root, os.environ if environ is None else environ
    )


def find_root(start: Path) -> Path:
    """Returns the nearest directory, from `start` upwards, that has a podium.yaml. From inside `.podium/` it is the
    project that this state belongs to.

    Raises UsageError if there is none.
    """
    here = Path(start).resolve()
    for directory in (here, *here.parents):
        if ".podium" not in directory.parts and (directory / FILE).is_file():
            return directory
    other = next(
        (directory / "podium.yml" for directory in (here, *here.parents) if (directory / "podium.yml").is_file()), None
    )
    hint = (
        f"rename {other} to {FILE}" if other else "create one with `podium init`, or pass -C DIR for another directory"
    )
    raise UsageError(f"there is no {FILE} in {here} or in a directory above it", hint=hint)


def schema() -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) of podium.yaml, for editors."""
    from .json_schema import make

    return make()
