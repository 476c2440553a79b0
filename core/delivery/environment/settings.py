"""With which settings of podium.yaml each replica and the proxy were started: a setting that changes counts for what
starts after it. What is kept are digests, as clients' tokens are among the settings."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...domain.delivery import Replica
from ...domain.project import Environment, Project

if TYPE_CHECKING:
    from .runtime import EnvironmentRuntime

_DIGITS = 16


def changed(runtime: EnvironmentRuntime, replica: Replica) -> tuple[str, ...]:
    """Returns the keys of `environments.NAME` that say something else now than when the replica was started; none for
    one of which that is not known."""
    noted = _read(runtime).get(replica.id, {})
    now = _now(runtime.project, runtime.environment) if noted else {}
    return tuple(key for key, digest in now.items() if noted.get(key, digest) != digest)


def stale(runtime: EnvironmentRuntime, version: int) -> list[Replica]:
    """Returns the replicas of a version that run with other settings than podium.yaml's."""
    return [row for row in runtime.running(version) if changed(runtime, row)]


def note(runtime: EnvironmentRuntime, replica: Replica) -> None:
    """Notes that a replica is started with the settings of now."""
    with runtime.journal.transaction():
        rows = {row.id for row in runtime.replicas()}
        kept = {name: each for name, each in _read(runtime).items() if name in rows}
        kept[replica.id] = _now(runtime.project, runtime.environment)
        runtime.journal.values.set(_key(runtime), json.dumps(kept, separators=(",", ":")))


def changed_of_proxy(runtime: EnvironmentRuntime) -> tuple[str, ...]:
    """Returns the keys of `environments.NAME` that say something else now than when the proxy got its configuration;
    none where that is not known."""
    noted = json.loads(runtime.journal.values.get(_proxy_key(runtime)) or "{}")
    return tuple(key for key, digest in _now_of_proxy(runtime.environment).items() if noted.get(key, digest) != digest)


def note_proxy(runtime: EnvironmentRuntime) -> None:
    """Notes that the proxy has the settings of now."""
    said = json.dumps(_now_of_proxy(runtime.environment), separators=(",", ":"))
    if runtime.journal.values.get(_proxy_key(runtime)) != said:
        runtime.journal.values.set(_proxy_key(runtime), said)


def _proxy_key(runtime: EnvironmentRuntime) -> str:
    return f"proxy settings {runtime.name}"


def _now_of_proxy(environment: Environment) -> dict[str, str]:
    said: dict[str, Any] = {
        "bind": environment.bind,
        "port": environment.port,
        "request": asdict(environment.request),
        "tls": environment.https and asdict(environment.https),
        "auth": environment.auth and asdict(environment.auth),
        "limits": asdict(environment.limits),
    }
    if environment.hosts:
        said["hosts"] = sorted(host.name for host in environment.hosts)
        said |= {"peer_port": environment.between, "trusted_network": environment.trusted_network}
        said["stale"] = environment.stale
    return _digests(said)


def _key(runtime: EnvironmentRuntime) -> str:
    return f"replica settings {runtime.name}"


def _read(runtime: EnvironmentRuntime) -> dict[str, dict[str, str]]:
    return json.loads(runtime.journal.values.get(_key(runtime)) or "{}")


def _now(project: Project, environment: Environment) -> dict[str, str]:
    said: dict[str, Any] = {
        "capture": environment.capture,
        "redact": environment.redact,
        "key": environment.key,
        "feedback": [asdict(environment.feedback), environment.bind, _tokens(project, environment)],
        "batch": environment.batch and asdict(environment.batch),
        "request": asdict(environment.request),
        "cpus": environment.cpus,
        "memory": environment.memory,
        "constraints": environment.constraints,
    }
    return _digests(said)


def _digests(said: dict[str, Any]) -> dict[str, str]:
    return {
        key: hashlib.sha256(json.dumps(each, sort_keys=True, default=dict).encode()).hexdigest()[:_DIGITS]
        for key, each in said.items()
    }


def _tokens(project: Project, environment: Environment) -> str:
    """Returns what the file with tokens says; empty without one, and for one that cannot be read."""
    with suppress(OSError, ValueError):
        if environment.feedback.token_file:
            return (project.home / environment.feedback.token_file).read_text(encoding="utf-8")
    return ""
