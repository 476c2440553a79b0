"""Where a `run:` step executes. An executor is a class found by name in `core/plugins.py` and loaded late; other
packages add theirs as entry points of `podium.executors` (CONTRIBUTING.md shows how)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from ... import plugins
from ...domain.project import ContainerSpec, Project

if TYPE_CHECKING:
    from ..cache import Cache
    from ..graph import PlannedStep


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt at a step. `argv` is never given to a shell by an executor (for a `run:` step it names the shell
    itself).

    `stdin` is a file descriptor to read from, None for nothing. `contained` asks that whatever the command leaves
    running is found and ended.

    What follows is for executors that take the command elsewhere: `base` is the step's key without the executor's
    fingerprint, empty for a step that is never cached; `key` is the whole of it, as far as it was known. `outputs`
    are paths below `cwd`. `directory` is the run's own, `log` the step's log.
    """

    run_id: int
    step: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    stdin: int | None = None
    contained: bool = True
    project: Project | None = None
    container: ContainerSpec | None = None
    attempt: int = 1
    base: str = ""
    key: str = ""
    outputs: tuple[str, ...] = ()
    directory: Path | None = None
    log: Path | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What an executor may look at to know its part of a key. `breathe` is to be called while it waits for anything;
    what that raises ends the wait."""

    project: Project
    root: Path
    store: Cache
    breathe: Callable[[], None]


class Execution(Protocol):
    """A started task. The runner reads the two descriptors until they end, polls after SIGCHLD and now and then, and
    calls nothing else from another thread."""

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
        """End everything that belongs to the task. Called again and again until it has ended."""
        ...

    def findings(self) -> Mapping[str, Any]:
        """After the end: what is known besides the exit code. `error` and `hint` where something else than the
        command failed; `fingerprint` where it was not known before the start, or was another one; the rest becomes
        results of the step."""
        ...


class Executor(Protocol):
    def start(self, task: Task) -> Execution:
        """Start it and return at once. OSError or PodiumError when it cannot be started."""
        ...

    def fingerprint(self, step: PlannedStep, setting: Setting) -> str:
        """What of the executor belongs into the step's key (an image's digest); empty for nothing, or when only the
        start can tell."""
        ...


def load(name: str) -> Executor:
    """Returns an executor of that name. Raises MissingExtra when nothing installed brings it, or it needs something
    that is missing."""
    return cast(Executor, plugins.load("executors", name)())
