"""A project's own metrics: `metrics.py:profit`, a function of truth, answer and rows that returns a number per row, or
one number for all of them.

Values per row are averaged, and resampled like any other metric. A number is computed again on resamples of the rows:
fewer of them, and for a bounded time. The functions of a file are called in a process of their own, which has the
step's environment, the check's `cpus` and `memory` as its limits, and ends with the step.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ... import control_groups
from ...control_groups import ControlGroup
from ...domain.frozen import Frozen
from ...domain.metrics import TASKS, MetricFacts
from ...domain.project import Check, Project
from ...engine import environment
from ..metrics import Metric, ModelAnswers, Options, Statistic, Unmeasurable
from ..metrics.statistics import Sums, beside_ones, mean
from ..model_process import ModelProcess, Reply
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


class _Limited(Frozen):
    """A file of functions, and what its process may use."""

    path: str
    cpus: float | None
    memory: int | None


class _Opened(Frozen):
    """The process of one file, the control group that it is in, and the memory that it may use."""

    process: ModelProcess
    group: ControlGroup | None
    memory: int | None

    def reply(self, what: str) -> Reply:
        """Returns the reply to what was sent last. Raises Unmeasurable, with the limit where that was the reason."""
        try:
            return self.process.reply(what, CALL_TIMEOUT)
        except Unmeasurable as error:
            if self.process.lost:
                self.process.kill()
            if self.memory is None or self.group is None or not self.group.out_of_memory():
                raise
            words = f"{self.process.who} {what}: it needed more than its limit of {self.memory >> 20} MiB"
            raise Unmeasurable(words, hint="raise `memory` of the check, or have the function use less") from error


class Functions:
    """The processes of a gate's own metrics, started when they are asked for the first time, and again after a function
    that ended one or did not answer. They end with `running`."""

    def __init__(self, project: Project, data: GateData, running: ExitStack, log: Callable[[str], None]) -> None:
        self._project, self._data, self._running, self._log = project, data, running, log
        self._processes: dict[_Limited, _Opened] = {}
        self._found: dict[tuple[_Limited, str, int], _Found] = {}
        self._number = itertools.count()

    def metric(self, check: Check, candidate: JudgedModel, champion: JudgedModel | None) -> Metric:
        """Returns the metric that a check asks for. Raises Unmeasurable if its function cannot be loaded or called."""
        name = check.metric
        file = _Limited(name.rpartition(":")[0], check.cpus, check.memory)
        if file not in self._processes or self._processes[file].process.lost:
            self._processes[file] = self._opened(file, [each for each in (candidate, champion) if each is not None])
        found = self.whole(file, name, candidate.number)
        facts = MetricFacts(name, check.goal, (*TASKS, ""), "")

        def prepare(answers: ModelAnswers, options: Options) -> Statistic:
            return self._statistic(file, name, answers)

        return Metric(facts, prepare, resamples=RESAMPLES if found.number is not None else None)

    def whole(self, file: _Limited, name: str, model: int) -> _Found:
        """Returns what the function returns for all rows of a model's answers, which is asked once."""
        if (file, name, model) not in self._found:
            self._found[file, name, model] = self.call(file, name, model, None)
        return self._found[file, name, model]

    def call(self, file: _Limited, name: str, model: int, rows: Rows | None) -> _Found:
        """Returns what the function returns for some rows, or for all. Raises Unmeasurable if it fails."""
        import numpy as np

        opened = self._processes[file]
        if opened.process.lost:
            raise Unmeasurable(f"{name} is not asked again: it has ended its process, or did not answer", hint=_HINT)
        request = {"do": "call", "function": name.rpartition(":")[2], "model": model}
        opened.process.send(request, b"" if rows is None else rows.astype("<i8").tobytes())
        reply = opened.reply("failed")
        number = reply.document.get("number")
        if number is not None:
            return _Found(float(number), None)
        return _Found(None, np.frombuffer(reply.payload, dtype="<f8"))

    def _statistic(self, file: _Limited, name: str, answers: ModelAnswers) -> Statistic:
        each = self.whole(file, name, answers.source).each
        if each is None:
            return _Called(self, file, name, answers)
        return Sums(beside_ones(each if answers.index is None else each[answers.index]), mean)

    def _opened(self, file: _Limited, models: list[JudgedModel]) -> _Opened:
        project, state, path = self._project, self._data.state, file.path
        group = self._group(file)
        threads = environment.threads(file.cpus, local=True)
        process = ModelProcess(
            path, state, secrets=project.secrets, module=MODULE, cwd=project.root, hint=_HINT, env=threads
        )
        self._running.enter_context(process)
        opened = _Opened(process, group, file.memory)
        opening = {"root": str(project.root), "file": path, "path": str(self._data.path)}
        opening["group"] = str(group.path) if group is not None else ""
        process.send({"do": "open", **opening, "shown": self._data.shown, "targets": list(self._data.targets)})
        opened.reply("failed to load")
        for model in models:
            document, payload = encode(model.output)
            process.send({"do": "answers", "model": model.number, "document": document}, payload)
            opened.reply("failed to read the answers")
        return opened

    def _group(self, file: _Limited) -> ControlGroup | None:
        """Returns the control group of a file's process; None where there is no limit, or none can be set, which is
        said. It is removed after the process."""
        if file.cpus is None and file.memory is None:
            return None
        words = control_groups.lacking(file.cpus, file.memory)
        if words:
            self._log(f"{file.path}: {words}")
        name = f"metric-{os.getpid()}-{next(self._number)}"
        project = self._project
        group = control_groups.make("steps", project.home, name, cpus=file.cpus, memory=file.memory, nice=project.nice)
        if group is not None:
            self._running.callback(group.remove)
        return group


class _Called:
    """A function that returns one number, on any rows of a model's answers."""

    def __init__(self, functions: Functions, file: _Limited, name: str, answers: ModelAnswers) -> None:
        self._functions, self._file, self._name = functions, file, name
        self._model, self._index, self._rows = answers.source, answers.index, answers.rows

    def value(self, rows: Rows) -> float:
        chosen = rows if self._index is None else self._index[rows]
        found = self._functions.call(self._file, self._name, self._model, chosen)
        if found.number is None:
            raise Unmeasurable(f"{self._name} returned one number for all rows, and several for some of them")
        return found.number
