"""The built-in step `score`, which is also the operation `podium score`: a version predicts the rows of files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..domain.frozen import Frozen
from ..domain.models import CHAMPION
from ..domain.text.format import count, duration
from ..errors import NotFound, RunFailed, UsageError
from ..host_queue.queue import cpus_here
from ..quality.column_types import types_of
from ..registry import files as version_files
from ..registry import open_registry
from .directory import Finished, OutputDirectory
from .sources import CSV, Part, SourceFile, files_of, missing, part_name, parts_of, unchanged
from .workers import Done, Job, Workers

if TYPE_CHECKING:
    from ..engine.context import StepContext

# Changed whenever a part would come out differently from the same input.
_FORM = 2
_TELL_INTERVAL = 5.0
_SHOWN = 10


class _Version(Frozen):
    """What predicts."""

    model: str
    number: int
    digest: str
    directory: Path

    @property
    def words(self) -> str:
        return f"version {self.number}"


class _Asked(Frozen):
    """The columns: those that the version is asked about with their types, and those that are kept."""

    columns: tuple[str, ...] | None
    """None for all of each file."""
    types: Mapping[str, str]
    kept: tuple[str, ...] | None
    """None for all of each file."""
    answers: tuple[str, ...] = ()
    """The types of what it answers, where its signature says so."""

    def of(self, file: SourceFile) -> tuple[list[str], list[str]]:
        """Returns the columns of one file: asked, and kept."""
        asked = file.columns if self.columns is None else self.columns
        kept = file.columns if self.kept is None else self.kept
        return [name for name in asked if name in file.columns], list(kept)


def score(context: StepContext) -> Mapping[str, Any]:
    """Scores `input` into the directory `output`. Other options: `version`, `environment`, `parallel`, `keep`,
    `part_rows`. Results: `version`, `model`, `digest`, `rows`, `parts`, `kept_parts`, `output`, `columns`, `seconds`.

    The parts that an earlier attempt finished are kept. Raises UsageError for files that the version cannot be asked
    about, RunFailed if it failed."""
    began = time.monotonic()
    source, output = _path(context, "input"), _path(context, "output")
    version = _version(context)
    files = files_of(source, output)
    asked = _asked(context, version, files)
    with OutputDirectory(output) as directory:
        run = _Scoring(context, version, files, asked, directory)
        parts = run.carry_out()
    seconds = round(time.monotonic() - began, 3)
    rows = sum(part.rows for part in parts)
    context.log(f"{count(rows, 'row')} in {output}, in {duration(seconds)}")
    return {
        "version": version.number,
        "model": version.model,
        "digest": version.digest,
        "rows": rows,
        "parts": len(parts),
        "kept_parts": run.kept,
        "output": str(output),
        "columns": list(parts[0].columns),
        "seconds": seconds,
    }


class _Scoring:
    """One scoring, from its parts to the whole set."""

    def __init__(
        self,
        context: StepContext,
        version: _Version,
        files: Sequence[SourceFile],
        asked: _Asked,
        directory: OutputDirectory,
    ) -> None:
        self._context, self._version, self._files, self._asked = context, version, files, asked
        self._directory = directory
        self._parts = parts_of(files, _number(context, "part_rows"))
        if not self._parts:
            raise UsageError("there are no rows to score", hint="the files have columns, but no rows")
        self._finished: dict[int, Finished] = {}
        self._told = self._began = time.monotonic()
        self.kept = 0

    def carry_out(self) -> list[Finished]:
        """Returns all parts, finished and published."""
        keys = {part.number: self._key(part) for part in self._parts}
        there = self._directory.finished()
        for part in self._parts:
            if (found := there.get(keys[part.number])) and found.file == self._name(part):
                self._finished[part.number] = found
        self.kept = len(self._finished)
        left = [part for part in self._parts if part.number not in self._finished]
        parallel = min(_parallel(self._context), max(1, len(left)))
        self._say_what(left, parallel)
        if left:
            workers = Workers(
                self._version.words, self._context.project.state, self._version.directory, self._context.project.secrets
            )
            jobs = [self._job(part) for part in left]
            workers.carry_out(jobs, parallel, lambda done: self._done(done, keys[done.number]))
        parts = [self._finished[part.number] for part in self._parts]
        if len({part.columns for part in parts}) > 1:
            raise RunFailed(f"{self._version.words} answered other columns to some parts than to others")
        self._directory.publish(parts, self._manifest(parts))
        return parts

    def _say_what(self, left: Sequence[Part], parallel: int) -> None:
        version = self._version
        self._context.log(f"{version.model} version {version.number} ({version.digest[:19]})")
        self._context.log(
            f"{count(len(self._files), 'file')} in {count(len(self._parts), 'part')}"
            + (f", of which {self.kept} are there already" if self.kept else "")
            + (f"; {parallel} at once" if left else "")
        )

    def _job(self, part: Part) -> Job:
        file = self._files[part.file]
        asked, kept = self._asked.of(file)
        request = {
            "do": "part",
            "path": str(file.path),
            "shown": file.shown,
            "kind": file.kind,
            "span": [part.first, part.end],
            "names": list(file.columns),
            "asked": asked,
            "types": {name: kind for name, kind in self._asked.types.items() if name in asked},
            "kept": kept,
            "answers": self._asked.answers,
            "output": str(self._directory.work / self._name(part)),
            "made_by": {**self._made_by(), **_span(file, part)},
        }
        return Job(part.number, request, f"part {part.number} of {file.shown}")

    def _done(self, done: Done, key: str) -> None:
        part = self._parts[done.number - 1]
        file = self._files[part.file]
        if not unchanged(file):
            raise RunFailed(f"{file.shown} changed while it was scored", hint="score it again when nobody writes to it")
        answer = done.answer
        finished = Finished(
            key, self._name(part), int(answer["rows"]), str(answer["sha256"]), tuple(map(str, answer["columns"]))
        )
        self._directory.note(finished)
        self._finished[part.number] = finished
        self._tell()

    def _tell(self) -> None:
        """Says how far it is, every few seconds and at the end."""
        now = time.monotonic()
        done, all_ = len(self._finished), len(self._parts)
        if done < all_ and now < self._told + _TELL_INTERVAL:
            return
        self._told = now
        here = done - self.kept
        rate = here / max(now - self._began, 1e-9)
        left = f", about {duration((all_ - done) / rate)} left" if done < all_ else ""
        rows = sum(part.rows for part in self._finished.values())
        self._context.log(f"{done} of {all_} parts, {count(rows, 'row')}{left}")

    def _name(self, part: Part) -> str:
        return part_name(part.number, self._files[part.file].kind)

    def _key(self, part: Part) -> str:
        """Returns what tells a part from any other: everything that its content depends on."""
        file = self._files[part.file]
        facts = [_FORM, self._made_by(), _span(file, part), *self._asked.of(file)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _made_by(self) -> dict[str, str]:
        version = self._version
        return {"model": version.model, "version": str(version.number), "model_digest": version.digest}

    def _manifest(self, parts: Sequence[Finished]) -> dict[str, Any]:
        return {
            **self._made_by(),
            "version": self._version.number,
            "run": self._context.run.id,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "rows": sum(part.rows for part in parts),
            "columns": list(parts[0].columns),
            "inputs": [{"path": file.shown, "digest": file.digest, "bytes": file.stamp[0]} for file in self._files],
        }


def _span(file: SourceFile, part: Part) -> dict[str, str]:
    unit = "bytes" if file.kind == CSV else "rows"
    return {"input": file.shown, "input_digest": file.digest, f"input_{unit}": f"{part.first}-{part.end}"}


# -- What was asked for


def _path(context: StepContext, key: str) -> Path:
    """Returns a path of the options. What a person names may be anywhere; in a pipeline it is below the project."""
    given = str(context.options.get(key) or "")
    if not given:
        raise UsageError(f"score has no `{key}`", hint="`input` is a file or directory, `output` a directory")
    if context.run.is_operation:
        return Path(given)
    root = context.project.root.resolve()
    found = (root / given).resolve()
    if not found.is_relative_to(root):
        raise UsageError(f"{given} leads out of the project", hint="name a path below it")
    return found


def _number(context: StepContext, key: str) -> int | None:
    given = context.options.get(key)
    return int(given) if given else None


def _parallel(context: StepContext) -> int:
    return max(1, _number(context, "parallel") or int(cpus_here()))


def _version(context: StepContext) -> _Version:
    """Fetches the version that is named, else the one that the environment serves, else the one that an earlier step
    reported, else the champion. Raises NotFound if there is none."""
    project = context.project
    registry = open_registry(project.mlflow, project.state)
    try:
        environment = str(context.options.get("environment") or "")
        model, number = _of_environment(context, environment) if environment else (context.model, None)
        number = _number(context, "version") or number
        number = number or (None if environment else context.upstream_version(model))
        number = number or registry.aliases(model).get(CHAMPION)
        if number is None:
            raise NotFound(f"{model} has no champion to score with", hint="name a version: --version, or `version:`")
        directory = version_files.directory(project.state, model, int(number))
        return _Version(model, int(number), registry.fetch(model, int(number), directory), directory)
    finally:
        registry.close()


def _of_environment(context: StepContext, environment: str) -> tuple[str, int | None]:
    """Returns the model of an environment, and the version that it serves; None where the options name one."""
    name = context.project.environment(environment).name
    if context.options.get("version"):
        return str(context.options.get("model") or context.project.model_of(name)), None
    current = context.journal.ledger.current(name)
    if current is None:
        raise NotFound(f"nothing was deployed to {name} yet", hint="name a version, or deploy one")
    return current.model, current.to_version


def _asked(context: StepContext, version: _Version, files: Sequence[SourceFile]) -> _Asked:
    """Returns which columns the version needs, of which types. Raises UsageError if a file lacks some of them."""
    from mlflow.models import Model

    model: Any = cast("Any", Model).load(str(version.directory))
    schema, answered = model.get_input_schema(), model.get_output_schema()
    named: Any = () if answered is None or answered.is_tensor_spec() else answered.inputs
    answers = tuple(str(getattr(each.type, "name", "")) for each in named)
    types = types_of(schema)
    if not types and files[0].kind == CSV:
        raise UsageError(
            f"{version.words} has no signature with columns: what is in a CSV would be guessed, for each part anew",
            hint="log the model with a signature, or write the rows as Parquet",
        )
    required = tuple(str(each.name) for each in schema.inputs if getattr(each, "required", True)) if types else ()
    kept = _kept(context)
    _ensure_there(version, files, required, "needs")
    _ensure_there(version, files, kept or (), "is to keep")
    return _Asked(tuple(types) if types else None, types, kept, answers)


def _kept(context: StepContext) -> tuple[str, ...] | None:
    given = context.options.get("keep")
    if given is None or given == "":
        return None
    if isinstance(given, str) and context.run.is_operation:
        return tuple(map(str, json.loads(given)))
    return (given,) if isinstance(given, str) else tuple(map(str, given))


def _ensure_there(version: _Version, files: Sequence[SourceFile], wanted: Sequence[str], verb: str) -> None:
    found = missing(files, wanted)
    if found is None:
        return
    file, lacking = found
    raise UsageError(
        f"{file.shown} lacks {_listed(lacking)}, which {version.words} {verb}", hint=f"it has {_listed(file.columns)}"
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN])) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return f"{'the column' if len(names) == 1 else 'the columns'} {shown}"
