"""A gate's verdict on a candidate version: every check, on the same rows for candidate and champion.

Nothing here raises for a bad model or bad data: what cannot be measured is an error in the report, and an error
never passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from ..domain.column_names import NeverKept
from ..domain.frozen import Frozen
from ..domain.metrics import is_function
from ..domain.models import Version
from ..domain.project import Check, Gate, Project
from ..domain.text.format import count
from ..domain.verdicts import CheckResult, Flips, GateReport, Verdict, worst
from ..logs.masking import masked, masked_fields
from ..registry import files
from . import pictures
from .checks import CheckInputs, latency, name_of, schema
from .data_checks import judge as data_checks
from .fairness import fairness
from .metric_checks import bounds, comparison
from .metrics import ModelAnswers, Unmeasurable, measure, usual
from .model_process import ModelProcess
from .own.functions import Functions
from .reasons import told
from .subjects import Fetch, GateData, JudgedModel, Locate, answered, have_room_for_two, read_data, start

T = TypeVar("T")
_KINDS: Mapping[str, Callable[[Check, CheckInputs], Sequence[CheckResult]]] = {
    "latency": latency,
    "schema": schema,
    "data": data_checks.of_gate,
    "fairness": fairness,
}
# A check that does not look at the gate's rows, but at something that only the caller can reach.
Outside = Callable[[Check], Sequence[CheckResult]]


def evaluate(
    project: Project,
    gate: Gate,
    candidate: Version,
    champion: Version | None,
    *,
    fetch: Fetch,
    run_id: int | None = None,
    champion_problem: str = "",
    outside: Mapping[str, Outside] = MappingProxyType({}),
    locate: Locate | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> GateReport:
    """Judges `candidate` by `gate`.

    `fetch` downloads a version's files and returns their directory. `champion` None means that there is none to
    compare with, which passes; `champion_problem` says that there should be one but it cannot be loaded (an alias
    on a version that is gone), which does not pass. `outside` has the judges for kinds of checks that are not about the
    gate's rows. `locate` finds tables that podium.yaml names otherwise than by a path of the project.
    """
    started = time.time()
    with ExitStack() as running:
        try:
            asked = _Asked(project, gate, candidate, champion, champion_problem, locate)
            bench = _bench(asked, fetch, running, log)
        except Unmeasurable as error:
            failed = _masked(CheckResult("measurement", Verdict.ERROR, told(error)), project)
            return _report(gate, candidate, champion, (failed,), started, run_id, None)
        checks: list[CheckResult] = []
        for check in gate.checks:
            found = outside[check.kind](check) if check.kind in outside else _results(check, bench)
            results = [_masked(each, project) for each in found]
            for result in results:
                log(
                    f"{result.verdict:12} {result.name}{f' [{result.slice}]' if result.slice else ''}: {result.message}"
                )
            checks += results
    return _report(gate, candidate, champion, tuple(checks), started, run_id, bench, _never_kept(project))


class _Asked(Frozen):
    """What `evaluate` was asked."""

    project: Project
    """The project, whose directory paths are relative to."""
    gate: Gate
    """The gate."""
    candidate: Version
    """The version to judge."""
    champion: Version | None
    """The one that it is compared with."""
    problem: str
    """Why there is no champion although there should be one."""
    locate: Locate | None
    """Finds tables that podium.yaml names."""

    @property
    def opponent(self) -> Version | None:
        """The champion, where a check needs its answers and it can be asked."""
        needed = any(check.compare or check.kind == "schema" for check in self.gate.checks)
        return self.champion if needed and not self.problem and not self.itself else None

    @property
    def predictions(self) -> list[tuple[str, ...]]:
        """The columns of the answer that the checks of metrics look at, each choice of them once."""
        metrics = [check for check in self.gate.checks if check.kind in ("metric", "fairness")]
        asked = [each.prediction or self.gate.prediction for each in metrics if not is_function(each.metric)]
        return list(dict.fromkeys(asked)) if metrics else [self.gate.prediction]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the answer that are needed; none if a check may need all."""
        everything = not all(self.predictions) or any(is_function(check.metric) for check in self.gate.checks)
        return () if everything else tuple(dict.fromkeys(name for each in self.predictions for name in each))

    @property
    def itself(self) -> bool:
        return self.champion is not None and self.champion.version == self.candidate.version


def _bench(asked: _Asked, fetch: Fetch, running: ExitStack, log: Callable[[str], None]) -> CheckInputs:
    """Asks both models, each in a process of its own that ends with `running` at the latest."""
    gate = asked.gate
    data = read_data(asked.project, gate, asked.locate)
    log(f"{gate.data}: {count(data.rows, 'row')}")
    mine = running.enter_context(start(asked.candidate, data, fetch, asked.columns))
    beside = _Champion(asked, data, fetch, running)
    if have_room_for_two(data):
        beside.start()
    subject = answered(asked.candidate, mine, data, gate, 0)
    for prediction in asked.predictions:
        subject.answers(prediction)
    if not any(check.kind == "latency" for check in gate.checks):
        mine.close()
    other, problem = beside.answered()
    functions = Functions(asked.project, data, running, log)
    return CheckInputs(data, subject, other, functions, asked.problem or problem, itself=asked.itself)


