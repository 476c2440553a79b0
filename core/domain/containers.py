"""Images and containers, as far as Podium made them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .delivery import Replica

REPLICA = "replica"
"""The role of a container that serves."""
GONE = "gone"
"""The state of a container that should be there and is not; every other state is the engine's word."""


@dataclass(frozen=True, slots=True)
class Image:
    """The serving image of a version on one engine.

    `image_id` is the engine's own id of it and `digest` the registry's, empty where it was never pushed; `reference`
    is what a container is started from: `repository@digest` once there is a digest, else the id. `model_layer` is
    the digest of the layer that holds the model. `size` is bytes, `seconds` how long the build took, `built` when
    (seconds since the epoch). `sbom` is a file, empty for none.
    """

    model: str
    version: int
    engine: str
    image_id: str
    reference: str
    built: float
    digest: str = ""
    tag: str = ""
    base: str = ""
    model_layer: str = ""
    size: int = 0
    seconds: float = 0.0
    run_id: int | None = None
    sbom: str = ""


@dataclass(frozen=True, slots=True)
class Unneeded:
    """An image on an engine that nothing needs any more, and in a few words why. `version` is None for one that
    holds dependencies alone. `size` is all of its layers (bytes); what removing it frees is less where others share
    them."""

    engine: str
    image_id: str
    name: str
    version: int | None
    size: int
    why: str


@dataclass(frozen=True, slots=True)
class Container:
    """A container of ours as the engine described it at `seen` (seconds since the epoch). `state` and `health` are
    the engine's words (`running`, `exited`, …; `healthy`, `unhealthy`, `starting` or empty). `exit_code` is None
    while it runs. `labels` are Podium's own, `networks` the names of those that it is on."""

    id: str
    name: str
    environment: str
    role: str
    state: str
    seen: float
    health: str = ""
    image_id: str = ""
    image: str = ""
    version: int | None = None
    replica: str = ""
    run_id: int | None = None
    step: str = ""
    restarts: int = 0
    exit_code: int | None = None
    out_of_memory: bool = False
    created: float = 0.0
    started: float | None = None
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    networks: tuple[str, ...] = ()

    def why_not_restart(self) -> str:
        """Why it cannot be restarted; empty where it can."""
        if self.role in ("replica", "proxy"):
            return ""
        return f"{self.name} is a {self.role or 'container of its own'}, which comes and goes with what it belongs to"

    def why_no_shell(self) -> str:
        """Why no shell can be opened in it now; empty where one can."""
        return "" if self.state == "running" else f"{self.name} is {self.state}; a shell needs a running container"


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """What the engine of an environment runs, as it was last seen. `message` says why it cannot be seen now; empty
    when it can. While an agent follows the engine's events, a picture stays true until the next one comes, however
    old it is."""

    environment: str
    engine: str
    at: float
    containers: tuple[Container, ...] = ()
    message: str = ""

    def gone(self, replicas: Iterable[Replica]) -> tuple[Container, ...]:
        """Returns a container in the state `gone` for each replica whose container was not seen; none while the
        engine does not answer, for then nothing is known to be gone."""
        if self.message:
            return ()
        ids = {each.id for each in self.containers}
        names = {each.replica for each in self.containers if each.replica}
        return tuple(
            Container(
                replica.container,
                replica.id,
                self.environment,
                REPLICA,
                GONE,
                self.at,
                image_id=replica.image,
                version=replica.version,
                replica=replica.id,
                restarts=replica.restarts,
            )
            for replica in replicas
            if replica.container and replica.container not in ids and replica.id not in names
        )


# What is measured of each container, as signals of the series `usage_series` names. Units: share of one core, bytes,
# bytes/s, bytes/s.
USAGE = ("cpu", "memory", "received", "sent")


# No environment has it in its name (config/sections.py).
_OF = "/"


def usage_series(environment: str, container: str) -> str:
    """Under which name the samples of one container are kept, beside those of its environment. `container` is its
    replica's id, or its name where it has none (the proxy)."""
    return f"{environment}{_OF}{container}"


def of_container(series: str) -> bool:
    """Returns whether samples of this name are those of a container, not of an environment."""
    return _OF in series


def step_key(base: str, digest: str) -> str:
    """The key of a step in a container: `base` stands for everything but its image, `digest` for that. Made in two
    parts, because an image that has to be fetched is not known before the step has begun."""
    return hashlib.sha256(f"{base}\0{digest}".encode()).hexdigest()
