"""`cockpit.models`: the journal's snapshot of the registry, and Podium's own records of each version."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..domain.access.roles import Role
from ..domain.text import whole_number
from ..errors import NotFound, UsageError
from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.delivery import Quarantined
    from ..domain.models import Lineage, MetricPoint, Model, ScoreRequest, Version
    from ..domain.runs import Run
    from ..domain.verdicts import GateReport, VersionVerdict
    from ..registry import Registry

_LIST_VERSIONS = "`podium versions` lists those there are"


class Models:
    """Reads the registry's snapshot in the journal; a method asks the registry itself only if its docstring says so."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(self) -> Sequence[Model]:
        """Returns every registered model."""
        return self._opened.journal.versions.models()

    def versions(self, model: str | None = None) -> Sequence[Version]:
        """Returns the versions of a model (default: the project's), newest first, from the journal's snapshot."""
        return self._opened.journal.versions.of(self._model(model))

    def version(self, number: int, model: str | None = None) -> Version:
        """Returns one version. Raises NotFound if there is none of that number."""
        name = self._model(model)
        found = self._opened.journal.versions.get(name, number)
        if found is None:
            raise NotFound(f"model {name} has no version {number}", hint=_LIST_VERSIONS)
        return found

    def resolve(self, text: str, model: str | None = None) -> Version:
        """Returns the version that `3`, `v3`, an alias or the beginning of a commit names, of the model that is given
        or stands before it (`NAME:v3`), else the project's. Raises NotFound if none matches, UsageError if the text
        names another model than the one that is given."""
        named, colon, text = text.rpartition(":")
        if colon and model not in (None, named):
            raise UsageError(f"this is about {model}, not about {named}", hint=f"leave `{named}:` out")
        model = named if colon else model
        number = whole_number(text.removeprefix("v"))
        if number is not None:
            return self.version(number, model)
        name = self._model(model)
        found = self._opened.journal.versions.named(name, text)
        if found is None:
            raise NotFound(f"model {name} has no version, alias or commit {text!r}", hint=_LIST_VERSIONS)
        return found

    def refresh(self, *, force: bool = False) -> bool:
        """Updates the journal's snapshot of the registry if the registry has changed; returns whether it had. Loads
        MLflow if the store is embedded and changed."""
        from ..registry.snapshot import refresh

        return refresh(self._opened.config, self._opened.journal, force=force)

    def refresh_apart(self) -> None:
        """Does the same in a separate process, for front ends that must stay light. Returns immediately if nothing
        changed, else when the process has ended."""
        from ..registry.snapshot import refresh_apart

        refresh_apart(self._opened.config, self._opened.journal)

    def score(self, asked: ScoreRequest, *, why: str = "") -> Run:
        """Has a version predict the rows of files, as a run of its own; its one step's results say how many.

        Raises NotFound if there is no such environment."""
        from ..engine.submit import submit_operation

        self._opened.require_own()
        project = self._opened.current
        target = (
            project.environment(asked.environment).name if asked.environment else asked.model or project.mlflow.model
        )
        return submit_operation(
            project, self._opened.journal, "score", target, params=asked.parameters(), who=whoami(), why=why
        )

    def gate_reports(self, version: Version) -> Sequence[GateReport]:
        """Returns the gate reports about a version."""
        return self._opened.journal.gates.of(version.model, version.version)

    def verdicts(self, model: str | None = None) -> Mapping[int, Sequence[VersionVerdict]]:
        """Returns version -> what it met on its way (gates, replays, canaries, rollouts, rollbacks, quarantine), the
        last word first, of all versions of a model; a version that met nothing is left out."""
        return self._opened.journal.verdicts.between(self._model(model))

    def verdicts_of(self, version: Version) -> Sequence[VersionVerdict]:
        """Returns the same of one version."""
        return self._opened.journal.verdicts.of(version.model, version.version)

    def metric_history(self, version: Version, metric: str) -> Sequence[MetricPoint]:
        """Returns the curve of a training metric from the journal; empty when it was never fetched (see
        `fetch_metric_history`)."""
        return self._opened.journal.versions.history(version.mlflow_run, metric)

    def fetch_metric_history(self, version: Version, metric: str) -> Sequence[MetricPoint]:
        """Asks the registry for the curve and keeps the answer. Loads MLflow if the store is embedded."""
        with self._registry() as registry:
            points = registry.metric_history(version.mlflow_run, metric)
        self._opened.journal.versions.put_history(version.mlflow_run, metric, points)
        return points

    def lineage(self, of: str) -> Sequence[Lineage]:
        """Returns the lineage rows of a version (`v3`, an alias), a commit, `run:12` or an environment's name.
        Raises NotFound if nothing matches."""
        from ..lineage import rows

        return rows(self._opened.journal, self._opened.config, of)

    def quarantined(self) -> Sequence[Quarantined]:
        """Returns the versions that must not be served."""
        return self._opened.journal.quarantine.all()

    def quarantine(self, version: Version, *, why: str) -> None:
        """Keeps a version from being served again."""
        self._opened.require_own()
        self._opened.journal.quarantine.add(version.model, version.version, version.commit, whoami(), why)

    def lift_quarantine(self, version: int, *, why: str = "", model: str | None = None) -> None:
        """Lets a version be served again. Raises NotFound if it is not quarantined, Refused where `who` of an
        environment that serves the model leaves this account out."""
        from ..engine.roles import ensure_everywhere

        self._opened.require_own()
        project = self._opened.current
        ensure_everywhere(project, Role.LIFT, self._model(model))
        self._opened.journal.quarantine.lift(self._model(model), version, whoami(), why)

    def _model(self, model: str | None) -> str:
        return model or self._opened.config.mlflow.model

    @contextmanager
    def _registry(self) -> Generator[Registry]:
        from ..registry import open_registry

        project = self._opened.config
        registry = open_registry(project.mlflow, project.state)
        try:
            yield registry
        finally:
            registry.close()
