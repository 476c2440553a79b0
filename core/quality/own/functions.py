"""A project's own metrics: `metrics.py:profit`, a function of truth, answer and rows that returns a number per row, or
one number for all of them.

Values per row are averaged, and resampled like any other metric. A number is computed again on resamples of the rows:
fewer of them, and for a bounded time. The functions of a file are called in a process of their own, which has the
step's environment and ends with the step.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ...domain.frozen import Frozen
from ...domain.metrics import TASKS, MetricFacts
from ...domain.project import Check, Project
from ..metrics import Metric, ModelAnswers, Options, Statistic, Unmeasurable
from ..metrics.statistics import Sums, beside_ones, mean
from ..model_process import ModelProcess
from ..outputs import encode
from ..subjects import GateData, JudgedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..metrics.model import Rows

MODULE = "podium.core.quality.own.function_main"
# Resamples of a function that returns one number.
RESAMPLES = 200
# Seconds that loading the file, or one call, may take.
CALL_TIMEOUT = 600.0
_HINT = "Call it yourself with the gate's data to see all."


class _Found(Frozen):
    """What a function returned for all rows: a number, or one per row."""

    number: float | None
    each: NDArray[Any] | None


class Functions:
    """The processes of a gate's own metrics, started when they are asked for the first time. They end with
    `running`."""

    def __init__(self, project: Project, data: GateData, running: ExitStack) -> None:
        self._project, self._data, self._running = project, data, running
        self._processes: dict[str, ModelProcess] = {}
        self._found: dict[tuple[str, int], _Found] = {}

    def metric(self, check: Check, candidate: JudgedModel, champion: JudgedModel | None) -> Metric:
        """Returns the metric that a check asks for. Raises Unmeasurable if its function cannot be loaded or called."""
        name = check.metric
        self._opened(name, [each for each in (candidate, champion) if each is not None])
        found = self.whole(name, candidate.number)
        facts = MetricFacts(name, check.goal, (*TASKS, ""), "")

        def prepare(answers: ModelAnswers, options: Options) -> Statistic:
            return self._statistic(name, answers)

        return Metric(facts, prepare, resamples=RESAMPLES if found.number is not None else None)

    def whole(self, name: str, model: int) -> _Found:
        """Returns what the function returns for all rows of a model's answers, which is asked once."""
        if (name, model) not in self._found:
            self._found[name, model] = self.call(name, model, None)
        return self._found[name, model]

    def call(self, name: str, model: int, rows: Rows | None) -> _Found:
        """Returns what the function returns for some rows, or for all. Raises Unmeasurable if it fails."""
        import numpy as np

        path, _, function = name.rpartition(":")
        process = self._processes[path]
        request = {"do": "call", "function": function, "model": model}
        process.send(request, b"" if rows is None else rows.astype("<i8").tobytes())
        reply = process.reply("failed", CALL_TIMEOUT)
        number = reply.document.get("number")
        if number is not None:
            return _Found(float(number), None)
        return _Found(None, np.frombuffer(reply.payload, dtype="<f8"))

    def _statistic(self, name: str, answers: ModelAnswers) -> Statistic:
        each = self.whole(name, answers.source).each
        if each is None:
            return _Called(self, name, answers)
        return Sums(beside_ones(each if answers.index is None else each[answers.index]), mean)

    def _opened(self, name: str, models: list[JudgedModel]) -> None:
        path = name.rpartition(":")[0]
        if path in self._processes:
            return
        project, state = self._project, self._data.state
        process = ModelProcess(path, state, secrets=project.secrets, module=MODULE, cwd=project.root, hint=_HINT)
        self._running.enter_context(process)
        opening = {"root": str(project.root), "file": path, "path": str(self._data.path)}
        process.send({"do": "open", **opening, "shown": self._data.shown, "targets": list(self._data.targets)})
        process.reply("failed to load", CALL_TIMEOUT)
        for model in models:
            document, payload = encode(model.output)
            process.send({"do": "answers", "model": model.number, "document": document}, payload)
            process.reply("failed to read the answers", CALL_TIMEOUT)
        self._processes[path] = process


class _Called:
    """A function that returns one number, on any rows of a model's answers."""

    def __init__(self, functions: Functions, name: str, answers: ModelAnswers) -> None:
        self._functions, self._name = functions, name
        self._model, self._index, self._rows = answers.source, answers.index, answers.rows

    def value(self, rows: Rows) -> float:
        chosen = rows if self._index is None else self._index[rows]
        found = self._functions.call(self._name, self._model, chosen)
        if found.number is None:
            raise Unmeasurable(f"{self._name} returned one number for all rows, and several for some of them")
        return found.number
