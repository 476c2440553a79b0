"""cluster: what the Ray cluster has, who uses it, and what waits."""

from __future__ import annotations

from typing import Any

from ....core.cockpit import Cockpit
from ....core.domain.machines.cluster import ClusterJob, ClusterNode, ClusterStatus, Share
from ....core.domain.text.format import ago, moment
from ...options import Output
from ...text import diagnostics, output
from ...text.output import Column, Format

_NODES = (
    Column("NODE"),
    Column("STATE", states=True),
    Column("CPUS", right=True),
    Column("GPUS", right=True),
    Column("MEMORY", right=True),
    Column("OTHER", flexible=True),
)
_JOBS = (
    Column("JOB", flexible=True),
    Column("STATE", states=True),
    Column("WHOSE", flexible=True),
    Column("ASKS FOR"),
    Column("NODE"),
    Column("SINCE"),
    Column("WAITS", flexible=True),
)


def cluster(cockpit: Cockpit, output_format: Output = Format.TABLE) -> int:
    """Show the nodes of the Ray cluster with what is in use of them, who uses it, and what waits.

    \b
    Example:
      podium cluster
      podium cluster -o json
    """
    found = cockpit.runs.cluster()
    if output_format is Format.JSON:
        output.document(shape(found))
        return diagnostics.DONE
    output.rows(output_format, _NODES, [_node(each) for each in found.nodes], ())
    if found.jobs:
        if output_format is Format.TABLE:
            output.line()
        output.rows(output_format, _JOBS, [_job(each) for each in found.jobs], ())
    if found.demands:
        diagnostics.note(f"not to be had now: {'; '.join(found.demands)}", style="yellow")
    return diagnostics.DONE


def shape(found: ClusterStatus) -> dict[str, Any]:
    """Returns the cluster as JSON has it."""
    return {
        "address": found.address,
        "version": found.version,
        "nodes": [
            {
                "id": node.id,
                "address": node.address,
                "head": node.head,
                "alive": node.alive,
                "cpus": vars_of(node.cpus),
                "gpus": vars_of(node.gpus),
                "memory": vars_of(node.memory),
                "others": {name: vars_of(share) for name, share in node.others.items()},
                "message": node.message,
            }
            for node in found.nodes
        ],
        "jobs": [
            {
                "id": job.id,
                "state": job.status,
                "node": job.node,
                "project": job.project,
                "run": int(job.run) if job.run.isdecimal() else None,
                "step": job.step,
                "asks": job.asks,
                "since": moment(job.since),
                "waits": job.waits,
            }
            for job in found.jobs
        ],
        "demands": list(found.demands),
    }


def vars_of(share: Share) -> dict[str, float]:
    return {"used": share.used, "total": share.total}


def _node(node: ClusterNode) -> tuple[str, ...]:
    name = node.address + (" (head)" if node.head else "")
    others = ", ".join(f"{name} {_of(share)}" for name, share in node.others.items())
    state = "alive" if node.alive else "dead"
    return name, state, _of(node.cpus), _of(node.gpus), _gib(node.memory), others or node.message


def _job(job: ClusterJob) -> tuple[str, ...]:
    whose = f"run {job.run} of {job.project} ({job.step})" if job.project else ""
    return job.id, job.status, whose, job.asks, job.node, ago(job.since) if job.since else "", job.waits


def _of(share: Share) -> str:
    return f"{share.used:g} of {share.total:g}" if share.total else "none"


def _gib(share: Share) -> str:
    return f"{share.used / 2**30:.1f} of {share.total / 2**30:.1f} GiB" if share.total else ""
