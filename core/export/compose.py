"""Writes an environment as a Compose file. Specification: github.com/compose-spec/compose-spec."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..domain.engines.exports import ExportedEnvironment, Served
from .haproxy import configuration
from .writing import document, head, lineage, name_of, replica_variables

FILE, PROXY_FILE = "compose.yaml", "haproxy.cfg"
_PROXY_CONFIG = "/usr/local/etc/haproxy/haproxy.cfg"
_SCRATCH_BYTES = 256 << 20
_MAX_PROCESSES = 512
_HARDENED: Mapping[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "restart": "unless-stopped",
}


def files(facts: ExportedEnvironment) -> dict[str, str]:
    """Returns the files by name."""
    names = tuple(f"v{one.version}" for one in facts.served)
    services: dict[str, Any] = {"proxy": _proxy(facts, names)}
    services |= {name: _replicas(facts, one) for name, one in zip(names, facts.served, strict=True)}
    top = head(facts, ["Only services of this file reach the replicas; clients reach the proxy."])
    return {FILE: top + document({"services": services}), PROXY_FILE: head(facts) + configuration(facts, names)}


def commands(facts: ExportedEnvironment) -> tuple[str, ...]:
    """Returns what starts it, in its directory. The older program honours `deploy` only when it is told to."""
    project = name_of(facts.project, facts.environment.name)
    return (f"docker compose -p {project} up -d", f"docker-compose --compatibility -p {project} up -d")


def _proxy(facts: ExportedEnvironment, names: tuple[str, ...]) -> dict[str, Any]:
    environment = facts.environment
    return {
        "image": escaped(environment.proxy_image),
        "ports": [f"{_published(facts)}{environment.port}:{environment.port}"],
        "volumes": [f"./{PROXY_FILE}:{_PROXY_CONFIG}:ro"],
        "depends_on": list(names),
        **_HARDENED,
    }


def _published(facts: ExportedEnvironment) -> str:
    """Returns where clients may come from: this machine, unless the file says that everybody may."""
    environment = facts.environment
    if not environment.open or environment.auth is not None:
        return "127.0.0.1:"
    return f"[{environment.bind}]:" if ":" in environment.bind else f"{environment.bind}:"


def _replicas(facts: ExportedEnvironment, one: Served) -> dict[str, Any]:
    environment = facts.environment
    limits = {
        **({"cpus": f"{environment.cpus:g}"} if environment.cpus else {}),
        **({"memory": f"{environment.memory}b"} if environment.memory else {}),
    }
    return {
        "image": escaped(one.image),
        "environment": {key: escaped(value) for key, value in replica_variables(facts, one).items()},
        "labels": {key: escaped(value) for key, value in lineage(facts, one).items()},
        "deploy": {"replicas": environment.replicas, **({"resources": {"limits": limits}} if limits else {})},
        "tmpfs": [f"{path}:size={_SCRATCH_BYTES},mode=1777" for path in facts.writable],
        "init": True,
        "pids_limit": _MAX_PROCESSES,
        "stop_grace_period": f"{math.ceil(environment.strategy.drain)}s",
        **_HARDENED,
    }


def escaped(text: str) -> str:
    """Returns a text in which Compose finds no variable."""
    return text.replace("$", "$$")
