"""A replay from start to end: as an operation of its own (`podium replay`) and as a check of a gate."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast

from ...domain.models import Version
from ...domain.project import Check
from ...domain.replay import ReplayLimits, ReplayReport
from ...domain.verdicts import CheckResult, Verdict, worst
from ...errors import PodiumError, RunFailed
from ...serving import captures
from ...serving.captures import Captures
from ..environment import history
from ..environment.runtime import EnvironmentRuntime, ensure_same_model
from ..proxy.transport import DirectTransport
from ..rollout import verify
from ..rollout.carry_out import fetch
from . import labelled
from .judging import Figures, figures, judge
from .report import sentence, to_dict, to_gate, to_json, to_markdown
from .sending import Endpoint, Sender, TimedTransport
from .shadows import Shadows

if TYPE_CHECKING:
    from ...engine.context import StepContext

_HINTS = {
    Verdict.FAIL: "read the whole report: `podium show last -o json`, or podium/ on the MLflow run",
    Verdict.ERROR: "read the report for the check that could not be measured: `podium show last -o json`",
    Verdict.INCONCLUSIVE: "capture more (environments.*.capture), wait for more traffic, or set a wider limit",
}


class ReplayRefused(RunFailed):
    """The replay's verdict is not pass. `results` holds the step's results, which are kept even so."""

    def __init__(self, report: ReplayReport) -> None:
        super().__init__(sentence(report), hint=_HINTS[report.verdict])
        self.results = results_of(report)


def results_of(report: ReplayReport) -> dict[str, Any]:
    """Returns the step's results."""
    return {
        "environment": report.environment,
        "verdict": report.verdict.value,
        "model": report.model,
        "version": report.version,
        "champion": report.champion,
        "requests": report.requests,
        "differing": report.differing,
        "errors": report.errors,
        "report": to_dict(report),
    }


def parameters(limits: ReplayLimits) -> dict[str, str]:
    """Returns the limits as parameters of a run; `limits_of` reads them back."""
    return {each.name: str(value) for each in fields(limits) if (value := getattr(limits, each.name)) is not None}


def limits_of(options: Mapping[str, Any]) -> ReplayLimits:
    """Returns the limits from the options of a step."""
    whole = ("at_least", "limit", "max_errors", "concurrency")
    given: dict[str, Any] = {}
    for each in fields(ReplayLimits):
        if each.name in options:
            given[each.name] = int(options[each.name]) if each.name in whole else float(options[each.name])
    return ReplayLimits(**given)


def replay(context: StepContext) -> Mapping[str, Any]:
    """Carries out the step `replay`. Options: `environment`, `version`, and the fields of ReplayLimits. Raises
    ReplayRefused, after keeping the report, unless the verdict is pass."""
    runtime = _runtime(context, str(context.options.get("environment") or context.run.name))
    number = int(str(context.options["version"]))
    report = carry_out(runtime, number, limits_of(context.options), who=context.run.who, run_id=context.run.id)
    for check in report.checks:
        context.log(f"{check.verdict:12} {check.name}: {check.message}")
    keep(runtime, report)
    if report.verdict is not Verdict.PASS:
        raise ReplayRefused(report)
    return results_of(report)


def gate_check(context: StepContext, check: Check, candidate: Version) -> Sequence[CheckResult]:
    """Carries out the check `replay: ENVIRONMENT` of a gate: one result for each of its limits. Passes if nothing is
    served yet, or if the candidate itself is served."""
    assert check.replay is not None
    name = f"replay on {check.environment}"
    try:
        runtime = _runtime(context, check.environment)
        ensure_same_model(runtime, candidate)
        serving = history.serving(context.journal, runtime.name, runtime.model)
        if serving is None:
            return (
                CheckResult(name, Verdict.PASS, f"nothing has served {runtime.name} yet: there is nothing to replay"),
            )
        if serving == candidate.version:
            return (CheckResult(name, Verdict.PASS, f"the candidate serves {runtime.name} already"),)
        report = carry_out(runtime, candidate.version, check.replay, who=context.run.who, run_id=context.run.id)
        keep(runtime, report)
    except PodiumError as error:
        if error.exit_code == 130:
            raise
        return (CheckResult(name, Verdict.ERROR, f"{error.message} {error.hint}".strip()),)
    return [_renamed(each, name) for each in report.checks]


def _renamed(check: CheckResult, name: str) -> CheckResult:
    return replace(check, name=f"{name}: {check.name}")


def carry_out(
    runtime: EnvironmentRuntime, version: int, limits: ReplayLimits, *, who: str, run_id: int | None = None
) -> ReplayReport:
    """Starts both shadows, sends the captured requests, ends the shadows and judges. A shadow that fails is an error
    in the report.

    Raises Refused if another replay on the environment is running, NotFound if the candidate's files do not exist.
    """
    began = time.time()
    champion = history.serving(runtime.journal, runtime.name, runtime.model)
    found = captures.newest(
        runtime.driver.captures(), limit=limits.limit, after=began - limits.since if limits.since is not None else 0.0
    )
    problem = _impossible(runtime, champion, found, limits)
    measured = Figures()
    if not problem and champion is not None:
        runtime.say(f"{len(found.chosen)} of {found.found} captured requests, {_span(found)}")
        try:
            measured = _measure(runtime, champion, version, found, limits, who)
        except RunFailed as error:
            problem = error.message
    problem = problem or _lacking(found, measured)
    checks = (CheckResult("replay", Verdict.ERROR, problem),) if problem else judge(measured, limits)
    for line in labelled.sentences(measured.labelled):
        runtime.say(line)
    return _report(runtime, version, champion, found, checks, measured, began, run_id)


