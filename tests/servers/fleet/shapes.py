"""The documents of a Docker engine (20.10, API 1.41), with the fields that have a size or a meaning."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

API_VERSION = "1.41"
VERSION = {
    "Platform": {"Name": ""},
    "Components": [{"Name": "Engine", "Version": "20.10.24", "Details": {"ApiVersion": API_VERSION}}],
    "Version": "20.10.24",
    "ApiVersion": API_VERSION,
    "MinAPIVersion": "1.12",
    "GoVersion": "go1.19.8",
    "Os": "linux",
    "Arch": "amd64",
}
NEVER = "0001-01-01T00:00:00Z"
# cgroup version 1: three quarters of what an engine sends of a container each second.
_MEMORY_NAMES = (
    "active_anon active_file cache dirty hierarchical_memory_limit hierarchical_memsw_limit inactive_anon inactive_file"
    " mapped_file pgfault pgmajfault pgpgin pgpgout rss rss_huge unevictable writeback"
)
_MEMORY = _MEMORY_NAMES.split()
_MEMORY_STATS = {
    **dict.fromkeys(_MEMORY, 8_192_000),
    **dict.fromkeys((f"total_{each}" for each in _MEMORY if not each.startswith("hierarchical")), 8_192_000),
}
_BLKIO_NAMES = (
    "io_service_bytes_recursive io_serviced_recursive io_queue_recursive io_service_time_recursive"
    " io_wait_time_recursive io_merged_recursive io_time_recursive sectors_recursive"
)
_BLKIO = _BLKIO_NAMES.split()
_THROTTLING = {"periods": 0, "throttled_periods": 0, "throttled_time": 0}


def stamp(at: float) -> str:
    """A time as engines write it."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at % 1 * 1e9):09d}Z"


def endpoint(network: str, address: str, *, wanted: str, gateway: str) -> dict[str, Any]:
    """A container's place in a network."""
    return {
        "IPAMConfig": {"IPv4Address": wanted} if wanted else None,
        "Links": None,
        "Aliases": None,
        "NetworkID": network,
        "EndpointID": "e" * 64 if address else "",
        "Gateway": gateway if address else "",
        "IPAddress": address,
        "IPPrefixLen": 24 if address else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": "02:42:0a:ca:80:02" if address else "",
        "DriverOpts": None,
    }


def network(identity: str, name: str, subnet: str, labels: Mapping[str, str], containers: object) -> dict[str, Any]:
    return {
        "Name": name,
        "Id": identity,
        "Created": stamp(time.time()),
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": subnet, "Gateway": subnet.replace(".0/24", ".1")}],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "Containers": containers,
        "Options": {},
        "Labels": dict(labels),
    }


def volume(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "CreatedAt": "2026-01-01T00:00:00Z",
        "Driver": "local",
        "Labels": dict(labels),
        "Mountpoint": f"/var/lib/docker/volumes/{name}/_data",
        "Name": name,
        "Options": None,
        "Scope": "local",
    }


def image(reference: str, identity: str) -> dict[str, Any]:
    return {
        "Id": identity,
        "RepoTags": [reference] if not reference.startswith("sha256:") else [],
        "RepoDigests": [],
        "Parent": "",
        "Created": "2026-01-01T00:00:00Z",
        "Config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/sh"], "Labels": {}, "Entrypoint": None},
        "Architecture": "amd64",
        "Os": "linux",
        "Size": 25_994_428,
        "RootFS": {"Type": "layers", "Layers": ["sha256:" + "a" * 64]},
        "Metadata": {"LastTagTime": "2026-01-01T00:00:00Z"},
    }


def stats(identity: str, name: str, at: float, cpu_ns: int, received: int) -> dict[str, Any]:
    """What a container has used, as it is sent once a second."""

    def used(nanoseconds: int) -> dict[str, Any]:
        return {
            "cpu_usage": {
                "total_usage": nanoseconds,
                "percpu_usage": [nanoseconds // 2, nanoseconds // 2],
                "usage_in_kernelmode": 0,
                "usage_in_usermode": nanoseconds,
            },
            "system_cpu_usage": int(at * 2e9),
            "online_cpus": 2,
            "throttling_data": _THROTTLING,
        }

    counted = ("packets", "errors", "dropped")
    return {
        "read": stamp(at),
        "preread": stamp(at - 1),
        "pids_stats": {"current": 12},
        "blkio_stats": {each: [] for each in _BLKIO},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": used(cpu_ns),
        "precpu_stats": used(max(0, cpu_ns - 20_000_000)),
        "memory_stats": {
            "usage": 240_000_000,
            "max_usage": 260_000_000,
            "stats": _MEMORY_STATS,
            "limit": 25_276_510_208,
        },
        "name": f"/{name}",
        "id": identity,
        "networks": {
            "eth0": {
                "rx_bytes": received,
                "tx_bytes": received,
                **{f"{way}_{what}": 0 for way in ("rx", "tx") for what in counted},
            }
        },
    }


def event(kind: str, action: str, identity: str, attributes: Mapping[str, str]) -> dict[str, Any]:
    now = time.time()
    told = {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": identity, "Attributes": dict(attributes)},
        "scope": "local",
        "time": int(now),
        "timeNano": int(now * 1e9),
    }
    return (
        {"status": action, "id": identity, "from": attributes.get("image", ""), **told} if kind == "container" else told
    )
