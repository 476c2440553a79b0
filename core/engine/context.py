"""What a built-in step is given to work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..domain.project import Project
from ..domain.runs import Run, StepState

if TYPE_CHECKING:
    from ..journal import Journal


@dataclass(frozen=True, slots=True)
class Upstream:
    """A step before this one, however far. `origin_run` is the run that did the work when the step was restored from
    the cache, else None."""

    name: str
    state: StepState
    results: Mapping[str, Any]
    key: str = ""
    origin_run: int | None = None


@dataclass(slots=True)
class StepContext:
    """`options` are the step's own keys of podium.yaml, filled in. `upstream` has all ancestors by name, nearest
    first."""

    project: Project
    run: Run
    step: str
    options: Mapping[str, Any]
    upstream: Mapping[str, Upstream] = field(default_factory=dict[str, Upstream])
    attempt: int = 1
    _journal: Journal | None = None

    @property
    def journal(self) -> Journal:
        if self._journal is None:
            from ..journal import Journal

            self._journal = Journal.open(self.project.state / "journal.db")
        return self._journal

    def log(self, text: str) -> None:
        """A line into the step's log, at once."""
        print(text, flush=True)

    def upstream_result(self, key: str, default: Any = None) -> Any:
        """What the nearest ancestor that succeeded reported under `key`."""
        return next(
            (
                step.results[key]
                for step in self.upstream.values()
                if step.state is StepState.SUCCEEDED and key in step.results
            ),
            default,
        )

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None


# A built-in step; its answer (JSON) becomes the step's results.
Builtin = Callable[[StepContext], Mapping[str, Any] | None]
