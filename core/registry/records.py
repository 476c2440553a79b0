"""Turns MLflow's records into Podium's own types, for both implementations of the registry."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypeVar, cast

from ..domain.frozen import Frozen
from ..domain.models import TAG_COMMIT, TAG_DIGEST, TAG_KEY, TAG_RUN, TAG_VERDICT, Version
from ..domain.verdicts import Verdict
from ..errors import UNREADABLE, NotFound, UsageError
from ..http_client import printable
from .store import TrackedRun

T = TypeVar("T")

# A run's figures may still change for a while after it was registered, so the newest are always asked for again.
FRESH_VERSIONS = 20
FRESH_SECONDS = 24 * 3600.0

# Run ids in one search. Well under SQLite's limit of bound variables, and the answer stays under a few MB.
RUN_BATCH = 500
# Experiments in one search.
EXPERIMENT_BATCH = 100

# Tags of MLflow's own that a person wants to see; the rest (`mlflow.log-model.history` and its like) is noise of up to
# 8 kB each.
_KEPT_MLFLOW_TAGS = frozenset({"mlflow.runName", "mlflow.user", "mlflow.source.name", "mlflow.source.git.commit"})


class VersionRecord(Frozen):
    """A model version as the registry stores it, before its run's figures are added."""

    model: str
    """The name of the registered model."""
    number: int
    """The version's number."""
    created: float
    """Seconds since the epoch."""
    status: str
    """MLflow's status, such as READY."""
    mlflow_run: str
    """The id of the MLflow run that logged it; empty if unknown."""
    source: str
    """The URI of its files."""
    description: str = ""
    """The version's description."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """The version's own tags."""


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith("mlflow.") or key in _KEPT_MLFLOW_TAGS}


