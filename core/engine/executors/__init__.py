"""Where a `run:` step executes. An executor is a class found by name and loaded late; other packages add theirs as entry points of
`podium.executors` (CONTRIBUTING.md shows how)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ...errors import MissingExtra

EXECUTORS = {"process": "podium.core.engine.executors.process:ProcessExecutor"}


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt at a step. `argv` is never given to a shell by an executor (for a `run:` step it names the shell itself).

    `stdin` is a file descriptor to read from, None for nothing. `contained` asks that whatever the command leaves running is found and ended.
    """

    run_id: int
    step: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    stdin: int | None = None
    contained: bool = True
    options: Mapping[str, str] = field(default_factory=dict[str, str])


class Execution(Protocol):
    """A started task. The runner reads the two descriptors until they end, polls after SIGCHLD and now and then, and calls nothing else from
    another thread."""

    stdout: int
    stderr: int

    def poll(self) -> int | None:
        """The exit code once the command has ended (negative: ended by that signal), else None. Never blocks."""
        ...

    def leftovers(self) -> int:
        """How many processes the command left running when it ended."""
        ...

    def terminate(self) -> None:
        """Ask everything that belongs to the task to end."""
        ...

    def kill(self) -> None:
        """End everything that belongs to the task."""
        ...


class Executor(Protocol):
    def start(self, task: Task) -> Execution:
        """Start it and return at once. OSError or PodiumError when it cannot be started."""
        ...

    def fingerprint(self) -> str:
        """What of the executor belongs into a cache key (an image's digest); empty for none."""
        ...


def load(name: str) -> Executor:
    """MissingExtra when no installed package has an executor of that name, or when it needs something that is missing."""
    target = EXECUTORS.get(name) or _entry_point(name)
    if target is None:
        known = ", ".join(sorted(EXECUTORS))
        raise MissingExtra(f"there is no executor {name!r}", hint=f"use one of: {known}; or install the package that brings it")
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except ImportError as error:
        raise MissingExtra(f"executor {name!r} cannot be loaded: {error}", hint="install what it needs into Podium's environment") from error


def _entry_point(name: str) -> str | None:
    from importlib.metadata import entry_points

    return next((point.value for point in entry_points(group="podium.executors", name=name)), None)
