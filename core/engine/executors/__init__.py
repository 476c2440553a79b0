"""Where a `run:` step executes. An executor is a class found by name in `core/plugins.py` and loaded late; other
packages add theirs as entry points of `podium.executors` (CONTRIBUTING.md shows how)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from ... import plugins
from ...domain.frozen import Frozen
from ...domain.project import ContainerSpec, Project, StepSpec

if TYPE_CHECKING:
    from ..cache import Cache
    from ..graph import PlannedStep


class Task(Frozen):
    """One attempt at a step, as an executor gets it. Executors that take the command elsewhere need the fields from
    `base` on."""

    run_id: int
    """Number of the run."""
    step: str
    """Full name of the step."""
    argv: Sequence[str]
    """The command; never given to a shell by an executor (for a `run:` step it names the shell itself)."""
    env: Mapping[str, str]
    """Environment variables of the command."""
    cwd: Path
    """Directory in which it starts."""
    stdin: int | None = None
    """File descriptor to read from, None for nothing."""
    contained: bool = True
    """Whether processes that the command leaves running are found and ended."""
    project: Project | None = None
    """The project; None for a built-in step."""
    spec: StepSpec | None = None
    """The step as podium.yaml has it; None for one of Podium's own."""
    container: ContainerSpec | None = None
    """What its container is made from; None for a process."""
    attempt: int = 1
    """Number of the attempt, from 1."""
    base: str = ""
    """The step's key without the executor's fingerprint; empty for a step that is never cached."""
    key: str = ""
    """The whole key, as far as it is known."""
    outputs: tuple[str, ...] = ()
    """Declared outputs, below `cwd`."""
    directory: Path | None = None
    """The run's own directory."""
    log: Path | None = None
    """The step's log."""
    cpus: float | None = None
    """CPUs that a process may use; None for all, and for a step in a container, whose limits `container` has."""
    memory: int | None = None
    """Bytes of memory that it may use, likewise."""
    nice: int = 0
    """How much lower its priority is than that of what serves, as nice(1) counts."""


class ExecutorContext(Frozen):
    """What an executor may use to compute its part of a key. It calls `breathe` while it waits; an exception that
    this raises ends the wait."""

    project: Project
    root: Path
    store: Cache
    breathe: Callable[[], None]


class Execution(Protocol):
    """A started task. The runner reads the two descriptors until they end, polls after SIGCHLD and from time to
    time, and calls nothing from another thread."""

    stdout: int
    stderr: int
    # An execution that SIGCHLD does not tell the end of may also have `wake`: a descriptor that becomes readable when
    # `poll` has something new, or None.

    def poll(self) -> int | None:
        """Returns the exit code once the command has ended (negative: ended by that signal), else None. Never
        blocks."""
        ...

    def leftovers(self) -> int:
        """Returns how many processes the command left running when it ended."""
        ...

    def terminate(self) -> None:
        """Asks everything that belongs to the task to end."""
        ...

    def kill(self) -> None:
        """Ends everything that belongs to the task. Called repeatedly until it has ended."""
        ...

    def findings(self) -> Mapping[str, Any]:
        """Returns, after the end, what is known besides the exit code: `error` and `hint` if something other than
        the command failed; `fingerprint` if it was not known before the start, or has changed; everything else
        becomes results of the step."""
        ...


class Executor(Protocol):
    def start(self, task: Task) -> Execution:
        """Starts the task and returns at once. Raises OSError or PodiumError if it cannot be started."""
        ...

    def fingerprint(self, step: PlannedStep, setting: ExecutorContext) -> str:
        """Returns the executor's part of the step's key (an image's digest); empty for nothing, or if only the start
        can tell."""
        ...


def load(name: str) -> Executor:
    """Returns an executor of that name. Raises MissingExtra when nothing installed brings it, or it needs something
    that is missing."""
    return cast(Executor, plugins.load("executors", name)())
