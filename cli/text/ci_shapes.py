"""The JSON of CI runs of a Git host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.domain.text.format import moment

if TYPE_CHECKING:
    from ...core.domain.hosts import CiJob, CiRow, Workflow


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
                "model": each.model,
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
