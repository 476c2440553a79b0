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
    from ...core.domain.containers import Container, Image, UnneededImage
    from ...core.domain.delivery import (
        CanaryStatus,
        Deployment,
        EnvironmentStatus,
        Quarantined,
        Replica,
        RolloutUnderWay,
        Stopped,
    )
    from ...core.domain.hosts import CiJob, CiRow, Workflow
    from ...core.domain.models import Comparison, Lineage, MetricPoint, Model, Version
    from ...core.domain.plans import Plan
    from ...core.domain.repair import Difference
    from ...core.domain.runs import Run, Step
    from ...core.domain.verdicts import GateReport, VersionVerdict
    from ...core.domain.watching import (
        AgentStatus,
        AuditCheck,
        AuditEntry,
        Backup,
        Finding,
        Pruned,
        Restored,
        ScheduleStatus,
        Service,
        WatchedProject,
        WatchedTogether,
    )
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


def comparison(comparison: Comparison, verdicts: Mapping[int, Sequence[VersionVerdict]]) -> dict[str, Any]:
    return {
        "versions": [version(each, verdicts.get(each.version, ())) for each in comparison.versions],
        "rows": [
            {"kind": row.kind, "name": row.name, "values": list(row.values), "differs": row.differs}
            for row in comparison.rows
        ],
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


def image(image: Image) -> dict[str, Any]:
    return {
        "model": image.model,
        "version": image.version,
        "engine": image.engine,
        "image_id": image.image_id,
        "reference": image.reference,
        "digest": image.digest,
        "tag": image.tag,
        "base": image.base,
        "model_layer": image.model_layer,
        "size": image.size,
        "seconds": image.seconds,
        "built": moment(image.built),
        "run": image.run_id,
        "sbom": image.sbom,
    }


def unneeded(image: UnneededImage) -> dict[str, Any]:
    return {
        "version": image.version,
        "name": image.name,
        "image_id": image.image_id,
        "size": image.size,
        "why": image.why,
        "engine": image.engine,
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


def container(one: Container, row: Replica | None, used: Mapping[str, float | None]) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "environment": one.environment,
        "role": one.role,
        "replica": one.replica,
        "version": one.version,
        "state": one.state,
        "health": one.health,
        "restarts": one.restarts,
        "exit_code": one.exit_code,
        "out_of_memory": one.out_of_memory,
        "image": one.image,
        "image_id": one.image_id,
        "address": one.address,
        "created": moment(one.created),
        "started": moment(one.started),
        "weight": row.weight if row is not None else None,
        "in_journal": row is not None if one.role == "replica" else None,
        "cpu": used.get("cpu"),
        "memory": used.get("memory"),
        "received": used.get("received"),
        "sent": used.get("sent"),
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


def audit_entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": moment(entry.at),
        "who": entry.who,
        "action": entry.action,
        "subject": entry.subject,
        "why": entry.why,
        "digest": entry.digest,
    }


def audit_check(check: AuditCheck) -> dict[str, Any]:
    return {
        "intact": check.intact,
        "entries": check.entries,
        "head": check.head,
        "problems": list(check.problems),
    }


def problem(problem: Problem) -> dict[str, Any]:
    return asdict(problem)


def ci_run(row: CiRow) -> dict[str, Any]:
    run = row.run
    return {
        "project": row.project,
        "host": row.host,
        "repo": run.repo,
        "id": run.id,
        "number": run.number,
        "attempt": run.attempt,
        "name": run.name,
        "state": run.state.value,
        "attention": row.attention.value,
        "branch": run.branch,
        "commit": run.sha,
        "event": run.event,
        "title": run.title,
        "actor": run.actor,
        "created": moment(run.created or None),
        "updated": moment(run.updated or None),
        "seen": moment(row.seen or None),
        "url": run.url,
        "parent": run.parent,
        "waits_for": [{"environment": each.environment, "may": each.may, "why": each.why} for each in row.approvals],
        "podium_run": row.podium.id if row.podium is not None else None,
        "podium_state": row.podium.state.value if row.podium is not None else None,
        "versions": [
            {
                "version": each.version,
                "aliases": list(each.aliases),
                "quarantined": bool(each.quarantined),
                "serves": {served.environment: served.share for served in each.served},
            }
            for each in row.versions
        ],
    }


def ci_job(job: CiJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state.value,
        "stage": job.stage,
        "started": moment(job.started or None),
        "ended": moment(job.ended or None),
        "reason": job.reason,
        "url": job.url,
        "child": {"repo": job.child.repo, "id": job.child.id} if job.child is not None else None,
        "steps": [{"number": step.number, "name": step.name, "state": step.state.value} for step in job.steps],
    }


def ci_workflow(workflow: Workflow) -> dict[str, Any]:
    return {
        "id": workflow.id,
        "name": workflow.name,
        "path": workflow.path,
        "inputs": list(workflow.inputs),
    }


def token(found: Token) -> dict[str, Any]:
    return {
        "environment": found.environment,
        "name": found.name,
        "for": str(found.scope),
        "digest": found.digest,
        "at": moment(found.at),
        "who": found.who,
    }
