"""Images and containers that Podium created."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, field
from typing import TYPE_CHECKING

from .engines.places import joined
from .frozen import Frozen

if TYPE_CHECKING:
    from .delivery import Replica

REPLICA = "replica"
"""The role of a container that serves."""
IMAGES = "images"
"""The target of a change of the serving images on all engines."""
GONE = "gone"
"""The state of a container that should be there and is not; every other state is the engine's word."""


class Image(Frozen):
    """The serving image of a version on one engine."""

    model: str
    version: int
    engine: str
    image_id: str
    """The engine's own id of the image."""
    reference: str
    """The reference that containers are started from: `repository@digest` once there is a digest, else the id."""
    built: float
    """When the build ended (seconds since the epoch)."""
    digest: str = ""
    """The registry's digest; empty if the image was never pushed."""
    tag: str = ""
    base: str = ""
    model_layer: str = ""
    """The digest of the layer that holds the model."""
    size: int = 0
    """Bytes."""
    seconds: float = 0.0
    """How long the build took."""
    run_id: int | None = None
    sbom: str = ""
    """The file with the bill of materials; empty for none."""


class UnneededImage(Frozen):
    """An image on an engine that nothing needs any more."""

    engine: str
    image_id: str
    name: str
    version: int | None
    """None for an image that holds only dependencies."""
    size: int
    """The size of all its layers in bytes; removing the image frees less if others share them."""
    why: str
    """Why nothing needs it, in a few words."""
    model: str = ""
    """The registered model; empty for an image that holds only dependencies."""


def written_unneeded(images: Iterable[UnneededImage]) -> str:
    """Returns images as the text that a plan's arguments have."""
    return json.dumps([asdict(each) for each in images])


def read_unneeded(text: str) -> tuple[UnneededImage, ...]:
    """Returns the images that such a text has."""
    return tuple(UnneededImage(**each) for each in json.loads(text))


class Container(Frozen):
    """A container that Podium created, as the engine described it at `seen`."""

    id: str
    name: str
    environment: str
    role: str
    state: str
    """The engine's word: `running`, `exited`, …"""
    seen: float
    """Seconds since the epoch."""
    health: str = ""
    """The engine's word: `healthy`, `unhealthy`, `starting` or empty."""
    image_id: str = ""
    image: str = ""
    version: int | None = None
    replica: str = ""
    run_id: int | None = None
    step: str = ""
    restarts: int = 0
    exit_code: int | None = None
    """None while it is running."""
    out_of_memory: bool = False
    created: float = 0.0
    started: float | None = None
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Podium's own labels."""
    networks: tuple[str, ...] = ()
    """The names of the networks that it is connected to."""
    host: str = ""
    """The host whose engine runs it, where an environment has several."""
    node: str = ""
    """The node of a Swarm where a service's task is; empty for a container of the engine itself."""
    service: bool = False
    """Whether it is a service of a Swarm, which runs at most one container at a time; `id` is then the service's."""

    @property
    def called(self) -> str:
        """Returns by which name its log and what it uses are kept: its replica's, else its own, with its host where
        there are several, since each of them has one of that name."""
        return self.replica or (f"{self.name}-{self.host}" if self.host else self.name)

    @property
    def place(self) -> str:
        """Returns its address, with its host where there are several, as that of a replica's row."""
        return joined(self.host, self.address)

    def why_not_restart(self) -> str:
        """Returns why it cannot be restarted; empty if it can."""
        if self.role in ("replica", "proxy"):
            return ""
        return f"{self.name} is a {self.role or 'container of its own'}, and only replicas and proxies can be restarted"

    def why_no_shell(self) -> str:
        """Returns why no shell can be opened in it now; empty if one can."""
        if self.service:
            where = f" on {self.node}" if self.node else ""
            return f"{self.name} is a task of a Swarm{where}; `docker exec` there opens a shell"
        return "" if self.state == "running" else f"{self.name} is {self.state}; a shell needs a running container"


class EngineSnapshot(Frozen):
    """The containers that the engine of an environment runs, at one moment. `message` says why the engine cannot be
    asked now; empty if it can. While an agent follows the engine's events, a snapshot stays valid until the next
    event, however old it is."""

    environment: str
    engine: str
    at: float
    containers: tuple[Container, ...] = ()
    message: str = ""

    def gone(self, replicas: Iterable[Replica]) -> tuple[Container, ...]:
        """Returns a container in the state `gone` for each replica whose container is missing; none while the engine
        does not answer, because then nothing is known to be missing."""
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
_SERIES_SEPARATOR = "/"


def usage_series(environment: str, container: str) -> str:
    """Returns the name under which the samples of one container are kept, beside those of its environment.
    `container` is its replica's id, or its name if it has none (the proxy)."""
    return f"{environment}{_SERIES_SEPARATOR}{container}"


def of_container(series: str) -> bool:
    """Tells whether samples of this name belong to a container, not to an environment."""
    return _SERIES_SEPARATOR in series


def step_key(base: str, digest: str) -> str:
    """Returns the cache key of a step in a container: `base` covers everything except its image, `digest` the image.
    The key is made of two parts because an image that has to be pulled is unknown until the step starts."""
    return hashlib.sha256(f"{base}\0{digest}".encode()).hexdigest()
