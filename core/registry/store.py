"""What Podium asks of a model registry, whatever stands behind it.

Two implementations answer it: `embedded.py` (MLflow's own client, for a store without a server) and `rest.py`
(httpx, for a tracking server; it never imports MLflow). Both are run through the same tests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..domain.models import MetricPoint, Model, Version


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One MLflow run. Times are seconds since the epoch; `ended` is None while it runs. `models` are the ids (`m-…`)
    of the models that it logged, the last one logged last; `artifact_uri` is where its own artifacts lie."""

    id: str
    experiment_id: str
    status: str
    started: float
    ended: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    artifact_uri: str = ""
    models: tuple[str, ...] = ()


class Registry(Protocol):
    """Every method raises Unreachable when the store does not answer, and NotFound when what was named does not
    exist."""

    def versions(self, model: str, *, known: Sequence[Version] = ()) -> list[Version]:
        """All versions, newest first, with the metrics, params and tags of their MLflow runs. An unknown model has
        none.

        `known` are versions read before: their runs' figures are taken over without asking again, but for the newest
        few.
        """
        ...

    def version(self, model: str, number: int) -> Version: ...

    def models(self) -> list[Model]: ...

    def register(self, model: str, mlflow_run: str, *, tags: Mapping[str, str], description: str = "") -> Version:
        """Makes a version of what the MLflow run logged; returns the one that exists if the run's model was
        registered before, with the tags added that it did not have."""
        ...

    def aliases(self, model: str) -> dict[str, int]: ...

    def set_alias(self, model: str, alias: str, number: int) -> None: ...

    def delete_alias(self, model: str, alias: str) -> None: ...

    def set_tag(self, model: str, number: int, key: str, value: str) -> None: ...

    def log_report(self, mlflow_run: str, name: str, text: str) -> None:
        """Keeps `text` as the artifact `name` (a relative path) of the MLflow run."""
        ...

    def run(self, mlflow_run: str) -> TrackedRun: ...

    def find_runs(self, experiment: str, keys: Collection[str]) -> list[TrackedRun]:
        """The finished MLflow runs of `experiment` whose tag `podium.key` is one of `keys`, newest first."""
        ...

    def metric_history(self, mlflow_run: str, metric: str) -> list[MetricPoint]:
        """Every logged value, by step and then by time."""
        ...

    def fetch(self, model: str, number: int, dest: Path) -> str:
        """Brings the version's files to `dest` (whole or not at all) and returns their digest `sha256:…`. Nothing
        happens when they are there."""
        ...

    def close(self) -> None: ...


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite tracking URI, or None for any other store."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