class _Champion:
    """The champion's process, which may be started beside the candidate's. What goes wrong with it is no error of the
    candidate, but of the comparison."""

    def __init__(self, asked: _Asked, data: GateData, fetch: Fetch, running: ExitStack) -> None:
        self._asked, self._version = asked, asked.opponent
        self._data, self._fetch, self._running = data, fetch, running
        self._process: ModelProcess | None = None
        self._problem = ""

    def start(self) -> None:
        if self._version is None or self._process is not None or self._problem:
            return
        try:
            process = start(self._version, self._data, self._fetch, self._asked.columns)
            self._process = self._running.enter_context(process)
        except Unmeasurable as error:
            self._note(error)

    def answered(self) -> tuple[JudgedModel | None, str]:
        """Returns (the champion with its answers, ""), (None, why there are none), or (None, "") without a champion.
        Its process has ended then: nothing runs beside what is measured of the candidate."""
        self.start()
        if self._version is None or self._process is None:
            return None, self._problem
        try:
            found = answered(self._version, self._process, self._data, self._asked.gate, 1)
            for prediction in self._asked.predictions:
                found.answers(prediction)
            return found, ""
        except Unmeasurable as error:
            self._note(error)
            return None, self._problem
        finally:
            self._process.close()

    def _note(self, error: Unmeasurable) -> None:
        self._problem = f"the champion cannot be measured: {error.message}"


def _results(check: Check, bench: CheckInputs) -> Sequence[CheckResult]:
    try:
        judge = _KINDS.get(check.kind)
        if judge is not None:
            return judge(check, bench)
        # Limits and the champion are two questions, and each has its answer.
        limited = check.at_least is not None or check.at_most is not None
        found = [*bounds(replace(check, compare=""), bench)] if limited or not check.compare else []
        return [*found, *comparison(check, bench)] if check.compare else found
    except Unmeasurable as error:
        return (CheckResult(name_of(check), Verdict.ERROR, told(error)),)


def _masked(result: CheckResult, project: Project) -> CheckResult:
    """Returns a result without secrets: a model or a function may have repeated one, and reports are kept and sent."""
    return masked_fields(result, project.secrets, "name", "message", "slice")


def _report(
    gate: Gate,
    candidate: Version,
    champion: Version | None,
    checks: tuple[CheckResult, ...],
    at: float,
    run_id: int | None,
    bench: CheckInputs | None,
    hidden: NeverKept | None = None,
) -> GateReport:
    return GateReport(
        gate=gate.name,
        model=candidate.model,
        version=candidate.version,
        champion=champion.version if champion else None,
        verdict=worst(check.verdict for check in checks),
        checks=checks,
        at=at,
        run_id=run_id,
        data=gate.data,
        rows=bench.data.rows if bench else 0,
        metrics=_all_metrics(bench.candidate) if bench else {},
        confusion=_drawn(bench, pictures.confusion, None),
        calibration=_drawn(bench, pictures.calibration, ()),
        data_digest=_digest(bench) if bench else "",
        flips=_flips(bench, hidden or NeverKept(())) if bench else None,
    )


def _never_kept(project: Project) -> NeverKept:
    """Returns the columns that an environment redacts: no report has their values either."""
    return NeverKept(name for each in project.environments.values() for name in each.redact)


def _flips(bench: CheckInputs, hidden: NeverKept) -> Flips | None:
    """Returns on which rows candidate and champion part, with the inputs of some but for `hidden` columns; None where
    they cannot be compared row by row."""
    if bench.champion is None:
        return None
    data = bench.data
    with suppress(Unmeasurable):
        found = pictures.flips(bench.candidate.answers(), bench.champion.answers())
        inputs = data.frame[[name for name in data.frame.columns if name not in hidden and name not in data.targets]]
        return found and pictures.with_inputs(
            found, inputs, lambda text: masked(text, data.secrets), kept=hidden.without
        )
    return None


def _digest(bench: CheckInputs) -> str:
    """Returns the digest of the rows' file, so that anybody can tell later which rows these were; empty if it is gone
    by now."""
    path = bench.data.path
    try:
        return files.digest(path) if path.is_dir() else f"sha256:{files.file_digest(path).hex()}"
    except OSError:
        return ""


def _drawn(bench: CheckInputs | None, picture: Callable[[ModelAnswers], T], without: T) -> T:
    """Returns a picture of the candidate's answers; `without` where they cannot be read."""
    with suppress(Unmeasurable):
        return picture(bench.candidate.answers()) if bench is not None else without
    return without


def _all_metrics(candidate: JudgedModel) -> dict[str, float]:
    """Returns every metric that the answers allow, whether or not a check asked for it."""
    found: dict[str, float] = {}
    with suppress(Unmeasurable):
        answers = candidate.answers()
        for metric in usual(answers):
            with suppress(Unmeasurable):
                found[metric.label] = measure(metric, answers)
    return found


__all__ = ["GateData", "evaluate"]
