"""The built-in step `gate`: may this version be promoted?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import plugins
from ..domain.models import CHAMPION, TAG_VERDICT, Version
from ..domain.project import Check
from ..domain.verdicts import CheckResult, GateReport, Verdict
from ..errors import NotFound, RunFailed, UsageError
from ..registry import Registry, files, open_registry
from ..registry.snapshot import refresh_here
from .evaluate import Outside, evaluate
from .outside.datasets import locator
from .report import sentence, to_json, to_markdown

if TYPE_CHECKING:
    from ..engine.context import StepContext

_HINTS = {
    Verdict.FAIL: "the whole report is on the MLflow run, under podium/",
    Verdict.ERROR: "correct what the report names and run the gate again",
    Verdict.INCONCLUSIVE: (
        "give the gate more rows or a wider margin, or let a person decide: podium promote --force --why …"
    ),
}


class GateRefused(RunFailed):
    """The verdict is not a pass. `results` are the step's results, which are kept."""

    def __init__(self, report: GateReport) -> None:
        super().__init__(sentence(report), hint=_HINTS[report.verdict])
        self.results = results_of(report)


def results_of(report: GateReport) -> dict[str, Any]:
    return {
        "gate": report.gate,
        "verdict": str(report.verdict),
        "model": report.model,
        "version": report.version,
        "champion": report.champion,
        "rows": report.rows,
    }


def gate(context: StepContext) -> Mapping[str, Any]:
    """Runs the gate. The results are `verdict`, `version`, `model`, `gate`, `champion` and `rows`. Stores the report
    first, then raises GateRefused unless the verdict is a pass."""
    spec = context.project.gates[str(context.options["gate"])]
    registry = open_registry(context.project.mlflow, context.project.state)
    try:
        model, number = _candidate(context)
        candidate = registry.version(model, number)
        champion, problem = champion_of(registry, model)

        def fetch(version: Version) -> Path:
            directory = files.directory(context.project.state, version.model, version.version)
            registry.fetch(version.model, version.version, directory)
            return directory

        report = evaluate(
            context.project,
            spec,
            candidate,
            champion,
            fetch=fetch,
            run_id=context.run.id,
            champion_problem=problem,
            outside={kind: _outside(kind, context, candidate) for kind in plugins.names("checks")},
            locate=locator(registry, context.project.root, context.project.home, candidate, champion),
            log=context.log,
        )
        _keep(context, registry, report, candidate)
        refresh_here(context.project, context.journal)
    finally:
        registry.close()
    context.log(sentence(report))
    if report.verdict is not Verdict.PASS:
        raise GateRefused(report)
    return results_of(report)


def _outside(kind: str, context: StepContext, candidate: Version) -> Outside:
    """Returns a check that needs replicas and traffic: it belongs to a room above this one, and is loaded when the
    gate has such a check."""

    def judge(check: Check) -> Sequence[CheckResult]:
        return plugins.load("checks", kind)(context, check, candidate)

    return judge


def _candidate(context: StepContext) -> tuple[str, int]:
    model = context.model
    number = context.options.get("version") or context.upstream_version(model)
    if number is None:
        raise UsageError(
            "the gate has no version to judge",
            hint="Put a step with `uses: register` before it, or give it `version:`.",
        )
    return model, int(number)


def champion_of(registry: Registry, model: str) -> tuple[Version | None, str]:
    """Returns (the champion, "") or (None, why there should be one but is not). Without any alias there is no
    problem: the first version has nothing to be compared with."""
    number = registry.aliases(model).get(CHAMPION)
    if number is None:
        return None, ""
    try:
        return registry.version(model, number), ""
    except NotFound:
        return (
            None,
            (
                f"the alias champion of {model} points at version {number}, which does not exist; promote an existing"
                " version first"
            ),
        )


def _keep(context: StepContext, registry: Registry, report: GateReport, candidate: Version) -> None:
    """Stores the report, first in the journal: promote asks the journal, and the report must not be lost because a
    server is slow."""
    context.journal.gates.add(report)
    context.journal.versions.update(
        replace(candidate, verdict=report.verdict, tags={**candidate.tags, TAG_VERDICT: str(report.verdict)})
    )
    registry.set_tag(report.model, report.version, TAG_VERDICT, str(report.verdict))
    if candidate.mlflow_run:
        registry.log_report(candidate.mlflow_run, f"podium/gate-{report.gate}.json", to_json(report))
        registry.log_report(candidate.mlflow_run, f"podium/gate-{report.gate}.md", to_markdown(report))
