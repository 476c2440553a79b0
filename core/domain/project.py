"""A project as its podium.yaml describes it: typed, checked, immutable. `core/config/` makes these; nothing here
reads a file.

The fields of a dataclass are the keys of its section. Where that is not so, a field's metadata says it: `key` is the
key's name, `section` the dataclass of a section (or list of sections) below it, `sections` that of a mapping of named
ones. A new section is a dataclass here, its keys in core/config/table.py, and the example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NotFound

if TYPE_CHECKING:
    from .replay import ReplayLimits


@dataclass(frozen=True, slots=True)
class Host:
    """The Git host: `kind` is github, gitlab or gitea."""

    kind: str
    repo: str
    token: str = field(default="", repr=False)
    url: str = ""


@dataclass(frozen=True, slots=True)
class Git:
    branch: str = "main"
    host: Host | None = field(default=None, metadata={"section": Host})


# The variable by which MLflow's own `server` hands its --default-artifact-root to the processes that it starts.
ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"


@dataclass(frozen=True, slots=True)
class Mlflow:
    """`tracking_uri` is absolute where it names a local file. `artifacts` is the one directory of this machine that a
    tracking server may name as the place of its files, empty for none. `embedded` means that no server stands between
    us and the store."""

    tracking_uri: str
    experiment: str
    model: str
    artifacts: str = ""

    @property
    def embedded(self) -> bool:
        return not self.tracking_uri.startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True)
class Docker:
    """The engine for steps and image builds, and what serving images are made of.

    `host` is unix://, tcp:// or ssh://, empty for DOCKER_HOST or this machine's own. `tls` is a directory with
    ca.pem, cert.pem and key.pem for tcp. `base` is the image that serving images are built on, `push` a repository
    (`registry.example.com/flight-delay`) that they are pushed to, empty for none. `wheels` is a directory of wheels
    that images install from instead of the package index. `sbom` is whether a bill of materials is kept with each
    image, where syft is installed.
    """

    host: str = ""
    tls: str = ""
    base: str = "python:3.11-slim"
    push: str = ""
    wheels: str = ""
    sbom: bool = True


@dataclass(frozen=True, slots=True)
class On:
    """What starts a pipeline by itself: a push to `push` branches, a cron line (UTC), alerts by name."""

    push: tuple[str, ...] = ()
    schedule: str = ""
    alerts: tuple[str, ...] = field(default=(), metadata={"key": "alert"})


Scalar = str | int | float | bool


# Steps that one matrix may make. More is a slip of the pen (two axes of a hundred), not a plan.
MAX_CELLS = 1000


@dataclass(frozen=True, slots=True)
class Matrix:
    """Axes in the order written; `include` adds cells, `exclude` removes those that match."""

    axes: Mapping[str, tuple[Scalar, ...]]
    include: tuple[Mapping[str, Scalar], ...] = ()
    exclude: tuple[Mapping[str, Scalar], ...] = ()

    @property
    def size(self) -> int:
        """Cells before `exclude`."""
        return (prod(map(len, self.axes.values())) if self.axes else 0) + len(self.include)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """The container of a step with `image:` or `build:` (a directory with a Dockerfile); exactly one of them is set.

    `cpus` and `memory` (bytes) are limits, None for no limit. `network` is whether it reaches anything at all.
    """

    image: str = ""
    build: str = ""
    cpus: float | None = None
    memory: int | None = None
    network: bool = True


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step as written. Exactly one of `run` (a shell command line) and `uses` (a built-in's name) is set.

    `timeout` and `backoff` are seconds. `when` is an expression (docs/pipelines.md). `options` holds the built-in's
    own keys (`metric`, `goal`, `gate`, `environment`, …), already checked against the built-in's table. `line` is
    where the step stands in the file.
    """

    name: str
    run: str = ""
    uses: str = ""
    needs: tuple[str, ...] = ()
    matrix: Matrix | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout: float | None = None
    retries: int = 0
    backoff: float = 1.0
    when: str = ""
    allow_failure: bool = False
    cache: bool = True
    approval: bool = False
    executor: str = "process"
    container: ContainerSpec | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    line: int = 0