def number_or_none(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None  # as many as 64 bits hold


def verdict_of(text: str) -> Verdict | None:
    try:
        return Verdict(text)
    except ValueError:
        return None


def version_from(record: VersionRecord, run: TrackedRun | None, aliases: Mapping[str, int]) -> Version:
    """Returns the version with its run's figures. A tag of the version wins over the same tag of its run."""
    tags = {**(kept_tags(run.tags) if run else {}), **kept_tags(record.tags)}
    return Version(
        model=record.model,
        version=record.number,
        created=record.created,
        status=record.status,
        aliases=tuple(sorted(alias for alias, number in aliases.items() if number == record.number)),
        mlflow_run=record.mlflow_run,
        source=record.source,
        commit=tags.get(TAG_COMMIT, "") or tags.get("mlflow.source.git.commit", ""),
        run_id=number_or_none(tags.get(TAG_RUN, "")),
        digest=tags.get(TAG_DIGEST, ""),
        verdict=verdict_of(tags.get(TAG_VERDICT, "")),
        metrics=dict(run.metrics) if run else {},
        params=dict(run.params) if run else {},
        tags=tags,
        description=record.description,
    )


def assemble(
    records: Sequence[VersionRecord],
    aliases: Mapping[str, int],
    known: Sequence[Version],
    read_runs: Callable[[Sequence[str]], Mapping[str, TrackedRun]],
    now: float | None = None,
) -> list[Version]:
    """Returns the versions, newest first. Reads only the runs that `known` does not cover."""
    ordered = sorted(records, key=lambda record: record.number, reverse=True)
    remembered = {version.version: version for version in known}
    recent = (now or time.time()) - FRESH_SECONDS
    wanted: list[str] = []
    for position, record in enumerate(ordered):
        before = remembered.get(record.number)
        fresh = position < FRESH_VERSIONS and record.created > recent
        if record.mlflow_run and (fresh or before is None or before.mlflow_run != record.mlflow_run):
            wanted.append(record.mlflow_run)
    runs: Mapping[str, TrackedRun] = read_runs(list(dict.fromkeys(wanted))) if wanted else {}
    return [
        _with_known(version_from(record, runs.get(record.mlflow_run), aliases), record, runs, remembered)
        for record in ordered
    ]


def _with_known(
    version: Version, record: VersionRecord, runs: Mapping[str, TrackedRun], remembered: Mapping[int, Version]
) -> Version:
    before = remembered.get(record.number)
    if record.mlflow_run in runs or before is None or before.mlflow_run != record.mlflow_run:
        return version
    # The snapshot does not tell the run's tags from the version's. A tag taken off a version may thus linger until
    # everything is read anew; the two that decide something (verdict, digest) must not.
    own = kept_tags(record.tags)
    tags = {
        **{key: value for key, value in before.tags.items() if key not in own and key not in (TAG_VERDICT, TAG_DIGEST)},
        **own,
    }
    return replace(
        version,
        metrics=before.metrics,
        params=before.params,
        tags=tags,
        commit=tags.get(TAG_COMMIT, "") or tags.get("mlflow.source.git.commit", ""),
        run_id=number_or_none(tags.get(TAG_RUN, "")),
    )


def runs_by_key(
    keys: Iterable[str],
    own: tuple[str, str] | None,
    others: Callable[[], Iterable[tuple[str, str]]],
    search: Callable[[Sequence[str], str], Iterable[TrackedRun]],
) -> list[TrackedRun]:
    """Returns the finished runs with these keys, newest first. Experiments are pairs of id and name: `own` is asked
    first, `others` for keys without any there. `search` takes ids of experiments and a filter."""
    found: dict[str, TrackedRun] = {}
    elsewhere: dict[str, str] | None = None
    for key in dict.fromkeys(keys):
        wanted = f"tags.`{TAG_KEY}` = {quoted(key)} and attributes.status = 'FINISHED'"
        here = list(search([own[0]], wanted)) if own is not None else []
        found.update({run.id: replace(run, experiment=own[1]) for run in here if own is not None})
        if here:
            continue
        elsewhere = dict(others()) if elsewhere is None else elsewhere
        for batch in batches(list(elsewhere), EXPERIMENT_BATCH):
            found.update(
                {run.id: replace(run, experiment=elsewhere[run.experiment_id]) for run in search(batch, wanted)}
            )
    return sorted(found.values(), key=lambda run: run.started, reverse=True)


def collect_runs(
    ids: Sequence[str],
    first_experiment: str | None,
    search: Callable[[str, Sequence[str]], Iterable[TrackedRun]],
    run: Callable[[str], TrackedRun],
) -> dict[str, TrackedRun]:
    """Returns the runs with these ids in as few requests as possible: MLflow searches by experiment only, and a
    version's run may be in any.

    The project's own experiment is asked first; a run that is not in it names the experiment of the next search.
    Deleted runs are left out.
    """
    found: dict[str, TrackedRun] = {}
    missing: list[str] = list(ids)
    experiment = first_experiment
    while missing:
        if experiment is None:
            try:
                experiment = run(missing[0]).experiment_id
            except NotFound:
                missing.pop(0)
                continue
            lonely = missing[0]
        else:
            lonely = ""
        for batch in batches(missing, RUN_BATCH):
            found.update({each.id: each for each in search(experiment, batch)})
        missing = [run_id for run_id in missing if run_id not in found and run_id != lonely]
        experiment = None
    return found


def quoted(value: str) -> str:
    """Returns the value quoted for MLflow's filter language, which has no escapes. Raises UsageError for a value
    with both kinds of quotes."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise UsageError(
        f"MLflow cannot search for {value!r}: it holds both kinds of quotes", hint="rename it without quotes"
    )


def source_of(run: TrackedRun) -> tuple[str, str]:
    """Returns what to register of a run: (source, id of the logged model or ""). MLflow 3 keeps models beside runs,
    MLflow 2 among their artifacts."""
    if run.models:
        return f"models:/{run.models[-1]}", run.models[-1]
    paths = old_model_paths(run.tags)
    if paths:
        return f"{run.artifact_uri}/{paths[-1]}", ""
    raise NotFound(
        f"MLflow run {printable(run.id)} logged no model",
        hint="call mlflow.<flavour>.log_model(…, name='model') in the training step",
    )


# Of a logged model: its name, and where its files are.
LoggedModel = tuple[str, str]


def elsewhere(run: TrackedRun, logged: Callable[[str], LoggedModel]) -> str:
    """Returns what to register of a run where the registry is another store than the runs': it knows no logged model,
    and an MLflow server takes no other place of files than one below its own runs."""
    name = logged(run.models[-1])[0] if run.models else old_model_paths(run.tags)[-1]
    return f"runs:/{run.id}/{name}"


def place_of(run: TrackedRun, path: str, logged: Callable[[str], LoggedModel]) -> str:
    """Returns where `runs:/RUN/PATH` is: a model that the run logged under that name, or one of its artifacts."""
    for model_id in reversed(run.models):
        name, place = logged(model_id)
        if name == path:
            return place
    return f"{run.artifact_uri}/{path}"


def old_model_paths(tags: Mapping[str, str]) -> list[str]:
    """Returns the artifact paths of the models that a run of MLflow 2 logged, oldest first."""
    try:
        history = json.loads(tags.get("mlflow.log-model.history", "[]"))
    except UNREADABLE:
        return []
    entries = cast("list[Any]", history) if isinstance(history, list) else []
    named = [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
    return [str(entry["artifact_path"]) for entry in named if entry.get("artifact_path")]
