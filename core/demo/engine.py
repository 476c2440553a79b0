"""The Docker engine of the demonstration: whether it answers and has the images, whether it agrees with Podium, and
the removal of all containers at the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..domain.delivery import EnvironmentStatus, ReplicaState
from ..domain.project import Project
from ..errors import PodiumError, Unreachable

if TYPE_CHECKING:
    from ..containers import Engine

_NOT_RUNNING = (ReplicaState.DEAD, ReplicaState.STOPPED)


def opened() -> Engine:
    """Opens the engine that the example will use: that of DOCKER_HOST, else this machine's. Raises Unreachable or
    Refused if it does not answer."""
    from ..containers import open_engine
    from ..containers.engine.address import LOCAL_SOCKET, parse

    tls = os.environ.get("DOCKER_CERT_PATH", "") if os.environ.get("DOCKER_TLS_VERIFY") else ""
    return open_engine(parse(os.environ.get("DOCKER_HOST") or f"unix://{LOCAL_SOCKET}", tls=tls))


def bring(engine: Engine, name: str, *, what: str, option: str) -> str:
    """Makes the image `name` available on the engine; returns how, in words. Raises Unreachable, with the option
    that names another image, if it cannot be pulled."""
    from ..containers.images import registry, store

    if store.inspect(engine, registry.reference(name)) is not None:
        return "is there"
    try:
        registry.pull(engine, name, say=lambda _: None)
    except PodiumError as error:
        hint = f"pass {option} IMAGE for another one with {what}"
        raise Unreachable(
            f"the image {name} is not on the engine, and it cannot be pulled: {error.message}", hint=hint
        ) from error
    return "pulled"


def compared(project: Project, status: EnvironmentStatus) -> tuple[str, list[str]]:
    """Returns (the running replicas, in words; the differences between the engine and Podium about an environment)."""
    from ..containers import Labels, open_engine
    from ..containers.engine import labels
    from ..containers.engine.address import of_environment
    from ..delivery.host.paths import INSTANCES

    def running(engine: Engine, role: str) -> list[dict[str, str]]:
        wanted = Labels(project.name, project.home, role, {labels.ENVIRONMENT: status.name}).filters()
        return [{"id": row["Id"], **row["Labels"]} for row in engine.containers(wanted, stopped=False)]

    with open_engine(of_environment(project, project.environments[status.name])) as engine:
        replicas, proxies = running(engine, labels.REPLICA_ROLE), running(engine, labels.PROXY_ROLE)
    seen = {row["id"]: f"{row.get(labels.REPLICA)} v{row.get(labels.VERSION)}" for row in replicas}
    known = {row.container: f"{row.id} v{row.version}" for row in status.replicas if row.state not in _NOT_RUNNING}
    differences = [each.words for each in status.differences]
    differences += [f"only docker ps has {seen.get(each)}" for each in seen.keys() - known.keys()]
    differences += [f"only podium status has {known[each]}" for each in known.keys() - seen.keys()]
    differences += [
        f"docker ps has {seen[each]} for {known[each]}"
        for each in seen.keys() & known.keys()
        if seen[each] != known[each]
    ]
    if len(proxies) != len(INSTANCES):
        differences.append(f"{len(proxies)} instances of the proxy run, of {len(INSTANCES)}")
    versions = sorted({row.version for row in status.replicas if row.state not in _NOT_RUNNING})
    shown = ", ".join(
        f"{sum(row.version == each and row.state not in _NOT_RUNNING for row in status.replicas)} of v{each}"
        for each in versions
    )
    return f"{shown}, and the proxy", differences


def end_all(project: Project) -> list[str]:
    """Removes every remaining container of the demonstration; returns what was removed, in words. There should be
    none."""
    from ..containers import open_engine
    from ..containers.engine import labels
    from ..containers.engine.address import of_project

    with open_engine(of_project(project)) as engine:
        left = engine.containers([f"{labels.PROJECT}={project.name}", f"{labels.HOME}={labels.home_id(project.home)}"])
        for row in left:
            with engine.doing("removing a remaining container"):
                engine.api.remove_container(row["Id"], v=True, force=True)
    return [f"a remaining container ({row['Names'][0].lstrip('/')})" for row in left]