@dataclass(frozen=True, slots=True)
class Pipeline:
    name: str
    steps: Mapping[str, StepSpec]
    on: On = On()
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    line: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a gate. `kind` is `metric`, `latency`, `schema` or `replay`.

    A metric check has `metric` and either bounds (`at_least`, `at_most`) or `compare: champion` with a `margin`
    (absolute) and a `confidence`. `slices` and `min_rows` repeat it per value of those columns. `latency` is a
    percentile (p50, p95, p99) bounded by `at_most` seconds. `goal` (maximize or minimize) is taken from the metric
    where it is known, and must be given where it is not. `replay` are the limits for the captured requests of
    `environment`.
    """

    kind: str
    metric: str = ""
    at_least: float | None = None
    at_most: float | None = None
    compare: str = ""
    margin: float = 0.0
    confidence: float = 0.95
    goal: str = ""
    slices: tuple[str, ...] = ()
    min_rows: int = 1
    percentile: str = field(default="", metadata={"key": "latency"})
    environment: str = ""
    replay: ReplayLimits | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    name: str
    data: str
    target: str
    checks: tuple[Check, ...]
    line: int = 0


@dataclass(frozen=True, slots=True)
class AnalysisRule:
    """One limit that a canary has to keep to at each weight: `signal` is one of CANARY_SIGNALS (domain/watching.py).

    `at_most` and `at_least` bound its value (a share, or seconds). `compare` is `champion` or empty; `margin` is how
    much worse than the champion's the value may be, as a share of it.
    """

    signal: str
    at_most: float | None = None
    at_least: float | None = None
    compare: str = ""
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Strategy:
    """`kind` is rolling, blue-green or canary. `weights` are percentages, `interval` is seconds between them,
    `drain` is how long (seconds) an old replica may take to finish what it has begun."""

    kind: str = "blue-green"
    weights: tuple[int, ...] = ()
    interval: float = 60.0
    drain: float = 30.0
    analysis: tuple[AnalysisRule, ...] = field(default=(), metadata={"section": AnalysisRule})


@dataclass(frozen=True, slots=True)
class Environment:
    """Where versions are served. `keep` is how many earlier versions stay warm, `keep_stopped` how many more stay as
    stopped containers.

    For the docker driver: `host` and `tls` as in Docker, empty for the same engine; `proxy` is `container` (of
    `proxy_image`, on that engine) or `host` (a process beside Podium); `cpus` and `memory` (bytes) are limits of
    each replica.
    """

    name: str
    driver: str = "process"
    port: int = 5100
    bind: str = "127.0.0.1"
    host: str = ""
    replicas: int = 1
    protected: bool = False
    keep: int = 1
    keep_stopped: int = 3
    tls: str = ""
    proxy: str = "container"
    proxy_image: str = "haproxy:2.8"
    cpus: float | None = None
    memory: int | None = None
    strategy: Strategy = Strategy()
    capture: float = 0.01
    health_timeout: float = 60.0
    line: int = 0


@dataclass(frozen=True, slots=True)
class MonitorSpec:
    """A signal or a drift of an environment that is measured; exactly one of `drift` and `signal` is set."""

    name: str
    environment: str
    """The environment that it watches."""
    drift: str = ""
    """How the distance of two distributions is measured: psi, js, wasserstein, ks or chi2."""
    signal: str = ""
    """One of SIGNALS (domain/watching.py)."""
    reference: str = ""
    """For a drift: the table of rows that captured requests are compared with."""
    columns: tuple[str, ...] = ()
    """For a drift: the columns that are compared, empty for all."""
    window: float | None = None
    """For a drift how many of the latest requests are compared (None: 1000), for a signal the seconds that one value
    is taken over (None: 60)."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class AlertRule:
    name: str
    monitor: str
    above: float | None = None
    below: float | None = None
    for_: int = field(default=1, metadata={"key": "for"})
    cooldown: float = 3600.0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Infra:
    name: str
    kind: str
    path: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Project:
    """`root` is the directory of this podium.yaml (for a pushed commit, its worktree); `home` is the project's own
    directory, whose `.podium/` holds all state. They are the same except inside the run of a pushed commit. `idle`
    are sentences about keys that nothing acts on yet."""

    name: str
    root: Path
    home: Path
    git: Git = field(metadata={"section": Git})
    mlflow: Mlflow
    pipelines: Mapping[str, Pipeline] = field(metadata={"sections": Pipeline})
    gates: Mapping[str, Gate] = field(metadata={"sections": Gate})
    environments: Mapping[str, Environment] = field(metadata={"sections": Environment})
    monitors: Mapping[str, MonitorSpec] = field(metadata={"sections": MonitorSpec})
    alerts: Mapping[str, AlertRule] = field(metadata={"sections": AlertRule})
    infra: Mapping[str, Infra] = field(metadata={"sections": Infra})
    docker: Docker = field(default=Docker(), metadata={"section": Docker})
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: tuple[str, ...] = field(default=(), repr=False)
    idle: tuple[str, ...] = ()

    @property
    def state(self) -> Path:
        return self.home / ".podium"

    def environment(self, name: str) -> Environment:
        """Returns the environment of that name. NotFound, with the names that there are, for any other."""
        found = self.environments.get(name)
        if found is None:
            names = ", ".join(self.environments) or "none"
            raise NotFound(f"there is no environment {name!r}", hint=f"podium.yaml has: {names}")
        return found
