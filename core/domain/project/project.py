"""The whole of a podium.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from ...errors import NotFound, Refused
from ..evidence.settings import Evidence
from ..frozen import Frozen
from ..infra.settings import Infra
from .connections import Docker, Git, Mlflow, Ray
from .gates import Gate
from .monitors import AlertRule, Metrics, MonitorSpec, Notify
from .pipelines import Pipeline
from .serving import Environment

_DAY = 86400.0


class Retain(Frozen):
    """How long what grows is kept, in seconds, and how large it may become, in bytes or rows.
    core/retention/kinds.py says what each is about."""

    runs: float = 365 * _DAY
    """Ended runs in the journal, since their end."""
    logs: float = 180 * _DAY
    """The files of ended runs."""
    logs_size: int = 10 << 30
    cache: float = 30 * _DAY
    """Results that no run has used for so long."""
    cache_size: int = 20 << 30
    worktrees: float = 14 * _DAY
    """Worktrees of runs that did not succeed."""
    samples: float = 365 * _DAY
    measurements: float = 90 * _DAY
    """What monitors measured, and what they keep of their references."""
    captures: float = 30 * _DAY
    """Captured requests and feedback."""
    labels: float = 90 * _DAY
    """Requests with their predictions and labels, and the inputs of those that were captured."""
    labels_rows: int = 1_000_000
    """The most of them in one environment."""
    models: float = 30 * _DAY
    """Fetched files of versions that nothing needs."""
    replica_logs: float = 30 * _DAY
    """Logs of replicas that are gone."""
    reports: float = 365 * _DAY
    messages: float = 30 * _DAY
    ci: float = 30 * _DAY
    """CI runs of the Git host, as last seen."""
    temporary: float = 7 * _DAY
    audit: float = 180 * _DAY
    """How long entries stay in the journal before they are sealed."""
    ledger: float = 365 * _DAY
    evidence: float = 180 * _DAY
    """How long what an auditor needs stays at least, whatever the other keys say."""


class Project(Frozen):
    """A project. `root` and `home` are the same except in the run of a pushed commit."""

    name: str
    root: Path
    """The directory of this podium.yaml: for a pushed commit, its worktree."""
    home: Path
    """The project's own directory, whose `.podium/` holds all state."""
    git: Git = field(metadata={"section": Git})
    mlflow: Mlflow
    pipelines: Mapping[str, Pipeline] = field(metadata={"sections": Pipeline})
    gates: Mapping[str, Gate] = field(metadata={"sections": Gate})
    environments: Mapping[str, Environment] = field(metadata={"sections": Environment})
    monitors: Mapping[str, MonitorSpec] = field(metadata={"sections": MonitorSpec})
    alerts: Mapping[str, AlertRule] = field(metadata={"sections": AlertRule})
    infra: Mapping[str, Infra] = field(metadata={"sections": Infra})
    docker: Docker = field(default=Docker(), metadata={"section": Docker})
    ray: Ray = field(default=Ray(), metadata={"section": Ray})
    notify: Notify = field(default=Notify(), metadata={"section": Notify})
    metrics: Metrics = field(default=Metrics(), metadata={"section": Metrics})
    retain: Retain = field(default=Retain(), metadata={"section": Retain})
    evidence: Evidence = field(default=Evidence(), metadata={"section": Evidence})
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    passed: tuple[str, ...] = field(default=(), metadata={"key": "pass"})
    """Variables of the caller that steps get, too; one that ends with `*` is all that begin so."""
    nice: int = 10
    """How much lower the priority of steps is than that of what serves, 0 to 19, as nice(1) counts."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    idle: tuple[str, ...] = ()
    """Sentences about keys that have no effect yet."""
    digest: str = ""
    """SHA-256 of the file's text."""

    @property
    def state(self) -> Path:
        return self.home / ".podium"

    def passes(self, variable: str) -> bool:
        """Tells whether steps get a variable of the caller because `pass` names it."""
        return any(variable == name or (name[-1:] == "*" and variable.startswith(name[:-1])) for name in self.passed)

    def model_of(self, environment: str) -> str:
        """Returns the registered model whose versions an environment serves by podium.yaml; for one that the file does
        not have (any more) the project's."""
        found = self.environments.get(environment)
        return (found.model if found is not None else "") or self.mlflow.model

    @property
    def served_models(self) -> tuple[str, ...]:
        """Returns the models that environments serve, each once and the project's first, which is there in any
        case."""
        return tuple(dict.fromkeys((self.mlflow.model, *map(self.model_of, self.environments))))

    @property
    def models(self) -> tuple[str, ...]:
        """Returns the registered models that the file names, each once and the project's first."""
        named = [*self.served_models]
        for pipeline in self.pipelines.values():
            named += self.models_made_by(pipeline)
        return tuple(dict.fromkeys(named))

    def version(self, model: str, number: int) -> str:
        """Returns how people are told of a version: with its model where the file names several."""
        return f"v{number}" if self.models == (model,) else f"{model} v{number}"

    def models_made_by(self, pipeline: Pipeline) -> tuple[str, ...]:
        """Returns the models that the steps of a pipeline register; one whose name is only known when it runs is left
        out."""
        steps = (step for step in pipeline.steps.values() if step.uses == "register")
        names = (str(step.options.get("model") or self.mlflow.model) for step in steps)
        return tuple(dict.fromkeys(name for name in names if "${{" not in name))

    def models_of(self, pipeline: Pipeline) -> tuple[str, ...]:
        """Returns the models that a pipeline is about: those that it registers, else the project's."""
        return self.models_made_by(pipeline) or (self.mlflow.model,)

    def environment(self, name: str) -> Environment:
        """Returns the environment of that name. Raises NotFound, listing the existing names, if there is none; Refused
        if it needs an output of infrastructure that is not known yet."""
        found = self.environments.get(name)
        if found is None:
            names = ", ".join(self.environments) or "none"
            raise NotFound(f"there is no environment {name!r}", hint=f"podium.yaml has: {names}")
        message, hint = found.why_not_usable()
        if message:
            raise Refused(message, hint=hint)
        return found
