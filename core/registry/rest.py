"""The registry of a tracking server, over its REST API. It does not import MLflow, which alone would cost seconds
(benchmarks/versions.py)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..beneath import Directory, copy_tree
from ..domain.curves import Artifact
from ..domain.models import TAG_KEY, TAG_RUN, MetricPoint, Model, Version
from ..domain.project import Mlflow
from ..errors import NotFound, Refused, Unreachable
from ..http_client import escaped, printable
from . import answers, files, records
from .http import TrackingServer, artifact_path
from .records import VersionRecord
from .store import TAG_CONTEXT, LoggedDataset, TrackedRun

API = "/api/2.0/mlflow"
_OF_REGISTRY = (f"{API}/registered-models/", f"{API}/model-versions/")
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PAGE_SIZE = 1000
HISTORY_PAGE_SIZE = 10_000
MAX_PAGES = 1000


class RestRegistry:
    """Implements store.Registry. Not for use by several threads at once."""

    def __init__(self, mlflow: Mlflow, state: Path, environ: Mapping[str, str] | None = None) -> None:
        self._mlflow = mlflow
        self._server = TrackingServer(mlflow.tracking_uri, environ)
        # Of models and versions; runs, logged models and files are the other one's.
        self._registry = TrackingServer(mlflow.registry_uri, environ) if mlflow.registry_uri else self._server
        self._experiments: dict[str, str | None] = {}

    def close(self) -> None:
        self._server.close()
        if self._registry is not self._server:
            self._registry.close()

    # -- reading
    # ----------------------------------------------------------------------------------------------------------------

    def versions(self, model: str, *, known: Sequence[Version] = ()) -> list[Version]:
        try:
            aliases = self.aliases(model)
        except NotFound:
            return []
        query = {
            "filter": f"name={records.quoted(model)}",
            "order_by": ["version_number DESC"],
            "max_results": PAGE_SIZE,
        }
        found = list(map(answers.version_record, self._pages(f"{API}/model-versions/search", query, "model_versions")))
        return records.assemble(found, aliases, known, self._runs)

    def version(self, model: str, number: int) -> Version:
        item = answers.part(
            self._registry.get(f"{API}/model-versions/get", {"name": model, "version": str(number)}), "model_version"
        )
        record = answers.version_record(item)
        aliases = dict.fromkeys(answers.texts(item, "aliases"), number)
        return records.version_from(
            record, self._runs([record.mlflow_run]).get(record.mlflow_run) if record.mlflow_run else None, aliases
        )

    def models(self) -> list[Model]:
        found: list[Model] = []
        for item in self._pages(f"{API}/registered-models/search", {"max_results": PAGE_SIZE}, "registered_models"):
            latest = [answers.whole(version, "version", None) for version in answers.parts(item, "latest_versions")]
            found.append(
                Model(
                    name=answers.text(item, "name"),
                    versions=self._count(answers.text(item, "name")),
                    latest=max(latest, default=None),
                    aliases=answers.aliases(item),
                    updated=answers.seconds(item, "last_updated_timestamp"),
                )
            )
        return found

    def aliases(self, model: str) -> dict[str, int]:
        found = self._registry.get(f"{API}/registered-models/get", {"name": model})
        return answers.aliases(answers.part(found, "registered_model"))

    def run(self, mlflow_run: str) -> TrackedRun:
        return answers.tracked_run(answers.part(self._server.get(f"{API}/runs/get", {"run_id": mlflow_run}), "run"))

    def find_runs(self, experiment: str, keys: Collection[str]) -> list[TrackedRun]:
        number = self._experiment(experiment)
        own = None if number is None else (number, experiment)

        def others() -> Iterator[tuple[str, str]]:
            query = {"max_results": PAGE_SIZE, "order_by": ["last_update_time DESC"]}
            for item in self._posted(f"{API}/experiments/search", query, "experiments"):
                if answers.text(item, "experiment_id") != number:
                    yield answers.text(item, "experiment_id"), answers.text(item, "name")

        return records.runs_by_key(keys, own, others, self._search_runs)

    def runs_of(self, experiment: str, run_id: int, keys: Collection[str]) -> list[TrackedRun]:
        """Returns the MLflow runs that the steps with these keys started in a run of Podium's, finished or not: those
        of `experiment`, and only without any there those of all others."""
        wanted = f"tags.`{TAG_RUN}` = {records.quoted(str(run_id))}"

        def here(experiments: Sequence[str]) -> list[TrackedRun]:
            return [each for each in self._search_runs(experiments, wanted) if each.tags.get(TAG_KEY) in keys]

        own = self._experiment(experiment)
        found = here([own]) if own is not None else []
        if found:
            return found
        query = {"max_results": PAGE_SIZE, "order_by": ["last_update_time DESC"]}
        items = self._posted(f"{API}/experiments/search", query, "experiments")
        others = [answers.text(item, "experiment_id") for item in items]
        return [each for batch in records.batches(others, records.EXPERIMENT_BATCH) for each in here(batch)]

    def artifacts(self, root: str, most: int) -> list[Artifact]:
        """Returns the files below a run's artifacts, by name; at most `most`."""
        found: list[Artifact] = []
        waiting = [""]
        below = self._served(root)
        while waiting and len(found) < most:
            sub = waiting.pop(0)
            listing = self._server.get(ARTIFACTS, {"path": f"{below}/{sub}" if sub else below})
            for item in answers.parts(listing, "files"):
                name = files.safe_relative(answers.text(item, "path")).name
                path = files.safe_relative(f"{sub}/{name}" if sub else name).as_posix()
                if item.get("is_dir"):
                    waiting.append(path)
                else:
                    found.append(Artifact(path, answers.whole(item, "file_size") if "file_size" in item else None))
        return sorted(found, key=lambda each: each.path)[:most]

    def artifact(self, root: str, path: str, most: int) -> bytes:
        """Returns the first `most` bytes of a run's artifact."""
        into = files.Beginning(most)
        with suppress(files.Full):
            self._server.download(f"{ARTIFACTS}/{escaped(f'{self._served(root)}/{path}')}", into, None)
        return into.getvalue()

    def _served(self, root: str) -> str:
        """Returns where a run's artifacts are below the server's artifact service. Raises Refused for another store."""
        below = artifact_path(root)
        if below is None:
            raise Refused(
                f"the files are at {printable(root, 150)}, which the server does not hand out",
                hint="start it with --serve-artifacts, or fetch them with `mlflow artifacts download`",
            )
        return below

    def metric_history(self, mlflow_run: str, metric: str) -> list[MetricPoint]:
        query = {"run_id": mlflow_run, "metric_key": metric, "max_results": HISTORY_PAGE_SIZE}
        points = map(answers.metric_point, self._pages(f"{API}/metrics/get-history", query, "metrics"))
        return sorted(points, key=lambda point: (point.step, point.at))

    # -- writing
    # ----------------------------------------------------------------------------------------------------------------

    def register(self, model: str, mlflow_run: str, *, tags: Mapping[str, str], description: str = "") -> Version:
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
        with suppress(Refused):  # it exists, which is what we want
            self._registry.post(f"{API}/registered-models/create", {"name": model})
        body: dict[str, Any] = {
            "name": model,
            "source": source,
            "run_id": run.id,
            "tags": _pairs(tags),
            "description": description,
        }
        if logged:
            body["model_id"] = logged
        made = answers.part(self._registry.post(f"{API}/model-versions/create", body), "model_version")
        return self.version(model, answers.whole(made, "version", None))

    def set_alias(self, model: str, alias: str, number: int) -> None:
        self._registry.post(
            f"{API}/registered-models/alias", {"name": model, "alias": alias, "version": str(number)}, retry=True
        )

    def delete_alias(self, model: str, alias: str) -> None:
        self._registry.post(
            f"{API}/registered-models/alias", {"name": model, "alias": alias}, method="DELETE", retry=True
        )

    def set_tag(self, model: str, number: int, key: str, value: str) -> None:
        self._registry.post(
            f"{API}/model-versions/set-tag",
            {"name": model, "version": str(number), "key": key, "value": value},
            retry=True,
        )

    def log_dataset(self, mlflow_run: str, dataset: LoggedDataset) -> None:
        if any((each.name, each.digest) == (dataset.name, dataset.digest) for each in self.run(mlflow_run).datasets):
            return
        noted = {
            "name": dataset.name,
            "digest": dataset.digest,
            "source_type": dataset.kind,
            "source": dataset.source,
            "profile": dataset.profile,
        }
        tags = [{"key": TAG_CONTEXT, "value": dataset.context}]
        self._server.post(
            f"{API}/runs/log-inputs",
            {"run_id": mlflow_run, "datasets": [{"dataset": noted, "tags": tags}]},
            retry=True,
        )

    def log_report(self, mlflow_run: str, name: str, text: str) -> None:
        relative = files.safe_relative(name).as_posix()
        root = self.run(mlflow_run).artifact_uri
        below = artifact_path(root)
        if below is not None:
            self._server.put_bytes(
                f"{ARTIFACTS}/{escaped(f'{below}/{relative}')}", text.encode(), "text/plain; charset=utf-8"
            )
            return
        named = files.named_directory(root, self._mlflow.artifacts)
        if named is not None:
            top, inside = named
            with Directory.open(top) as store:
                parent, last = store.parent(f"{inside}/{relative}", make=True)
                with parent:
                    parent.remove(last)
                    with parent.create(last, 0o644) as file:
                        file.write(text.encode())
            return
        self._client().log_report(mlflow_run, name, text)

    # -- files
    # ----------------------------------------------------------------------------------------------------------------

    def fetch(self, model: str, number: int, dest: Path) -> str:
        already = files.present(dest)
        return already or files.bring(dest, lambda into: self._download(self._location(model, number), into))

    def _download(self, uri: str, into: Path) -> None:
        below = artifact_path(uri)
        if below is not None:
            self._download_tree(below, "", into)
            return
        named = files.named_directory(uri, self._mlflow.artifacts)
        if named is not None:
            with Directory.open(named[0]) as store, store.below(named[1]) as found, Directory.open(into) as dest:
                copy_tree(found, dest)
            return
        self._client().download(uri, into)

    def _download_tree(self, root: str, sub: str, into: Path) -> None:
        with Directory.open(into) as dest:
            self._download_below(files.safe_relative(root).as_posix(), sub, dest)

    def _download_below(self, root: str, sub: str, dest: Directory) -> None:
        listing = self._server.get(ARTIFACTS, {"path": f"{root}/{sub}" if sub else root})
        for item in answers.parts(listing, "files"):
            name = files.safe_relative(answers.text(item, "path")).name
            path = files.safe_relative(f"{sub}/{name}" if sub else name).as_posix()
            if item.get("is_dir"):
                dest.below(path, make=True, links=False).close()
                self._download_below(root, path, dest)
                continue
            size = answers.whole(item, "file_size") if "file_size" in item else None
            parent, last = dest.parent(path, make=True, links=False)
            with parent, parent.create(last) as file:
                self._server.download(f"{ARTIFACTS}/{escaped(f'{root}/{path}')}", file, size)

    def _location(self, model: str, number: int) -> str:
        """Returns where the files of a version are, following MLflow's own indirections (`models:/m-…`, `runs:/…`)."""
        named = {"name": model, "version": str(number)}
        uri = answers.text(self._registry.get(f"{API}/model-versions/get-download-uri", named), "artifact_uri")
        scheme, _, rest = uri.partition(":/")
        if scheme == "models":
            return self._logged(rest.strip("/"))[1]
        if scheme == "runs":
            run, _, path = rest.strip("/").partition("/")
            return records.place_of(self.run(run), path, self._logged)
        return uri

    def _logged(self, model_id: str) -> records.LoggedModel:
        found = self._server.get(f"{API}/logged-models/{escaped(model_id)}")
        info = answers.part(answers.part(found, "model"), "info")
        return answers.text(info, "name"), answers.text(info, "artifact_uri")

    def _client(self) -> Any:
        """Returns MLflow's own client, for artifacts in a store that the server does not proxy, such as a bucket."""
        from .embedded import EmbeddedRegistry

        return EmbeddedRegistry(self._mlflow, Path())

    # -- helpers
    # ----------------------------------------------------------------------------------------------------------------

    def _pages(self, path: str, query: Mapping[str, Any], field: str) -> Iterator[Mapping[str, Any]]:
        server = self._registry if path.startswith(_OF_REGISTRY) else self._server
        yield from self._paged(server, lambda token: server.get(path, {**query, **token}), path, field)

    def _posted(self, path: str, body: Mapping[str, Any], field: str) -> Iterator[Mapping[str, Any]]:
        server = self._server
        yield from self._paged(server, lambda token: server.post(path, {**body, **token}, retry=True), path, field)

    def _paged(
        self, server: TrackingServer, ask: Callable[[Mapping[str, str]], dict[str, Any]], path: str, field: str
    ) -> Iterator[Mapping[str, Any]]:
        token: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            answer = ask(token)
            yield from answers.parts(answer, field)
            following = answers.text(answer, "next_page_token")
            if not following or token.get("page_token") == following:
                return
            token = {"page_token": following}
        raise Unreachable(f"{server.name} never ended its answer to {printable(path)}", hint="read the server's log")

    def _count(self, model: str) -> int:
        query = {"filter": f"name={records.quoted(model)}", "max_results": PAGE_SIZE}
        return sum(1 for _ in self._pages(f"{API}/model-versions/search", query, "model_versions"))

    def _experiment(self, name: str) -> str | None:
        if name not in self._experiments:
            try:
                found = self._server.get(f"{API}/experiments/get-by-name", {"experiment_name": name})
                item = answers.part(found, "experiment")
                active = answers.text(item, "lifecycle_stage") == "active"
                self._experiments[name] = answers.text(item, "experiment_id") or None if active else None
            except NotFound:
                return None
        return self._experiments[name]

    def _runs(self, ids: Sequence[str]) -> dict[str, TrackedRun]:
        def search(experiment: str, batch: Sequence[str]) -> list[TrackedRun]:
            listed = ", ".join(records.quoted(run_id) for run_id in batch)
            return self._search_runs([experiment], f"attributes.run_id IN ({listed})")

        return records.collect_runs(ids, self._experiment(self._mlflow.experiment), search, self.run)

    def _search_runs(self, experiments: Sequence[str], wanted: str) -> list[TrackedRun]:
        body = {
            "experiment_ids": list(experiments),
            "filter": wanted,
            "max_results": PAGE_SIZE,
            "order_by": ["attributes.start_time DESC"],
        }
        return [answers.tracked_run(item) for item in self._posted(f"{API}/runs/search", body, "runs")]

    def _registered(self, model: str, run_id: str, source: str) -> VersionRecord | None:
        query = {"filter": f"run_id={records.quoted(run_id)}", "max_results": PAGE_SIZE}
        for record in map(answers.version_record, self._pages(f"{API}/model-versions/search", query, "model_versions")):
            if record.model == model and record.source == source:
                return record
        return None


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
