"""The built-in steps `labels` and `dataset`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.labels import LabelTable
from ..domain.text.format import count
from ..errors import RunFailed, UsageError
from . import dataset as datasets
from .imported import add_file
from .store import LabelStore
from .window import window_of

if TYPE_CHECKING:
    from ..engine.context import StepContext

_TARGET, _TEST_SHARE = "label", 0.2


def labels(context: StepContext) -> Mapping[str, Any]:
    """Adds the labels of a file that an earlier step wrote. Options: `environment`, `file`, `label`, and `id` or `key`,
    `at`, `row` for the file's columns. The results are what became of them (AddedLabels)."""
    options, project = context.options, context.project
    environment = project.environment(str(options["environment"]))
    key = str(options.get("key", ""))
    if key and "id" in options:
        raise UsageError("`id` and `key` name requests in two ways", hint="leave one of them out")
    table = LabelTable(
        str(options["label"]),
        id="" if key else str(options.get("id", "request_id")),
        key=key,
        at=str(options.get("at", "")),
        row=str(options.get("row", "")),
    )
    file = _inside(context, str(options["file"]))
    source = f"pipeline:{context.run.name}"
    added = add_file(project, environment, file, table, source=source)
    counts = asdict(added)
    context.log(", ".join(f"{number} {word}" for word, number in counts.items() if number) or "no labels")
    return counts


def dataset(context: StepContext) -> Mapping[str, Any]:
    """Writes captured and labelled requests as Parquet. Options: `environment`, `output`, `target`, `since`, `until`,
    `last`, `test`, `test_share`, `add_to`, `at_least`. Results: `rows`, `digest`, `start`, `end`, `requests`,
    `test_rows`, `test_digest`, `repeated`, `dataset` (all of it in one line, which `register` notes with the
    version), `dataset_input` (what `register` notes as an input of the MLflow run)."""
    environment = context.project.environment(str(context.options["environment"]))
    paths = _paths(context)
    found = _found(context, environment.name)
    place = _place(context, found)
    parts = datasets.parts(found, place)
    if "add_to" in paths:
        parts = (datasets.below(paths["add_to"], parts[0], str(context.options["add_to"])), parts[1])
    learned = datasets.write(parts[0], paths["output"])
    tested = datasets.write(parts[1], paths["test"]) if "test" in paths else datasets.Part(0, "")
    context.log(
        f"{count(learned.rows, 'row')} in {context.options['output']}, {place} of them from requests"
        + (f"; {tested.rows} newer ones in {context.options['test']}" if tested.rows else "")
        + (f"; {found.repeated} of the same key left out" if found.repeated else "")
    )
    return {
        "rows": learned.rows,
        "digest": learned.digest,
        "start": found.at[0],
        "end": found.at[-1],
        "requests": place,
        "test_rows": tested.rows,
        "test_digest": tested.digest,
        "repeated": found.repeated,
        "dataset": _line(environment.name, learned, found),
        "dataset_input": {
            "source": str(context.options["output"]),
            "digest": learned.digest,
            "profile": {
                "num_rows": learned.rows,
                "from_requests": place,
                "environment": environment.name,
                "start": found.at[0],
                "end": found.at[-1],
            },
        },
    }


def _paths(context: StepContext) -> dict[str, Path]:
    """Returns the files of the step by their key. Raises UsageError if two of them are the same one."""
    given = {key: str(context.options[key]) for key in ("output", "test", "add_to") if context.options.get(key)}
    found = {key: _inside(context, path) for key, path in given.items()}
    if len(set(found.values())) != len(found):
        raise UsageError(
            "`output`, `test` and `add_to` name the same file", hint="rows would be added again by every run"
        )
    return found


def _found(context: StepContext, environment: str) -> datasets.Learned:
    options = context.options
    with LabelStore.open(context.project.state, environment) as store:
        store.collect()
        found = datasets.rows_of(store, window_of(options, time.time()), str(options.get("target", _TARGET)))
    least = int(options.get("at_least", 1))
    if found.rows < least:
        raise RunFailed(
            f"{count(found.rows, 'row')} to learn from, fewer than {least}",
            hint="wait for labels, widen the window, or lower `at_least`",
        )
    return found


def _place(context: StepContext, found: datasets.Learned) -> int:
    """Returns how many rows are to be learned from; the others are newer."""
    if not context.options.get("test"):
        return found.rows
    place = datasets.split(found, float(context.options.get("test_share", _TEST_SHARE)))
    if not 0 < place < found.rows:
        raise RunFailed(
            f"{count(found.rows, 'row')} of this window cannot be split by time, as one moment has too many of them",
            hint="widen the window, or leave `test` out",
        )
    return place


def _line(environment: str, part: datasets.Part, found: datasets.Learned) -> str:
    start, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (found.at[0], found.at[-1]))
    return f"{part.digest} {part.rows} rows, requests to {environment} {start} to {end}"


def _inside(context: StepContext, path: str) -> Path:
    """Returns where a path of the run is. Raises UsageError for one that leads out of its directory."""
    root = context.project.root.resolve()
    found = (root / path).resolve()
    if not found.is_relative_to(root):
        raise UsageError(f"{path} leads out of the project", hint="name a file below it")
    return found
