"""A gate's verdict on a candidate version: every check, on the same rows for candidate and champion.

Nothing here raises for a bad model or bad data: what cannot be measured is an error in the report, and an error
never passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from ..domain.models import Version
from ..domain.project import Check, Gate, Project
from ..domain.verdicts import CheckResult, GateReport, Verdict, worst
from .checks import CheckInputs, bounds, comparison, latency, name_of, schema
from .metrics import METRICS, ModelAnswers, Unmeasurable, measure
from .subjects import Fetch, GateData, JudgedModel, load, read_data

_KINDS: Mapping[str, Callable[[Check, CheckInputs], Sequence[CheckResult]]] = {"latency": latency, "schema": schema}
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
    log: Callable[[str], None] = lambda _: None,
) -> GateReport:
    """Judges `candidate` by `gate`.

    `fetch` downloads a version's files and returns their directory. `champion` None means that there is none to
    compare with, which passes; `champion_problem` says that there should be one but it cannot be loaded (an alias
    on a version that is gone), which does not pass. `outside` has the judges for kinds of checks that are not about the
    gate's rows.
    """
    started = time.time()
    try:
        bench = _bench(project, gate, candidate, champion, fetch, champion_problem, log)
    except Unmeasurable as error:
        message = f"{error.message}. {error.hint}".rstrip(". ") + "."
        failed = CheckResult("measurement", Verdict.ERROR, message)
        return _report(gate, candidate, champion, (failed,), started, run_id, None)
    checks: list[CheckResult] = []
    for check in gate.checks:
        results = outside[check.kind](check) if check.kind in outside else _results(check, bench)
        for result in results:
            log(f"{result.verdict:12} {result.name}{f' [{result.slice}]' if result.slice else ''}: {result.message}")
        checks += results
    return _report(gate, candidate, champion, tuple(checks), started, run_id, bench)


def _bench(
    project: Project,
    gate: Gate,
    candidate: Version,
    champion: Version | None,
    fetch: Fetch,
    champion_problem: str,
    log: Callable[[str], None],
) -> CheckInputs:
    data = read_data(project, gate)
    log(f"{gate.data}: {data.rows} rows")
    subject = load(candidate, data, fetch)
    if champion is None or champion_problem or not _needs_champion(gate):
        return CheckInputs(data, subject, None, champion_problem)
    if champion.version == candidate.version:
        return CheckInputs(data, subject, None, "", itself=True)
    other: JudgedModel | None = None
    try:
        other = load(champion, data, fetch)
    except Unmeasurable as error:
        champion_problem = f"the champion cannot be measured: {error.message}"
    return CheckInputs(data, subject, other, champion_problem)


def _needs_champion(gate: Gate) -> bool:
    return any(check.compare or check.kind == "schema" for check in gate.checks)


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
        return (CheckResult(name_of(check), Verdict.ERROR, f"{error.message}. {error.hint}".rstrip(". ") + "."),)


def _report(
    gate: Gate,
    candidate: Version,
    champion: Version | None,
    checks: tuple[CheckResult, ...],
    at: float,
    run_id: int | None,
    bench: CheckInputs | None,
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
        metrics=_all_metrics(bench.candidate.answers) if bench else {},
    )


def _all_metrics(answers: ModelAnswers) -> dict[str, float]:
    """Returns every metric that these answers allow, whether or not a check asked for it."""
    found: dict[str, float] = {}
    for name, metric in METRICS.items():
        try:
            found[name] = measure(metric, answers)
        except Unmeasurable:
            continue
    return found


__all__ = ["GateData", "evaluate"]
