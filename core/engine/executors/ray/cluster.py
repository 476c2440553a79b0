"""What a Ray cluster has, who uses it, and what waits (`podium cluster`). Whatever a head answers is text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ....domain.finite import finite, time_of
from ....domain.machines.cluster import ClusterJob, ClusterNode, ClusterStatus, Share
from ....domain.text import one_line
from .jobs import FINAL, Jobs

_KNOWN = {"CPU": "cpus", "GPU": "gpus", "memory": "memory"}
_MAX_WORDS = 300
_MAX_NODES = 10_000  # as many as Ray tells of; a hundred if it is not asked for more


def status(address: str) -> ClusterStatus:
    """Asks the cluster. Raises Unreachable."""
    jobs = Jobs(address)
    try:
        version = jobs.ask("/api/version")
        nodes = _dig(jobs.ask(f"/api/v0/nodes?detail=true&limit={_MAX_NODES}"), "data", "result", "result")
        report = _dig(jobs.ask("/api/cluster_status"), "data", "clusterStatus", "loadMetricsReport")
        listed = jobs.all()
    finally:
        jobs.close()
    usage: dict[str, Any] = _map(_map(report).get("usageByNode"))
    found = tuple(_node(each, _map(usage.get(str(_map(each).get("node_id"))))) for each in _list(nodes))
    names = {node.id: node.address for node in found}
    return ClusterStatus(
        address,
        _text(version.get("ray_version")),
        tuple(sorted(found, key=lambda node: (not node.alive, not node.head, node.address))),
        tuple(_job(each, names) for each in listed if str(each.get("status")) not in FINAL),
        tuple(_demands(_list(_map(report).get("resourceDemand")))),
    )


def _node(found: Any, usage: Mapping[str, Any]) -> ClusterNode:
    node = _map(found)
    total = {name: value for name, value in _map(node.get("resources_total")).items() if _is_figure(value)}
    shares = {name: Share(_used(usage.get(name)), float(value)) for name, value in total.items() if not _internal(name)}
    return ClusterNode(
        _text(node.get("node_id")),
        _text(node.get("node_ip")),
        bool(node.get("is_head_node")),
        node.get("state") == "ALIVE",
        shares.get("CPU", Share()),
        shares.get("GPU", Share()),
        shares.get("memory", Share()),
        {_text(name): share for name, share in shares.items() if name not in _KNOWN},
        _text(node.get("state_message")),
    )


def _internal(name: str) -> bool:
    return name.startswith("node:") or name == "object_store_memory"


def _used(pair: Any) -> float:
    values = _list(pair)
    return float(values[0]) if values and _is_figure(values[0]) else 0.0


def _job(found: Mapping[str, Any], names: Mapping[str, str]) -> ClusterJob:
    metadata = {str(key): _text(value) for key, value in _map(found.get("metadata")).items()}
    started = finite(found.get("start_time"))  # milliseconds
    waits = _text(found.get("message")) if found.get("status") == "PENDING" else ""
    return ClusterJob(
        _text(found.get("submission_id") or found.get("job_id")),
        _text(str(found.get("status"))).lower(),
        names.get(_text(found.get("driver_node_id")), ""),
        metadata.get("project", ""),
        metadata.get("run", ""),
        metadata.get("step", ""),
        metadata.get("asks", ""),
        time_of(started / 1000) if started is not None else None,
        waits,
    )


def _demands(found: list[Any]) -> Iterator[str]:
    for each in found:
        pair = _list(each)
        if len(pair) == 2 and isinstance(pair[0], dict):
            asked = {name: value for name, value in _map(pair[0]).items() if _is_figure(value) and not _internal(name)}
            wanted = ", ".join(f"{value:g} {_text(name)}" for name, value in asked.items())
            yield f"{_text(pair[1])} × {wanted or 'nothing'}"


def _is_figure(value: Any) -> bool:
    return finite(value) is not None


def _text(found: Any) -> str:
    """Returns what a head says in one line, which does nothing."""
    return one_line(str(found or ""))[:_MAX_WORDS]


def _dig(found: Any, *names: str) -> Any:
    for name in names:
        found = _map(found).get(name)
    return found


def _map(found: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _list(found: Any) -> list[Any]:
    return cast("list[Any]", found) if isinstance(found, list) else []
