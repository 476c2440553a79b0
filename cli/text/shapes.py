"""The JSON that commands print, a function for each kind of thing. docs/cli.md lists every field, and a test compares
the two. Fields are only ever added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...core.domain.access.clients import Token
from ...core.domain.text.format import moment

if TYPE_CHECKING:
    from ...core.domain.attention import Need
    from ...core.domain.comparisons import Comparison
    from ...core.domain.delivery import (
        CanaryStatus,
        Deployment,
        EnvironmentStatus,
        Quarantined,
        Replica,
        RolloutUnderWay,
        Stopped,
    )
    from ...core.domain.models import Lineage, MetricPoint, Model, Version
    from ...core.domain.plans import Plan
    from ...core.domain.repair import Difference
    from ...core.domain.runs import Run, Step
    from ...core.domain.verdicts import GateReport, VersionVerdict
    from ...core.domain.watching import (
        AgentStatus,
        Backup,
        Finding,
        Pruned,
        Restored,
        ScheduleStatus,
        Service,
        WatchedProject,
        WatchedTogether,
    )
    from ...core.domain.why.answers import ServedAt
    from ...core.errors import Problem


def seconds(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(end - start, 3)


def run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "kind": run.kind,
        "name": run.name,
        "state": run.state.value,
        "trigger": run.trigger.value,
        "who": run.who,
        "why": run.why,
        "commit": run.commit,
        "branch": run.branch,
        "dirty": run.dirty,
        "params": dict(run.params),
        "jobs": run.jobs,
        "workspace": run.workspace,
        "created": moment(run.created),
        "started": moment(run.started),
        "ended": moment(run.ended),
        "seconds": seconds(run.started, run.ended),
        "message": run.message,
    }


def step(step: Step, log: str = "") -> dict[str, Any]:
    return {
        "name": step.name,
        "state": step.state.value,
        "needs": list(step.needs),
        "uses": step.uses,
        "command": step.command,
        "attempt": step.attempt,
        "cached": step.cached,
        "origin": step.origin,
        "key": step.key,
        "exit_code": step.exit_code,
        "started": moment(step.started),
        "ended": moment(step.ended),
        "seconds": seconds(step.started, step.ended),
        "message": step.message,
        "results": dict(step.results),
        "log": log,
    }


def version(version: Version, verdicts: Sequence[VersionVerdict] = ()) -> dict[str, Any]:
    return {
        "model": version.model,
        "version": version.version,
        "created": moment(version.created),
        "status": version.status,
        "aliases": list(version.aliases),
        "verdict": version.verdict.value if version.verdict else None,
        "commit": version.commit,
        "run": version.run_id,
        "mlflow_run": version.mlflow_run,
        "source": version.source,
        "digest": version.digest,
        "metrics": dict(version.metrics),
        "params": dict(version.params),
        "tags": dict(version.tags),
        "learned_from": asdict(version.learned) if version.learned is not None else None,
        "description": version.description,
        "verdicts": [verdict(each) for each in verdicts],
    }


def verdict(each: VersionVerdict) -> dict[str, Any]:
    """Returns one thing that a version met on its way."""
    return {
        "source": each.source.value,
        "verdict": each.verdict.value,
        "environment": each.environment,
        "gate": each.gate,
        "champion": each.champion,
        "at": moment(each.at),
        "who": each.who,
        "words": each.words,
        "run": each.run_id,
    }


def model(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "versions": model.versions,
        "latest": model.latest,
        "aliases": dict(model.aliases),
        "updated": moment(model.updated),
    }


def point(point: MetricPoint) -> dict[str, Any]:
    return {"step": point.step, "at": moment(point.at), "value": point.value}


def comparison(
    comparison: Comparison, document: Mapping[str, Any], verdicts: Mapping[int, Sequence[VersionVerdict]]
) -> dict[str, Any]:
    """`document` is what the comparison itself says of subjects and rows."""
    return {
        "versions": [version(each, verdicts.get(each.version, ())) for each in comparison.versions],
        **document,
    }


def lineage(row: Lineage) -> dict[str, Any]:
    return {
        "commit": row.commit,
        "run": row.run_id,
        "mlflow_run": row.mlflow_run,
        "model": row.model,
        "version": row.version,
        "aliases": list(row.aliases),
        "verdict": row.verdict.value if row.verdict else None,
        "digest": row.digest,
        "environment": row.environment,
        "replicas": list(row.replicas),
        "share": row.share,
        "image": row.image,
        "verdicts": [verdict(each) for each in row.verdicts],
        "learned_from": asdict(row.learned) if row.learned is not None else None,
    }


def service(one: Service) -> dict[str, Any]:
    return {**asdict(one), "did": list(one.did), "next": list(one.next)}


def backup(one: Backup) -> dict[str, Any]:
    return {**asdict(one), "warnings": list(one.warnings)}


def restored(one: Restored) -> dict[str, Any]:
    return {**asdict(one), "created": moment(one.created), "next": list(one.next)}


def pruned(one: Pruned) -> dict[str, Any]:
    return {"kind": one.kind, "entries": one.entries, "size": one.size, "why": one.why}


def gate(report: GateReport) -> dict[str, Any]:
    return {
        "gate": report.gate,
        "model": report.model,
        "version": report.version,
        "champion": report.champion,
        "verdict": report.verdict.value,
        "checks": [{**asdict(check), "verdict": check.verdict.value} for check in report.checks],
        "at": moment(report.at),
        "run": report.run_id,
        "data": report.data,
        "rows": report.rows,
        "data_digest": report.data_digest,
        "metrics": dict(report.metrics),
    }


def replica(replica: Replica) -> dict[str, Any]:
    return {
        "id": replica.id,
        "version": replica.version,
        "state": replica.state.value,
        "port": replica.port,
        "pid": replica.pid,
        "weight": replica.weight,
        "restarts": replica.restarts,
        "started": moment(replica.started),
        "digest": replica.digest,
        "message": replica.message,
        "address": replica.address,
        "container": replica.container,
        "image": replica.image,
    }


def served_at(one: ServedAt) -> dict[str, Any]:
    return {
        "environment": one.environment,
        "time": moment(one.at),
        "version": one.version,
        "until": moment(one.until),
        "deployment": deployment(one.deployment) if one.deployment is not None else None,
        "under_way": deployment(one.under_way) if one.under_way is not None else None,
        "stopped": one.stopped,
        "stopped_at": moment(one.stopped_at),
    }


def deployment(row: Deployment) -> dict[str, Any]:
    return {
        "id": row.id,
        "environment": row.environment,
        "how": row.how.value,
        "state": row.state.value,
        "model": row.model,
        "from": row.from_version,
        "to": row.to_version,
        "commit": row.commit,
        "digest": row.digest,
        "strategy": row.strategy,
        "forced": row.forced,
        "run": row.run_id,
        "who": row.who,
        "why": row.why,
        "at": moment(row.at),
        "ended": moment(row.ended),
        "seconds": seconds(row.at, row.ended),
        "message": row.message,
    }


def canary(status: CanaryStatus) -> dict[str, Any]:
    return {
        "environment": status.environment,
        "deployment": status.deployment,
        "run": status.run_id,
        "version": status.version,
        "from": status.from_version,
        "state": status.state.value,
        "stage": status.stage,
        "weights": list(status.weights),
        "share": status.share,
        "since": moment(status.since),
        "until": moment(status.until),
        "verdict": status.verdict.value if status.verdict else None,
        "checks": [{**asdict(check), "verdict": check.verdict.value} for check in status.results],
        "message": status.message,
    }


def rollout(under_way: RolloutUnderWay) -> dict[str, Any]:
    return {
        "deployment": under_way.deployment,
        "how": under_way.how.value,
        "version": under_way.version,
        "from": under_way.from_version,
        "does": under_way.does,
        "phase": under_way.phase,
        "phases": under_way.phases,
        "run": under_way.run_id,
    }


def environment(status: EnvironmentStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "model": status.model,
        "driver": status.driver,
        "url": status.url,
        "protected": status.protected,
        "carries": status.carries,
        "strategy": status.strategy,
        "serving": status.serving,
        "previous": status.previous,
        "proxy_alive": status.proxy_alive,
        "locked_by": status.locked_by,
        "health": status.health.condition.value,
        "health_words": status.health.words,
        "differences": [each.words for each in status.differences],
        "details": [difference(each) for each in status.differences],
        "rollback": {"to": status.rollback_to, "seconds": status.rollback_seconds, "note": status.rollback_note},
        "replicas": [replica(each) for each in status.replicas],
        "deployment": deployment(status.deployment) if status.deployment else None,
        "canary": canary(status.canary) if status.canary else None,
        "traffic": {str(version): round(share, 4) for version, share in status.traffic.items()},
        "rollout": rollout(status.rollout) if status.rollout else None,
        "stopped": stopped(status.stopped) if status.stopped else None,
    }


def stopped(one: Stopped) -> dict[str, Any]:
    return {"who": one.who, "at": moment(one.at), "why": one.why, "run": one.run_id}


def need(each: Need) -> dict[str, Any]:
    return {
        "urgency": each.urgency,
        "reason": each.reason.value,
        "subject": each.subject,
        "words": each.words,
        "command": each.command,
        "environment": each.environment,
        "run": each.run_id,
        "version": each.version,
    }


def difference(each: Difference) -> dict[str, Any]:
    return {
        "kind": each.kind.value,
        "subject": each.subject,
        "words": each.words,
        "severity": each.severity.value,
        "repair": each.repair,
    }


def repair(plan: Plan) -> dict[str, Any]:
    """Returns a plan to repair an environment or to restart one replica."""
    return {
        "environment": plan.target,
        "restart": plan.arguments.get("restart", ""),
        "differences": [difference(each) for each in plan.differences],
        "steps": list(plan.steps),
        "command": plan.command,
        "warnings": list(plan.warnings),
        "refusal": plan.refusal,
        "nothing_to_do": plan.nothing_to_do,
        "type_to_confirm": plan.type_to_confirm,
        "expected_seconds": plan.expected_seconds,
    }


def plan(plan: Plan) -> dict[str, Any]:
    """Returns a plan to change what an environment serves, or whose a copied project is."""
    versions = plan.versions
    return {
        "how": plan.verb,
        "environment": plan.target,
        "model": versions.model if versions else "",
        "version": versions.version if versions else None,
        "from": versions.from_version if versions else None,
        "changes": [asdict(change) for change in plan.changes],
        "steps": list(plan.steps),
        "command": plan.command,
        "warnings": list(plan.warnings),
        "refusal": plan.refusal,
        "nothing_to_do": plan.nothing_to_do,
        "force": plan.overridable,
        "type_to_confirm": plan.type_to_confirm,
        "expected_seconds": plan.expected_seconds,
    }


def quarantined(row: Quarantined) -> dict[str, Any]:
    return {
        "model": row.model,
        "version": row.version,
        "commit": row.commit,
        "at": moment(row.at),
        "who": row.who,
        "why": row.why,
    }


def agent(status: AgentStatus) -> dict[str, Any]:
    return {
        "alive": status.alive,
        "pid": status.pid,
        "host": status.host,
        "who": status.who,
        "started": moment(status.started),
        "heartbeat": moment(status.heartbeat),
        "message": status.message,
        "trouble": status.trouble,
        "troubles": [
            {"subject": each.subject, "words": each.words, "since": moment(each.at)} for each in status.troubles
        ],
    }


def together(found: WatchedTogether, agents: Mapping[str, AgentStatus | None]) -> dict[str, Any]:
    return {
        "pid": found.pid,
        "started": moment(found.started),
        "who": found.who,
        "listen": found.listen,
        "projects": [watched_project(each, agents.get(each.home)) for each in found.projects],
    }


def watched_project(project: WatchedProject, status: AgentStatus | None) -> dict[str, Any]:
    return {
        "home": project.home,
        "state": project.state.value,
        "words": project.words,
        "pid": project.pid,
        "starts": project.starts,
        "since": moment(project.since),
        "retry": moment(project.retry),
        "agent": agent(status) if status is not None else None,
    }


def finding(finding: Finding) -> dict[str, Any]:
    return {
        "health": finding.health.value,
        "subject": finding.subject,
        "message": finding.message,
        "hint": finding.hint,
    }


def schedule(status: ScheduleStatus) -> dict[str, Any]:
    return {
        "pipeline": status.pipeline,
        "schedule": status.schedule,
        "next": moment(status.next),
        "missed": moment(status.missed),
        "held": list(status.held),
        "run": None if status.run is None else run(status.run),
    }


def problem(problem: Problem) -> dict[str, Any]:
    return asdict(problem)


def token(found: Token) -> dict[str, Any]:
    return {
        "environment": found.environment,
        "name": found.name,
        "for": str(found.scope),
        "digest": found.digest,
        "at": moment(found.at),
        "who": found.who,
    }
