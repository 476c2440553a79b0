"""Pipelines and their steps as podium.yaml describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from math import prod
from typing import Any

from ..access.proof import Proof
from ..frozen import Frozen


class OnAlert(Frozen):
    """Alerts that start a pipeline, and what holds it back."""

    names: tuple[str, ...] = ()
    mode: str = ""
    """`propose`, `run` or `deliver`; empty for `propose` where the environment is protected, else `run`."""
    cooldown: float = 6 * 3600.0
    """The seconds from one start to the next, at least."""
    at_most: int = 2
    """How often it is started in a day."""
    look_back: float = 86_400.0
    """The seconds after a delivery in which it has to have helped."""


class On(Frozen):
    """The triggers of a pipeline: pushes to the `push` branches, new tags that match a pattern, pull requests into the
    branches that match one, a cron line (UTC), alerts by name."""

    push: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    pull_request: tuple[str, ...] = ()
    schedule: str = ""
    alert: OnAlert = OnAlert()


class Concurrency(Frozen):
    """Which of several new commits of a branch a pipeline runs."""

    commits: str = "newest"
    """`newest`, or `every` one in its order."""
    cancel: bool = False
    """Whether the run of an earlier commit is cancelled; only with `newest`."""


Scalar = str | int | float | bool


# Steps that one matrix may make. More is a slip of the pen (two axes of a hundred), not a plan.
MAX_CELLS = 1000


class Matrix(Frozen):
    """The axes of a matrix, in the order of the file; `include` adds cells, `exclude` removes those that match."""

    axes: Mapping[str, tuple[Scalar, ...]]
    include: tuple[Mapping[str, Scalar], ...] = ()
    exclude: tuple[Mapping[str, Scalar], ...] = ()

    @property
    def size(self) -> int:
        """Returns the number of cells before `exclude`."""
        return (prod(map(len, self.axes.values())) if self.axes else 0) + len(self.include)


class ContainerSpec(Frozen):
    """The container of a step with `image:` or `build:` (a directory with a Dockerfile); exactly one of them is set.

    `cpus` and `memory` (bytes) are limits, None for no limit. Without `network` the container has no network at all.
    """

    image: str = ""
    build: str = ""
    cpus: float | None = None
    memory: int | None = None
    gpus: tuple[str, ...] = ()
    network: bool = True
    alone: bool = False
    """Whether it gets the run's directory and nothing else: neither git's directory nor the MLflow store."""


class Approvers(Frozen):
    """Who may approve a step, and how many of them have to."""

    number: int = 1
    """How many different accounts."""
    among: tuple[str, ...] = ()
    """Their names; everybody where there are none."""
    group: str = ""
    """A Unix group that they have to be in; none where it is empty."""
    author: bool = True
    """Whether the commit's author, and who started the run by hand, may be one."""
    proof: Proof = Proof.ACCOUNT
    """What counts as an account: with HOST only one that the Git host has proved."""


# In `gpus` of a step: one that is free.
ANY = "any"


class StepSpec(Frozen):
    """One step as written in podium.yaml. Exactly one of `run` and `uses` is set."""

    name: str
    run: str = ""
    """A shell command line."""
    uses: str = ""
    """The name of a built-in step."""
    needs: tuple[str, ...] = ()
    matrix: Matrix | None = None
    fail_fast: bool = True
    """When a cell of its matrix has failed, the others are stopped."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout: float | None = None
    """Seconds."""
    retries: int = 0
    backoff: float = 1.0
    """Seconds."""
    when: str = ""
    """An expression (docs/pipelines.md)."""
    allow_failure: bool = False
    cache: bool = True
    approval: bool = False
    approval_timeout: float = 7 * 86400.0
    """How long the step waits for an approval, and how long one counts, in seconds."""
    approval_reason: str = ""
    """Why a person has to approve it, where that is not podium.yaml's wish."""
    guards: bool = False
    """Nothing else of the run is carried out until it has succeeded, whatever the conditions of other steps say."""
    approvers: Approvers = field(default_factory=Approvers)
    executor: str = "process"
    cpus: float | None = None
    """The CPUs that it may use; None for all."""
    memory: int | None = None
    """The memory that it may use, in bytes; None for all."""
    gpus: tuple[str, ...] = ()
    """The GPUs that it may see, by number or id; `any` stands for a free one, `none` alone for no one, empty for
    all (in a container: none)."""
    resources: Mapping[str, float] = field(default_factory=dict[str, float])
    """What else it needs, of a cluster's own kinds."""
    runtime_env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What a cluster installs for it."""
    container: ContainerSpec | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The built-in's own keys (`metric`, `goal`, `gate`, `environment`, …), already checked against its table."""
    line: int = 0
    """The line of the step in the file."""


class Pipeline(Frozen):
    name: str
    steps: Mapping[str, StepSpec]
    on: On = On()
    concurrency: Concurrency = Concurrency()
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    line: int = 0
