"""cluster: what steps have of this machine and of the Ray cluster, who has it, and what waits."""

from __future__ import annotations

from typing import Any

from ....core.cockpit import Cockpit
from ....core.domain.machines.cluster import ClusterJob, ClusterNode, ClusterStatus, Share
from ....core.domain.machines.machine import MachineClaim, MachineStatus
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


_CLAIMS = (
    Column("STEP", flexible=True),
    Column("STATE", states=True),
    Column("WHO"),
    Column("ASKS FOR", flexible=True),
    Column("GPUS"),
    Column("SINCE"),
    Column("WAITS", flexible=True),
)


def cluster(cockpit: Cockpit, output_format: Output = Format.TABLE) -> int:
    """Show what steps have of this machine and of the Ray cluster, who has it, and what waits.

    \b
    Example:
      podium cluster
      podium cluster -o json
    """
    machine = cockpit.runs.machine()
    if output_format is Format.JSON:
        output.document(shape(machine, cockpit.runs.cluster()))
        return diagnostics.DONE
    _show_machine(machine, output_format)
    found = cockpit.runs.cluster()
    if found is not None:
        _show_cluster(found, output_format)
    return diagnostics.DONE


def _show_machine(machine: MachineStatus, output_format: Format) -> None:
    if output_format is Format.TABLE:
        output.line(machine.words)
        for gpu in machine.gpus:
            output.line(f"  {gpu.words}{f', {gpu.whose}' if gpu.whose else ''}")
    if machine.claims:
        output.rows(output_format, _CLAIMS, [_claim(each) for each in machine.claims], ())


def _show_cluster(found: ClusterStatus, output_format: Format) -> None:
    if output_format is Format.TABLE:
        output.line()
        output.line(f"Ray {found.version} at {found.address}")
    output.rows(output_format, _NODES, [_node(each) for each in found.nodes], ())
    if found.jobs:
        if output_format is Format.TABLE:
            output.line()
        output.rows(output_format, _JOBS, [_job(each) for each in found.jobs], ())
    if found.demands:
        diagnostics.note(f"not to be had now: {'; '.join(found.demands)}", style="yellow")


def shape(machine: MachineStatus, found: ClusterStatus | None) -> dict[str, Any]:
    """Returns machine and cluster as JSON has them."""
    return {"machine": _machine_shape(machine), **_cluster_shape(found or ClusterStatus("", "", (), ()))}


def _machine_shape(machine: MachineStatus) -> dict[str, Any]:
    return {
        "host": machine.host,
        "queue": not machine.off,
        "cpus": vars_of(machine.cpus),
        "memory": vars_of(machine.memory),
        "gpus": [{"number": gpu.number, "words": gpu.words, "whose": gpu.whose} for gpu in machine.gpus],
        "steps": [
            {
                "project": each.project,
                "run": each.run,
                "step": each.step,
                "who": each.user,
                "state": each.state,
                "asks": each.asks,
                "gpus": list(each.gpus),
                "since": moment(each.since),
                "waits": each.waits,
            }
            for each in machine.claims
        ],
    }


def _cluster_shape(found: ClusterStatus) -> dict[str, Any]:
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


def _claim(claim: MachineClaim) -> tuple[str, ...]:
    gpus, since = ", ".join(claim.gpus), ago(claim.since) if claim.since else ""
    return claim.whose, claim.state, claim.user, claim.asks, gpus, since, claim.waits


def _node(node: ClusterNode) -> tuple[str, ...]:
    return node.name, node.state, node.cpus.words, node.gpus.words, node.memory.gib, node.other_words


def _job(job: ClusterJob) -> tuple[str, ...]:
    return job.id, job.status, job.whose, job.asks, job.node, ago(job.since) if job.since else "", job.waits
