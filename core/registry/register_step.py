"""The built-in step `register`: makes the best MLflow run of the steps before it a model version and the challenger."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ..domain.models import (
    CHALLENGER,
    CHAMPION,
    TAG_COMMIT,
    TAG_DATASET,
    TAG_DIGEST,
    TAG_DIRTY,
    TAG_KEY,
    TAG_RUN,
    TAG_STEP,
)
from ..errors import PodiumError, RunFailed
from . import Registry, TrackedRun, files, open_registry
from .aliases import move_alias
from .records import old_model_paths
from .snapshot import refresh_here
from .store import LoggedDataset

if TYPE_CHECKING:
    from ..engine.context import StepContext

# Metrics of which less is better, for steps that do not set a goal.
_MINIMIZED = frozenset({"rmse", "mae", "mse", "log_loss", "brier", "loss", "error"})

# MLflow takes no longer digest of a dataset; these are the first digits of the file's SHA-256.
_DIGEST_LENGTH = 36


def _unchecked(_: Path) -> None:
    """Accepts every model."""


def register(context: StepContext, *, check: Callable[[Path], None] = _unchecked) -> Mapping[str, Any]:
    """Registers the best run; `check` gets its files, and raises if it cannot be the challenger. Results: `model`,
    `version`, `mlflow_run`, `metric`, `value`, `goal`, `digest`, `candidates` (the number of runs it chose from), and
    for the cache `keys` (those of the steps that left them)."""
    metric = str(context.options["metric"])
    goal = str(context.options.get("goal") or ("minimize" if metric in _MINIMIZED else "maximize"))
    model = str(context.options.get("model") or context.project.mlflow.model)
    registry = open_registry(context.project.mlflow, context.project.state)
    try:
        runs = _candidates(context, registry)
        best = choose(runs, metric, goal)
        name = best.tags.get("mlflow.runName", "")
        context.log(
            f"best of {len(runs)} MLflow runs by {metric} ({goal}): {name} {best.id}, {best.metrics[metric]:.6g}"
        )
        version = registry.register(model, best.id, tags=_lineage(context, best))
        directory = files.directory(context.project.state, model, version.version)
        digest = registry.fetch(model, version.version, directory)
        if version.digest != digest:
            registry.set_tag(model, version.version, TAG_DIGEST, digest)
        check(directory)
        _set_challenger(context, registry, model, version.version)
        context.journal.versions.update(registry.version(model, version.version))
        refresh_here(context.project, context.journal)
        _note_dataset(context, registry, best)
    finally:
        registry.close()
    return {
        "model": model,
        "version": version.version,
        "mlflow_run": best.id,
        "metric": metric,
        "value": best.metrics[metric],
        "goal": goal,
        "digest": digest,
        "candidates": len(runs),
        "keys": sorted({run.tags.get(TAG_KEY, "") for run in runs} - {""}),
    }


def choose(runs: Sequence[TrackedRun], metric: str, goal: str) -> TrackedRun:
    """Returns the run with the best finite value that also logged a model; of equal ones the newest. Raises
    RunFailed, saying what was missing, if there is none."""
    if not runs:
        raise RunFailed(
            "the steps before this one left no finished MLflow run",
            hint=(
                "call mlflow.start_run() in a training step, and log to the tracking URI that Podium sets in its"
                " environment"
            ),
        )
    measured = [run for run in runs if math.isfinite(run.metrics.get(metric, math.nan))]
    if not measured:
        logged = [run for run in runs if metric in run.metrics]
        if logged:
            raise RunFailed(
                f"the last value of the metric {metric!r} is {logged[0].metrics[metric]} in "
                + ("the MLflow run" if len(logged) == 1 else f"all {len(logged)} MLflow runs")
                + " that logged it",
                hint=f"it is the last value that counts: log a finite one last. {_finite(runs)}",
            )
        seen = ", ".join(sorted({name for run in runs for name in run.metrics})) or "none at all"
        raise RunFailed(
            f"none of the {len(runs)} MLflow runs logged a finite metric {metric!r}",
            hint=f"choose one of the logged metrics: {seen}",
        )
    whole = [run for run in measured if run.models or old_model_paths(run.tags)]
    if not whole:
        hint = "call mlflow.<flavour>.log_model(…, name='model') in the same run"
        raise RunFailed(f"no MLflow run with the metric {metric!r} logged a model", hint=hint)
    sign = -1.0 if goal == "minimize" else 1.0
    return max(whole, key=lambda run: (sign * run.metrics[metric], run.started))


def _finite(runs: Sequence[TrackedRun]) -> str:
    """Returns the metrics with a finite last value, in words."""
    seen = sorted({name for run in runs for name, value in run.metrics.items() if math.isfinite(value)})
    return f"these have one: {', '.join(seen)}" if seen else "no metric has one"


def _candidates(context: StepContext, registry: Registry) -> list[TrackedRun]:
    """Returns the MLflow runs of every step before this one. A step restored from the cache has its runs from the
    run that executed it."""
    origins = {step.key: str(step.origin_run or context.run.id) for step in context.upstream.values() if step.key}
    found = registry.find_runs(context.project.mlflow.experiment, list(origins))
    _say_where(context, found)
    exact = [run for run in found if run.tags.get(TAG_RUN) == origins.get(run.tags.get(TAG_KEY, ""))]
    answered = {run.tags.get(TAG_KEY) for run in exact}
    newest: dict[str, TrackedRun] = {}
    # Newest first: where the exact run is gone, the last one with the same inputs stands for it; but not one that
    # another project on the same server may have made.
    for run in (run for run in found if run.experiment == context.project.mlflow.experiment):
        newest.setdefault(run.tags.get(TAG_KEY, ""), run)
    return exact + [run for key, run in newest.items() if key not in answered]


def _note_dataset(context: StepContext, registry: Registry, run: TrackedRun) -> None:
    """Notes the rows that a step `dataset` wrote as an input of the MLflow run, with their file below the project, so
    that `dataset:NAME` finds them. The version is registered by then, and a store that takes no inputs changes nothing
    of that."""
    written: Mapping[str, Any] = context.upstream_result("dataset_input", {})
    if not written:
        return
    source = str(written["source"])
    digest = str(written["digest"]).removeprefix("sha256:")[:_DIGEST_LENGTH]
    profile = json.dumps({**written["profile"], "digest": written["digest"]}, sort_keys=True)
    dataset = LoggedDataset(
        PurePosixPath(source).stem, "training", digest, "local", json.dumps({"uri": source}), profile
    )
    try:
        registry.log_dataset(run.id, dataset)
    except PodiumError as error:
        context.log(f"{source} could not be noted as an input of MLflow run {run.id}: {error.message}")


def _say_where(context: StepContext, runs: Sequence[TrackedRun]) -> None:
    """Says where a training script has set an experiment of its own: its runs are found by their tag, and people look
    for them in the project's."""
    elsewhere = sorted({run.experiment for run in runs} - {context.project.mlflow.experiment, ""})
    if elsewhere:
        context.log(
            f"MLflow runs of this run's steps are in the experiment {', '.join(elsewhere)}, and mlflow.experiment is "
            f"{context.project.mlflow.experiment}: the script sets its own with mlflow.set_experiment()"
        )


def _lineage(context: StepContext, run: TrackedRun) -> dict[str, str]:
    """Returns the lineage tags. Those that the training recorded win: a cached training belongs to the commit that
    it ran at."""
    tags = {
        TAG_COMMIT: run.tags.get(TAG_COMMIT) or context.run.commit,
        TAG_RUN: run.tags.get(TAG_RUN) or str(context.run.id),
        TAG_STEP: run.tags.get(TAG_STEP, ""),
        TAG_KEY: run.tags.get(TAG_KEY, ""),
        # What of requests it learned from, where a step `dataset` came before.
        TAG_DATASET: str(context.upstream_result("dataset", "")),
        TAG_DIRTY: run.tags.get(TAG_DIRTY) or ("true" if context.run.dirty else ""),
    }
    return {key: value for key, value in tags.items() if value}


def _set_challenger(context: StepContext, registry: Registry, model: str, version: int) -> None:
    if registry.aliases(model).get(CHAMPION) == version:
        context.log(f"version {version} of {model} is the champion already; the alias challenger stays where it is")
        return
    why = f"registered by run {context.run.id}"
    move_alias(context.project, context.journal, registry, model, CHALLENGER, version, who=context.run.who, why=why)
    context.log(f"version {version} of {model} is the challenger")
