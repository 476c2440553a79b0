"""Takes the snapshot of what an engine runs for an environment: one list, and a detailed look only at containers
that changed since the last one."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, cast

from ... import plugins
from ...domain.containers import Container, EngineSnapshot
from ...domain.project import Environment, Project
from ...errors import NotFound
from ..engine import labels
from ..engine.client import Engine
from . import services
from .moments import moment

_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")


def filters(project: Project, environment: str) -> list[str]:
    """Returns the labels that everything of an environment has, whatever its role."""
    return [
        f"{labels.PROJECT}={project.name}",
        f"{labels.HOME}={labels.home_id(project.home)}",
        f"{labels.ENVIRONMENT}={environment}",
    ]


def take(
    engine: Engine,
    project: Project,
    environment: Environment,
    before: EngineSnapshot | None = None,
    *,
    dirty: Collection[str] | None = None,
    host: str = "",
) -> EngineSnapshot:
    """Takes a snapshot of the environment's engine, or of that of one of its hosts. `before` is the previous one, and
    `dirty` holds the ids of containers with an event since then; those, and the ones that differ in the list, are
    inspected. Without `dirty` every container is inspected. Raises the errors of the engine."""
    now = time.time()
    known = {each.id: each for each in before.containers} if before is not None else {}
    found: list[Container] = []
    wanted = filters(project, environment.name)
    swarm = plugins.driver_capabilities(environment.driver).services
    for entry in engine.containers(wanted):
        if swarm and services.TASK_LABEL in (entry.get("Labels") or {}):
            continue  # its service is listed, wherever it runs
        old = known.get(str(entry["Id"]))
        if old is not None and dirty is not None and old.id not in dirty and _same(old, entry):
            found.append(old)
            continue
        try:
            fresh = replace(describe(engine.inspect(str(entry["Id"])), environment.name, now), host=host)
        except NotFound:
            continue
        found.append(old if old is not None and replace(fresh, seen=old.seen) == old else fresh)
    found += services.containers(engine, wanted, environment.name, now) if swarm else []
    return EngineSnapshot(
        environment.name, str(engine.address), now, tuple(sorted(found, key=lambda each: (each.role, each.name)))
    )


def merged(before: EngineSnapshot | None, fresh: Mapping[str, EngineSnapshot], address: str) -> EngineSnapshot:
    """Returns one snapshot of several hosts: those that were asked as they are now, the others as they were before.
    `address` is what it calls their engines."""
    old = [each for each in before.containers if each.host not in fresh] if before is not None else []
    new = [each for one in fresh.values() for each in one.containers]
    last = max(fresh.values(), key=lambda one: one.at)
    ordered = sorted([*old, *new], key=lambda each: (each.role, each.name, each.host))
    return EngineSnapshot(last.environment, address, last.at, tuple(ordered))


def _same(old: Container, entry: Mapping[str, Any]) -> bool:
    """Tells whether the engine's list shows no change of a container."""
    health = _HEALTH.search(str(entry.get("Status") or ""))
    networks = _networks(entry)
    return (old.state, old.health, old.networks) == (
        entry.get("State"),
        health[1] if health else "",
        tuple(sorted(networks)),
    ) and (f"/{old.name}" in (entry.get("Names") or []) and old.address == _address(networks))


def describe(inspected: Mapping[str, Any], environment: str, now: float) -> Container:
    """Returns a container from the engine's full description of it."""
    state, config = inspected["State"], inspected["Config"]
    own: Mapping[str, str] = config.get("Labels") or {}
    networks = _networks(inspected)
    status = str(state.get("Status") or "")
    runs = bool(state.get("Running"))
    return Container(
        id=str(inspected["Id"]),
        name=str(inspected.get("Name") or "").lstrip("/"),
        environment=environment,
        role=own.get(labels.ROLE, ""),
        state=status,
        seen=now,
        health=_health(state) if runs else "",
        image_id=str(inspected.get("Image") or ""),
        image=str(config.get("Image") or ""),
        version=_number(own.get(labels.VERSION)),
        replica=own.get(labels.REPLICA, ""),
        run_id=_number(own.get(labels.RUN)),
        step=own.get(labels.STEP, ""),
        restarts=int(inspected.get("RestartCount") or 0),
        exit_code=None if runs or status == "created" else int(state.get("ExitCode") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
        created=moment(inspected.get("Created")) or 0.0,
        started=moment(state.get("StartedAt")),
        address=_address(networks),
        labels={key: value for key, value in own.items() if key.startswith("podium.")},
        networks=tuple(sorted(networks)),
    )


def _networks(described: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = cast("Mapping[str, Any]", described.get("NetworkSettings") or {})
    return cast("Mapping[str, Any]", settings.get("Networks") or {})


def _health(state: Mapping[str, Any]) -> str:
    health = cast("Mapping[str, Any]", state.get("Health") or {})
    found = str(health.get("Status") or "")
    return "" if found == "none" else found


def _address(networks: Mapping[str, Any]) -> str:
    """Returns the container's address in its network; if it has several networks, in the first by name."""
    return next(
        (str(networks[name].get("IPAddress") or "") for name in sorted(networks) if networks[name].get("IPAddress")), ""
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
