"""What a gate works on: the data, and a version's model with its answers to every row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..domain.frozen import Frozen
from ..domain.models import Version
from ..domain.project import Gate, Project
from ..errors import PodiumError
from .answers import answers_of, declared_by
from .memory import available
from .metrics import ModelAnswers, Unmeasurable, listed
from .model_process import ModelProcess
from .outputs import Output, decode
from .tables import read
from .target.belonging import scale_of, steps_of, units_of
from .target.truths import Truth, truth_of

Fetch = Callable[[Version], Path]
# Finds the table that podium.yaml names: a path of the project, or `dataset:NAME`.
Locate = Callable[[str], Path]
# Seconds for loading a model and predicting all rows. A gate with a time-out of its own in podium.yaml ends earlier.
PREDICT_TIMEOUT = 3600.0
# How much longer than the time for its calls a measurement of latencies may take: one call may be slow.
_LATENCY_GRACE = 120.0
# Bytes that must be available for two models at a time: MLflow's and the models' libraries, and copies of the table.
_TWO_MODELS_BYTES = 4 << 30
_TABLE_COPIES = 8


class GateData(Frozen):
    """The gate's rows."""

    frame: Any
    """The table including the target."""
    targets: tuple[str, ...]
    """The target's column, or its columns if it has several labels."""
    truth: Truth
    path: Path
    shown: str
    """The path as podium.yaml has it."""
    stamp: tuple[int, int, int]
    """Inode, size and time of the file when it was read: the models' processes have to read the same."""
    locate: Locate
    """Finds other tables, such as the training data; raises Unmeasurable where there is none."""
    state: Path | None = None
    """The project's state directory."""
    secrets: tuple[str, ...] = ()
    """What errors must not repeat."""

    @property
    def rows(self) -> int:
        return len(self.frame)


class JudgedModel(Frozen):
    """A version under judgement, with what it returned for every row."""

    version: Version
    output: Output
    truth: Truth
    gate: Gate
    """Says what the answers mean."""
    signature: tuple[str, str] | None
    """The model's own (inputs, outputs), None if it has none."""
    process: ModelProcess
    """Answers as long as it is not closed."""
    number: int = 0
    """0 for the candidate, 1 for the champion."""

    def answers(self, prediction: tuple[str, ...] = ()) -> ModelAnswers:
        """Returns its answers: what the columns say that `prediction` names, or those that the gate names. Raises
        Unmeasurable, naming the version, if they cannot be interpreted."""
        declared = declared_by(self.signature[1]) if self.signature else ""
        try:
            meant = prediction or self.gate.prediction
            return answers_of(self.output, self.truth, said=self.gate.answers, declared=declared, prediction=meant)
        except Unmeasurable as error:
            raise Unmeasurable(f"{self.process.who}: {error.message}", hint=error.hint) from error

    def unread(self) -> ModelAnswers:
        """Returns its answers as they are, for a metric of the project's own."""
        truth = self.truth
        return ModelAnswers(
            truth.values, None, None, truth.task, truth.classes, False, truth.units, truth.steps, source=self.number
        )


def read_data(project: Project, gate: Gate, locate: Locate | None = None) -> GateData:
    """Reads the gate's file. Raises Unmeasurable if it is missing, cannot be read, is empty or lacks the target."""
    locate = locate or project.root.joinpath
    path = locate(gate.data)
    if not path.exists():
        raise Unmeasurable(
            f"the gate's data {gate.data} does not exist",
            hint="Let a step before the gate make it, or correct gates.*.data.",
        )
    stamp = _stamp(path)
    frame = read(path, gate.data)
    targets = gate.targets or (gate.target,)
    for target in targets:
        if target not in frame.columns:
            raise Unmeasurable(f"{gate.data} has no column {target!r}", hint=f"It has: {listed(frame.columns)}.")
    if not len(frame):
        raise Unmeasurable(f"{gate.data} has no rows")
    truth = whole_truth(gate, frame, locate)
    return GateData(frame, targets, truth, path, gate.data, stamp, locate, project.state, project.secrets)