def _impossible(runtime: EnvironmentRuntime, champion: int | None, found: Captures, limits: ReplayLimits) -> str:
    if champion is None:
        return f"nothing serves {runtime.name}: there is no champion to compare with"
    if found.chosen:
        return ""
    if not runtime.environment.capture:
        return f"{runtime.name} captures no requests: set environments.{runtime.name}.capture above 0"
    recent = f" in the last {limits.since:g} s" if limits.since is not None else ""
    return (
        f"no request to {runtime.name} was captured{recent} (environments.{runtime.name}.capture is"
        f" {runtime.environment.capture:g})"
    )


def _lacking(found: Captures, measured: Figures) -> str:
    """Returns why nothing could be compared, if that is what is never kept."""
    columns = sorted({name for each in found.chosen for name in each.redacted})
    if measured.rows or not columns:
        return ""
    return (
        f"no captured request was answered by both: they lack {', '.join(columns)}, which `redact` never keeps, so"
        " versions that need it cannot be replayed"
    )


def _span(found: Captures) -> str:
    first, last = found.chosen[0].at, found.chosen[-1].at
    return (
        f"from {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(first))} to"
        f" {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(last))}"
    )


def _measure(
    runtime: EnvironmentRuntime, champion: int, version: int, found: Captures, limits: ReplayLimits, who: str
) -> Figures:
    digests = {number: fetch(runtime, number) for number in (champion, version)}
    for number in digests:
        runtime.driver.prepare(number)
    with Shadows(runtime, who=who, why=f"replay of version {version}") as shadows:
        rows = [
            shadows.start(side, number, digests[number])
            for side, number in (("champion", champion), ("candidate", version))
        ]
        shadows.wait()
        for row in rows:
            verify.warm_up(runtime, [row], runtime.files.directory(row.version))
        through = None if isinstance(runtime.transport, DirectTransport) else cast("TimedTransport", runtime.transport)
        first, second = (Endpoint(row.address, row.port, through) for row in rows)
        labels = labelled.labels_of(runtime.project, runtime.name, found.chosen)
        sender = Sender(
            (first, second), tolerance=limits.tolerance, concurrency=limits.concurrency, labelled=labels.keys()
        )
        sent = sender.send(found.chosen, str(champion), runtime.say)
        return replace(figures(sent), labelled=labelled.metrics(runtime.project, found.chosen, labels, sent.pairs))


def _report(
    runtime: EnvironmentRuntime,
    version: int,
    champion: int | None,
    found: Captures,
    checks: tuple[CheckResult, ...],
    measured: Figures,
    began: float,
    run_id: int | None,
) -> ReplayReport:
    slow = measured.slowdown
    return ReplayReport(
        environment=runtime.name,
        model=runtime.model,
        version=version,
        champion=champion,
        verdict=worst(check.verdict for check in checks),
        checks=checks,
        at=began,
        run_id=run_id,
        captured=found.found,
        requests=measured.requests,
        rows=measured.rows,
        identical=measured.identical,
        close=measured.close,
        differing=measured.differing,
        changed_labels=measured.changed if measured.labels else None,
        sizes=measured.sizes,
        errors=measured.errors,
        error_words=measured.error_words,
        champion_errors=measured.champion_errors,
        refused=measured.refused,
        latency=measured.latency,
        champion_latency=measured.champion_latency,
        slowdown=slow.value if slow else None,
        slowdown_low=slow.low if slow else None,
        slowdown_high=slow.high if slow else None,
        unsteady=measured.unsteady,
        seconds=round(time.time() - began, 3),
        labelled=measured.labelled,
    )


def keep(runtime: EnvironmentRuntime, report: ReplayReport) -> None:
    """Saves the report in the journal, and on the candidate's MLflow run if the registry can be reached: the report
    is valid without it."""
    from ...registry import open_registry

    runtime.journal.gates.add(to_gate(report))
    mlflow_run = runtime.version(report.version).mlflow_run
    if not mlflow_run:
        return
    with contextlib.suppress(PodiumError):
        registry = open_registry(runtime.project.mlflow, runtime.project.state)
        try:
            registry.log_report(mlflow_run, f"podium/replay-{report.environment}.json", to_json(report))
            registry.log_report(mlflow_run, f"podium/replay-{report.environment}.md", to_markdown(report))
        finally:
            registry.close()


def _runtime(context: StepContext, name: str) -> EnvironmentRuntime:
    config = context.project.environment(name)
    return EnvironmentRuntime(context.project, context.journal, config, say=context.log)
