"""What a built-in step works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..child import tell
from ..domain.frozen import Frozen
from ..domain.project import Project
from ..domain.runs import Run, StepState

if TYPE_CHECKING:
    from ..journal import Journal


class UpstreamStep(Frozen):
    """An earlier step, at any distance. `origin_run` is the run that executed it if the step was restored from the
    cache, else None."""

    name: str
    state: StepState
    results: Mapping[str, Any]
    key: str = ""
    origin_run: int | None = None


@dataclass(slots=True)
class StepContext:
    """The context of a built-in step."""

    project: Project
    """The project, as its podium.yaml describes it for this run."""
    run: Run
    """The run that the step belongs to."""
    step: str
    """Full name of the step."""
    options: Mapping[str, Any]
    """The step's own keys of podium.yaml, with their values filled in."""
    upstream: Mapping[str, UpstreamStep] = field(default_factory=dict[str, UpstreamStep])
    """All earlier steps by name, nearest first."""
    attempt: int = 1
    """Number of the attempt, from 1."""
    _journal: Journal | None = None
    """The journal, opened on first use."""

    @property
    def journal(self) -> Journal:
        if self._journal is None:
            from ..journal import Journal

            self._journal = Journal.open(self.project.state / "journal.db")
        return self._journal

    def log(self, text: str) -> None:
        """Writes a line to the step's log, at once; nowhere if the worker that keeps the log is gone."""
        tell(text)

    def upstream_result(self, key: str, default: Any = None) -> Any:
        """Returns what the nearest earlier step that succeeded reported under `key`."""
        return next(
            (
                step.results[key]
                for step in self.upstream.values()
                if step.state is StepState.SUCCEEDED and key in step.results
            ),
            default,
        )

    @property
    def model(self) -> str:
        """Returns the registered model that the step is about: its option's, else the one that an earlier step
        reported, else the project's."""
        return str(self.options.get("model") or self.upstream_result("model") or self.project.mlflow.model)

    def upstream_version(self, model: str) -> Any:
        """Returns the version of the model that the nearest earlier step which succeeded reported."""
        for step in self.upstream.values():
            of_it = step.state is StepState.SUCCEEDED and step.results.get("model", model) == model
            if of_it and step.results.get("version") is not None:
                return step.results["version"]
        return None

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None


# A built-in step; its answer (JSON) becomes the step's results.
Builtin = Callable[[StepContext], Mapping[str, Any] | None]
