"""The interface of a model registry. It has two implementations: `embedded.py` (MLflow's own client, for a store
without a server) and `rest.py` (httpx, for a tracking server; it never imports MLflow). The same tests check both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol

from ..domain.frozen import Frozen
from ..domain.models import MetricPoint, Model, Version

# MLflow's tag of a logged dataset that says what it was for, such as training.
TAG_CONTEXT = "mlflow.data.context"


class LoggedDataset(Frozen):
    """A dataset that a run logged as its input. `source` is MLflow's JSON, such as `{"uri": "data/train.parquet"}` for
    the `kind` local."""

    name: str
    context: str
    digest: str
    """At most 36 characters; MLflow takes no more."""
    kind: str
    source: str
    profile: str = ""
    """What else is known of it, as JSON; written, and not read again."""


class TrackedRun(Frozen):
    """One MLflow run. Times are seconds since the epoch."""

    id: str
    """MLflow's id of the run."""
    experiment_id: str
    """The id of its experiment."""
    status: str
    """MLflow's status, such as FINISHED."""
    started: float
    """When it started."""
    ended: float | None = None
    """When it ended; None while it runs."""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """The last value of each metric."""
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    """The parameters."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """All tags, MLflow's own included."""
    artifact_uri: str = ""
    """Where the run's own artifacts are."""
    experiment: str = ""
    """The experiment's name, where the run was searched for (`find_runs`)."""
    models: tuple[str, ...] = ()
    """The ids (`m-…`) of the models that it logged, the last one last."""
    datasets: tuple[LoggedDataset, ...] = ()
    """The datasets that it logged as inputs."""


class Registry(Protocol):
    """A model registry. Every method raises Unreachable if the store does not answer, and NotFound if a named object
    does not exist."""

    def versions(self, model: str, *, known: Sequence[Version] = ()) -> list[Version]:
        """Returns all versions, newest first, with the metrics, params and tags of their MLflow runs; none for an
        unknown model.

        `known` holds versions read before: their runs' figures are reused without asking again, except for the
        newest few.
        """
        ...

    def version(self, model: str, number: int) -> Version: ...

    def models(self) -> list[Model]: ...

    def register(self, model: str, mlflow_run: str, *, tags: Mapping[str, str], description: str = "") -> Version:
        """Registers the model that the MLflow run logged. Returns the existing version if the run's model was
        registered before, and adds the tags that it lacks."""
        ...

    def aliases(self, model: str) -> dict[str, int]: ...

    def set_alias(self, model: str, alias: str, number: int) -> None: ...

    def delete_alias(self, model: str, alias: str) -> None: ...

    def set_tag(self, model: str, number: int, key: str, value: str) -> None: ...

    def log_report(self, mlflow_run: str, name: str, text: str) -> None:
        """Saves `text` as the artifact `name` (a relative path) of the MLflow run."""
        ...

    def log_dataset(self, mlflow_run: str, dataset: LoggedDataset) -> None:
        """Notes a dataset as an input of the MLflow run, as `mlflow.log_input` does. One of this name and digest that
        the run has already stays as it is."""
        ...

    def run(self, mlflow_run: str) -> TrackedRun: ...

    def find_runs(self, experiment: str, keys: Collection[str]) -> list[TrackedRun]:
        """Returns the finished MLflow runs whose tag `podium.key` is in `keys`, newest first: those of `experiment`,
        and for a key without any there, those of all other experiments."""
        ...

    def metric_history(self, mlflow_run: str, metric: str) -> list[MetricPoint]:
        """Returns every logged value, by step and then by time."""
        ...

    def fetch(self, model: str, number: int, dest: Path) -> str:
        """Copies the version's files to `dest` (completely or not at all) and returns their digest `sha256:…`. Does
        nothing if they are already there."""
        ...

    def close(self) -> None: ...


def sqlite_file(uri: str) -> Path | None:
    """Returns the file of a SQLite tracking URI; None for any other store."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