def whole_truth(gate: Gate, frame: Any, locate: Locate) -> Truth:
    """Returns the truth of a table with a gate's columns, and how its rows belong together. Raises Unmeasurable if they
    do not say it. `locate` finds the history of its series."""
    return replace(
        truth_of(gate, frame),
        units=units_of(gate, frame),
        steps=steps_of(gate, frame),
        scale=scale_of(gate, frame, lambda shown: _history(locate, shown)),
    )


def _history(locate: Locate, shown: str) -> Any:
    path = locate(shown)
    if not path.exists():
        raise Unmeasurable(f"the gate's history {shown} does not exist", hint="Correct gates.*.series.history.")
    return read(path, shown)


def _stamp(path: Path) -> tuple[int, int, int]:
    """Returns inode, size and time of a file; of a directory the number of its files, their size and the newest
    time."""
    try:
        found = path.stat()
        if not path.is_dir():
            return found.st_ino, found.st_size, found.st_mtime_ns
        files = [each.stat() for each in path.rglob("*")]
    except OSError:
        return (0, 0, 0)
    return len(files), sum(each.st_size for each in files), max((each.st_mtime_ns for each in files), default=0)


def have_room_for_two(data: GateData) -> bool:
    """Tells whether two models may be loaded at the same time: whether the memory that is available would hold a
    second copy of the data and a model many times over. Unknown counts as no."""
    return available() > _TWO_MODELS_BYTES + _TABLE_COPIES * int(data.frame.memory_usage(deep=False).sum())


def start(version: Version, data: GateData, fetch: Fetch, wanted: tuple[str, ...] = ()) -> ModelProcess:
    """Fetches the version's files and starts a process that loads its model and predicts every row. `wanted` are the
    columns of its answers that are needed, if there are more. Raises Unmeasurable if the files cannot be fetched."""
    who = f"version {version.version}"
    try:
        directory = fetch(version)
    except PodiumError as error:
        raise Unmeasurable(f"the files of {who} cannot be fetched: {error.message}", hint=error.hint) from error
    process = ModelProcess(who, data.state, secrets=data.secrets)
    process.send(
        {
            "do": "predict",
            "directory": str(directory),
            "path": str(data.path),
            "shown": data.shown,
            "targets": list(data.targets),
            "wanted": list(wanted),
        }
    )
    return process


def answered(version: Version, process: ModelProcess, data: GateData, gate: Gate, number: int) -> JudgedModel:
    """Waits for the answers of the process that `start` returned. Raises Unmeasurable, naming the version, if the model
    failed."""
    reply = process.reply("failed to load or predict", PREDICT_TIMEOUT)
    if _stamp(data.path) != data.stamp:
        raise Unmeasurable(f"{data.shown} was changed while the gate read it", hint="Run the gate again.")
    try:
        output = decode(reply.document["output"], reply.payload)
        signature = _signature(reply.document["signature"])
        declared_by(signature[1] if signature else "")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise Unmeasurable(f"{process.who}: its process gave no proper answer") from error
    return JudgedModel(version, output, data.truth, gate, signature, process, number)


def _signature(written: Any) -> tuple[str, str] | None:
    return None if written is None else (str(written[0]), str(written[1]))


def latencies(subject: JudgedModel, *, calls: int = 200, warm_up: int = 10, seconds: float = 10.0) -> Sequence[float]:
    """Returns the seconds that single-row predictions took in the model's process: at most `calls` of them, for at
    most `seconds` in all. Nothing else of the gate runs meanwhile."""
    process = subject.process
    process.send({"do": "latencies", "calls": calls, "warm_up": warm_up, "seconds": seconds})
    taken = process.reply("failed on a single row", seconds + _LATENCY_GRACE).document.get("seconds")
    try:
        return [float(each) for each in taken]  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise Unmeasurable(f"{process.who}: its process gave no proper answer") from error
