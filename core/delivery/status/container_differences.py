"""Compares containers with the journal's rows: image, labels, network, health, restarts; and finds containers
without a row."""

from __future__ import annotations

from collections.abc import Sequence

from ...containers.engine import labels as names
from ...domain.containers import Container, EngineSnapshot
from ...domain.delivery import Replica, ReplicaState
from ...domain.repair import Difference, DifferenceKind, Severity
from ..environment.lifecycle import noted
from ..environment.runtime import EnvironmentRuntime

_COMPARED_LABELS = {names.VERSION: "version", names.MODEL: "model", names.COMMIT: "commit", names.DIGEST: "digest"}
# The engine starts a replica again after a reboot or a fault; this often is no accident any more.
_MANY_RESTARTS = 3


def compare(runtime: EnvironmentRuntime, row: Replica, container: Container, *, busy: bool) -> list[Difference]:
    """Returns how a container that exists differs from its row. That it is not running is reported elsewhere."""
    found = [*_image(runtime, row, container), *_labels(runtime, row, container)]
    if container.state == "running":
        found += _network(runtime, row, container)
        if container.restarts and row.state is not ReplicaState.STOPPED:
            times = "once" if container.restarts == 1 else f"{container.restarts} times"
            severity = Severity.PROBLEM if container.restarts >= _MANY_RESTARTS and row.weight else Severity.WARNING
            found.append(
                Difference(
                    DifferenceKind.RESTARTED, row.id, f"the engine had to start {row.id} again {times}", severity
                )
            )
        if container.health == "unhealthy" and not busy:
            found.append(
                Difference(
                    DifferenceKind.UNHEALTHY,
                    row.id,
                    f"{row.id} is unhealthy, says its own check",
                    _grave(row),
                    f"restart {row.id}",
                )
            )
    return [] if busy else found


def _grave(row: Replica) -> Severity:
    return Severity.PROBLEM if row.weight else Severity.WARNING


def _image(runtime: EnvironmentRuntime, row: Replica, container: Container) -> list[Difference]:
    if row.image and container.image_id and row.image != container.image_id:
        text = f"{row.id} runs image {_short(container.image_id)} instead of {_short(row.image)}"
        return [
            Difference(DifferenceKind.IMAGE, row.id, text, _grave(row), f"replace {row.id} by one of the right image")
        ]
    return []


def _short(image: str) -> str:
    return image.removeprefix("sha256:")[:12]


def _labels(runtime: EnvironmentRuntime, row: Replica, container: Container) -> list[Difference]:
    known = runtime.version(row.version)
    wanted = {
        names.VERSION: str(row.version),
        names.MODEL: known.model,
        names.COMMIT: known.commit,
        names.DIGEST: row.digest,
    }
    wrong = [
        f"{_COMPARED_LABELS[key]} {_brief(container.labels.get(key, ''))} instead of {_brief(value)}"
        for key, value in wanted.items()
        if value and container.labels.get(key, value) != value
    ]
    if not wrong:
        return []
    return [
        Difference(
            DifferenceKind.LABELS,
            row.id,
            f"{row.id} is labelled with {', '.join(wrong)}",
            _grave(row),
            f"replace {row.id}",
        )
    ]


def _brief(text: str) -> str:
    return text[:12] or "none"


def _network(runtime: EnvironmentRuntime, row: Replica, container: Container) -> list[Difference]:
    wanted = runtime.driver.owned_names().network
    if not wanted or wanted in container.networks:
        return []
    text = f"{row.id} is not on the environment's network {wanted}"
    return [Difference(DifferenceKind.NETWORK, row.id, text, _grave(row), f"connect {row.id} to its network")]


def beside(runtime: EnvironmentRuntime, rows: Sequence[Replica], snapshot: EngineSnapshot) -> list[Difference]:
    """Returns containers with our labels that belong to no row and no proxy."""
    return [
        Difference(
            DifferenceKind.STRAY,
            each.name,
            f"the container {each.name} has the labels of {runtime.name} and is not in the journal",
            Severity.WARNING,
            f"remove the container {each.name}",
        )
        for each in strays(runtime, rows, snapshot)
    ]


def strays(runtime: EnvironmentRuntime, rows: Sequence[Replica], snapshot: EngineSnapshot) -> list[Container]:
    mine = {row.container for row in rows if row.container}
    # One that is being started, or was when its process died, is not noted yet: whoever tends the environment finds it
    # by its label.
    coming = {row.id for row in rows if not noted(row)}
    own = runtime.driver.owned_names().helpers
    absent = runtime.driver.absent()  # what is not needed there is removed when it answers again
    return [
        each
        for each in snapshot.containers
        if each.id not in mine
        and each.host not in absent
        and each.replica not in coming
        and each.role != names.SHADOW_ROLE
        and own.get(each.name) != each.role
    ]
