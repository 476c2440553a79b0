"""What a gate works on: the data, and a version's model with its answers to every row."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..domain.models import Version
from ..domain.project import Gate, Project
from ..domain.text import one_line
from ..errors import Interrupted, PodiumError
from .answers import answers_of, truth_of
from .metrics import ModelAnswers, Unmeasurable

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fetch = Callable[[Version], Path]


@dataclass(frozen=True, slots=True)
class GateData:
    """The gate's rows. `frame` is the table including the target; `classes` is empty if the target is a quantity."""

    frame: Any
    target: str
    truth: NDArray[Any]
    classes: tuple[Any, ...]

    @property
    def rows(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """A version under judgement. `predict` predicts a table; `signature` is the model's own (inputs, outputs), None
    if it has none."""

    version: Version
    answers: ModelAnswers
    predict: Callable[[Any], Any]
    columns: tuple[str, ...]
    signature: tuple[str, str] | None


def read_data(project: Project, gate: Gate) -> GateData:
    """Reads the gate's file. Raises Unmeasurable if it is missing, cannot be read, is empty or lacks the target."""
    path = project.root / gate.data
    if not path.is_file():
        raise Unmeasurable(
            f"the gate's data {gate.data} does not exist",
            hint="Let a step before the gate make it, or correct gates.*.data.",
        )
    frame = _read(path, gate.data)
    if gate.target not in frame.columns:
        named = ", ".join(map(str, list(frame.columns)[:20]))
        raise Unmeasurable(f"{gate.data} has no column {gate.target!r}", hint=f"It has: {named}.")
    if not len(frame):
        raise Unmeasurable(f"{gate.data} has no rows")
    truth, classes = truth_of(frame[gate.target], gate.target)
    return GateData(frame, gate.target, truth, classes)


def _read(path: Path, shown: str) -> Any:
    import pandas

    try:
        if path.suffix == ".parquet":
            return cast("Any", pandas).read_parquet(path)
        if path.suffix in (".csv", ".gz"):
            return pandas.read_csv(path)
    except ImportError as error:
        raise Unmeasurable(f"{shown} cannot be read: {error}", hint="Install pyarrow to read Parquet.") from error
    except Interrupted:
        raise
    except Exception as error:  # pandas and pyarrow raise a dozen kinds
        raise Unmeasurable(
            f"{shown} cannot be read: {first_line(error)}", hint="Make it again; it may have been cut short."
        ) from error
    raise Unmeasurable(f"{shown} is neither .parquet nor .csv", hint="Write the gate's data as Parquet or CSV.")


def load(version: Version, data: GateData, fetch: Fetch) -> JudgedModel:
    """Loads the version's model and lets it predict every row, once. Raises Unmeasurable, naming the version, if any
    of it fails."""
    who = f"version {version.version}"
    try:
        directory = fetch(version)
    except PodiumError as error:
        raise Unmeasurable(f"the files of {who} cannot be fetched: {error.message}", hint=error.hint) from error
    model = guarded(f"{who} failed to load", lambda: _pyfunc(directory))
    columns = _columns(model, data)
    output = guarded(f"{who} failed to predict", lambda: model.predict(data.frame[list(columns)]))
    try:
        answers = answers_of(output, data.truth, data.classes)
    except Unmeasurable as error:
        raise Unmeasurable(f"{who}: {error.message}", hint=error.hint) from error
    return JudgedModel(version, answers, model.predict, columns, _signature(model))


def _pyfunc(directory: Path) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(directory))


def _columns(model: Any, data: GateData) -> tuple[str, ...]:
    """Returns the columns that the model gets: those of its signature, else all but the target."""
    schema = model.metadata.get_input_schema()
    wanted = schema.input_names() if schema is not None and schema.has_input_names() else None
    present = [str(name) for name in data.frame.columns if name != data.target]
    return tuple(present if wanted is None else (name for name in wanted if name in present))


def _signature(model: Any) -> tuple[str, str] | None:
    signature = model.metadata.signature
    if signature is None:
        return None
    written = signature.to_dict()
    return tuple(
        json.dumps(json.loads(written[part]), sort_keys=True) if written.get(part) else ""
        for part in ("inputs", "outputs")
    )  # type: ignore[return-value]


def guarded(what: str, call: Callable[[], Any]) -> Any:
    """Runs a model's code and contains whatever it raises (including an attempt to exit) and prints."""
    try:
        with _quiet():
            return call()
    except Interrupted:
        raise
    except (Exception, SystemExit) as error:
        hint = "Load it with mlflow.pyfunc.load_model to see all."
        raise Unmeasurable(f"{what}: {type(error).__name__}: {first_line(error)}", hint=hint) from error


@contextmanager
def _quiet() -> Generator[None, None, None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def latencies(
    subject: JudgedModel, data: GateData, *, calls: int = 200, warm_up: int = 10, seconds: float = 10.0
) -> Sequence[float]:
    """Returns the seconds that single-row predictions took in this process: at most `calls` of them, for at most
    `seconds` in all."""
    table = data.frame[list(subject.columns)]
    rows = [table.iloc[[number % len(table)]] for number in range(calls + warm_up)]

    def measured() -> list[float]:
        taken: list[float] = []
        end = time.monotonic() + seconds
        for number, row in enumerate(rows):
            start = time.perf_counter()
            subject.predict(row)
            if number >= warm_up:
                taken.append(time.perf_counter() - start)
            if time.monotonic() > end and taken:
                break
        return taken

    result: list[float] = guarded(f"version {subject.version.version} failed on a single row", measured)
    return result


def first_line(error: BaseException) -> str:
    text = one_line(str(error).strip().partition("\n")[0])
    return text[:300] or "no message"
