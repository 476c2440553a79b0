"""The registry of a store without a server (SQLite, another database, a directory), through MLflow's own client.
Importing this module is cheap; the first call imports MLflow, which takes seconds. Front ends therefore read the
journal's snapshot (snapshot.py), and only child processes use this module."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..domain.models import MetricPoint, Model, Version
from ..domain.project import Mlflow
from ..errors import MissingExtra, NotFound, PodiumError, Refused, Unreachable, UsageError
from ..http_client import printable, shown
from . import files, records
from .records import VersionRecord
from .store import TAG_CONTEXT, LoggedDataset, TrackedRun, sqlite_file

PAGE_SIZE = 1000

# MLflow's own retries may last more than an hour. Values that the user set are kept.
_MLFLOW_LIMITS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "300",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

_OTHER_SCHEMA = re.compile(r"(?:found version |Can't locate revision identified by ')([0-9A-Za-z_]+)")


@contextmanager
def translated(uri: str) -> Generator[None, None, None]:
    """Turns every error of MLflow and the database into a Podium error with a hint."""
    try:
        yield
    except PodiumError:
        raise
    except ImportError as error:
        raise MissingExtra(
            f"the MLflow store needs a package that is missing: {error}", hint="install it beside Podium"
        ) from error
    except Exception as error:
        code = str(getattr(error, "error_code", ""))
        words = printable(str(error).partition("\n")[0]) or type(error).__name__
        if code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
            raise NotFound(words, hint="run `podium models` to list the registry's models") from error
        if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"):
            raise UsageError(f"MLflow does not accept this: {words}") from error
        hint = "check mlflow.tracking_uri in podium.yaml, and that the store can be read and written"
        hint = _hint_of_schema(str(error), uri) or hint
        raise Unreachable(f"the MLflow store {shown(uri)} cannot be used: {words}", hint=hint) from error


def _hint_of_schema(words: str, uri: str) -> str:
    """Returns what to do about a store that was made by another MLflow; empty for other errors. MLflow calls each of
    them out of date, and advises an upgrade that fails where the store is the newer one."""
    found = _OTHER_SCHEMA.search(words)
    if found is None:
        return ""
    import mlflow

    versions = Path(mlflow.__file__).with_name("store") / "db_migrations" / "versions"
    if any(versions.glob(f"{found[1]}_*.py")):
        return f"the store was made by an older MLflow: back it up, then run `mlflow db upgrade {shown(uri)}`"
    return f"the store was made by a newer MLflow than {mlflow.__version__} here: upgrade it (`pip install -U mlflow`)"


def connected(uri: str, registry: str = "") -> Any:
    """Returns an MlflowClient for a store, and for models another one if it is named, with MLflow's output silenced and
    its retries shortened. Sets the process's global tracking URI, because MLflow's SQL registry uses it
    to find logged models."""
    for name, value in _MLFLOW_LIMITS.items():
        os.environ.setdefault(name, value)
    registry = registry or uri
    for each in dict.fromkeys((uri, registry)):
        _probe(each)
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(registry)
    return mlflow.MlflowClient(uri, registry)


def _probe(uri: str) -> None:
    """Opens the store once without retries: MLflow itself retries for many minutes before it reports that a database
    cannot be opened."""
    path = sqlite_file(uri)
    if path is not None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=5.0)
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        finally:
            connection.close()
        if tables and not tables & {"alembic_version", "experiments"}:
            # A step in a container may leave a link there, to the journal for one: MLflow would make it its own.
            raise Refused(
                f"{path} is a database of something else than MLflow", hint="remove it, or name another store"
            )
    elif "://" in uri and not uri.startswith(("http://", "https://", "file://")):
        import sqlalchemy

        arguments = {"connect_timeout": 5} if uri.startswith(("postgresql", "mysql")) else {}
        engine = sqlalchemy.create_engine(uri, connect_args=arguments)
        try:
            engine.connect().close()
        finally:
            engine.dispose()


class EmbeddedRegistry:
    """Implements store.Registry."""

    def __init__(self, mlflow: Mlflow, state: Path) -> None:
        self._mlflow = mlflow
        self._uri = mlflow.tracking_uri
        self._made: Any = None

    def close(self) -> None:
        self._made = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = connected(self._uri, self._mlflow.registry_uri)
        return self._made

    # -- reading
    # ----------------------------------------------------------------------------------------------------------------

    def versions(self, model: str, *, known: Sequence[Version] = ()) -> list[Version]:
        with translated(self._uri):
            try:
                aliases = self.aliases(model)
            except NotFound:
                return []
            return records.assemble(
                [_record(item) for item in self._search_versions(f"name={records.quoted(model)}")],
                aliases,
                known,
                self._runs,
            )

    def version(self, model: str, number: int) -> Version:
        with translated(self._uri):
            item = self._client.get_model_version(model, str(number))
            record = _record(item)
            runs = self._runs([record.mlflow_run]) if record.mlflow_run else {}
            return records.version_from(
                record, runs.get(record.mlflow_run), {str(alias): record.number for alias in item.aliases}
            )

    def models(self) -> list[Model]:
        with translated(self._uri):
            found: list[Model] = []
            for item in _all(
                lambda token: self._client.search_registered_models(max_results=PAGE_SIZE, page_token=token)
            ):
                numbers = [
                    int(version.version) for version in self._search_versions(f"name={records.quoted(str(item.name))}")
                ]
                aliases = {str(alias): int(number) for alias, number in item.aliases.items()}
                found.append(
                    Model(
                        name=str(item.name),
                        versions=len(numbers),
                        latest=max(numbers, default=None),
                        aliases=aliases,
                        updated=_seconds(item.last_updated_timestamp),
                    )
                )
            return found

    def aliases(self, model: str) -> dict[str, int]:
        with translated(self._uri):
            return {
                str(alias): int(number) for alias, number in self._client.get_registered_model(model).aliases.items()
            }

    def run(self, mlflow_run: str) -> TrackedRun:
        with translated(self._uri):
            return _run(self._client.get_run(mlflow_run))

    def find_runs(self, experiment: str, keys: Collection[str]) -> list[TrackedRun]:
        with translated(self._uri):
            number = self._experiment(experiment)
            own = None if number is None else (number, experiment)

            def others() -> Iterator[tuple[str, str]]:
                order = ["last_update_time DESC"]
                for item in _all(
                    lambda token: self._client.search_experiments(
                        max_results=PAGE_SIZE, order_by=order, page_token=token
                    )
                ):
                    if str(item.experiment_id) != number:
                        yield str(item.experiment_id), str(item.name)

            return records.runs_by_key(keys, own, others, self._search_runs)

    def metric_history(self, mlflow_run: str, metric: str) -> list[MetricPoint]:
        with translated(self._uri):
            points = [
                MetricPoint(step=int(item.step), at=_seconds(item.timestamp), value=float(item.value))
                for item in self._client.get_metric_history(mlflow_run, metric)
            ]
            return sorted(points, key=lambda point: (point.step, point.at))

    # -- writing
    # ----------------------------------------------------------------------------------------------------------------

    def register(self, model: str, mlflow_run: str, *, tags: Mapping[str, str], description: str = "") -> Version:
        with translated(self._uri):
            run = self.run(mlflow_run)
            source, logged = records.source_of(run)
            if self._mlflow.registry_uri:
                source, logged = records.elsewhere(run, self._logged), ""
            existing = self._registered(model, run.id, source)
            if existing is not None:
                for key, value in tags.items():
                    if key not in existing.tags:  # what is known about its origin stays
                        self.set_tag(model, existing.number, key, value)
                return self.version(model, existing.number)
            self._ensure_model(model)
            made = self._client.create_model_version(
                model,
                source,
                run_id=run.id,
                tags=dict(tags),
                description=description,
                model_id=logged or None,
                await_creation_for=30,
            )
            return self.version(model, int(made.version))

    def set_alias(self, model: str, alias: str, number: int) -> None:
        with translated(self._uri):
            self._client.set_registered_model_alias(model, alias, str(number))

    def delete_alias(self, model: str, alias: str) -> None:
        with translated(self._uri):
            self._client.delete_registered_model_alias(model, alias)

    def set_tag(self, model: str, number: int, key: str, value: str) -> None:
        with translated(self._uri):
            self._client.set_model_version_tag(model, str(number), key, value)

    def log_report(self, mlflow_run: str, name: str, text: str) -> None:
        relative = files.safe_relative(name).as_posix()
        with translated(self._uri):
            self._client.log_text(mlflow_run, text, relative)

    def log_dataset(self, mlflow_run: str, dataset: LoggedDataset) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if any((each.name, each.digest) == (dataset.name, dataset.digest) for each in self.run(mlflow_run).datasets):
            return
        noted = Dataset(dataset.name, dataset.digest, dataset.kind, dataset.source, profile=dataset.profile or None)
        with translated(self._uri):
            self._client.log_inputs(
                mlflow_run, datasets=[DatasetInput(noted, tags=[InputTag(TAG_CONTEXT, dataset.context)])]
            )

    # -- files
    # ----------------------------------------------------------------------------------------------------------------

    def fetch(self, model: str, number: int, dest: Path) -> str:
        already = files.present(dest)
        return already or files.bring(dest, lambda into: self.download(self._location(model, number), into))

    def download(self, uri: str, into: Path) -> None:
        """Copies the files at `uri`, in any store that MLflow can reach, into the directory `into`."""
        local = files.local_path(uri)
        if local is not None:
            files.copy_tree(local, into)
            return
        with translated(self._uri):
            os.environ["MLFLOW_TRACKING_URI"] = self._uri
            assert self._client is not None
            from mlflow.artifacts import download_artifacts

            with tempfile.TemporaryDirectory(dir=into.parent) as holder:
                got = Path(download_artifacts(artifact_uri=uri, dst_path=holder, tracking_uri=self._uri))
                files.copy_tree(got, into)

    # -- helpers
    # ----------------------------------------------------------------------------------------------------------------

    def _location(self, model: str, number: int) -> str:
        with translated(self._uri):
            uri = str(self._client.get_model_version_download_uri(model, str(number)))
            scheme, _, rest = uri.partition(":/")
            if scheme == "models":
                return self._logged(rest.strip("/"))[1]
            if scheme == "runs":
                run, _, path = rest.strip("/").partition("/")
                return records.place_of(self.run(run), path, self._logged)
            return uri

    def _logged(self, model_id: str) -> records.LoggedModel:
        found = self._client.get_logged_model(model_id)
        return str(found.name), str(found.artifact_location)

    def _ensure_model(self, model: str) -> None:
        try:
            self._client.create_registered_model(model)
        except Exception as error:
            if str(getattr(error, "error_code", "")) != "RESOURCE_ALREADY_EXISTS":
                raise

    def _search_versions(self, wanted: str) -> Iterator[Any]:
        return _all(lambda token: self._client.search_model_versions(wanted, max_results=PAGE_SIZE, page_token=token))

    def _search_runs(self, experiments: Sequence[str], wanted: str) -> Iterator[TrackedRun]:
        order = ["attributes.start_time DESC"]
        items = _all(
            lambda token: self._client.search_runs(
                list(experiments), wanted, max_results=PAGE_SIZE, order_by=order, page_token=token
            )
        )
        return map(_run, items)

    def _experiment(self, name: str) -> str | None:
        item = self._client.get_experiment_by_name(name)
        return str(item.experiment_id) if item is not None and item.lifecycle_stage == "active" else None

    def _runs(self, ids: Sequence[str]) -> dict[str, TrackedRun]:
        def search(experiment: str, batch: Sequence[str]) -> Iterator[TrackedRun]:
            listed = ", ".join(records.quoted(run_id) for run_id in batch)
            return self._search_runs([experiment], f"attributes.run_id IN ({listed})")

        return records.collect_runs(ids, self._experiment(self._mlflow.experiment), search, self.run)

    def _registered(self, model: str, run_id: str, source: str) -> VersionRecord | None:
        for record in map(_record, self._search_versions(f"run_id={records.quoted(run_id)}")):
            if record.model == model and record.source == source:
                return record
        return None


def _all(page: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        items = page(token)
        yield from items
        token = getattr(items, "token", None)
        if not token:
            return


def _seconds(milliseconds: Any) -> float:
    return int(milliseconds or 0) / 1000


def _record(item: Any) -> VersionRecord:
    tags: dict[str, str] = item.tags or {}
    return VersionRecord(
        model=str(item.name),
        number=int(item.version),
        created=_seconds(item.creation_timestamp),
        status=str(item.status or "READY"),
        mlflow_run=str(item.run_id or ""),
        source=str(item.source or ""),
        description=str(item.description or ""),
        tags={str(key): str(value) for key, value in tags.items()},
    )


def _run(item: Any) -> TrackedRun:
    logged: list[Any] = list(item.outputs.model_outputs) if item.outputs else []
    outputs = sorted(logged, key=lambda output: int(output.step or 0))
    return TrackedRun(
        id=str(item.info.run_id),
        experiment_id=str(item.info.experiment_id),
        status=str(item.info.status),
        started=_seconds(item.info.start_time),
        ended=_seconds(item.info.end_time) if item.info.end_time else None,
        metrics={str(key): float(value) for key, value in item.data.metrics.items()},
        params={str(key): str(value) for key, value in item.data.params.items()},
        tags={str(key): str(value) for key, value in item.data.tags.items()},
        artifact_uri=str(item.info.artifact_uri or ""),
        models=tuple(str(output.model_id) for output in outputs),
        datasets=tuple(_dataset(entry) for entry in (item.inputs.dataset_inputs if item.inputs else ())),
    )


def _dataset(entry: Any) -> LoggedDataset:
    found = entry.dataset
    context = next((str(tag.value) for tag in entry.tags or () if tag.key == TAG_CONTEXT), "")
    return LoggedDataset(
        str(found.name or ""), context, str(found.digest or ""), str(found.source_type or ""), str(found.source or "")
    )
