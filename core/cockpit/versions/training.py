"""`cockpit.training`: what training has logged to MLflow, while it goes on too: curves of metrics, and files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ...domain.models import TAG_STEP
from ...errors import PodiumError
from ..opened import OpenProject

if TYPE_CHECKING:
    from ...domain.curves import Artifact, ArtifactText, Curve, Trained
    from ...domain.models import MetricPoint, Version
    from ...registry.store import TrackedRun

_RUNNING = ("RUNNING", "SCHEDULED")


class Training:
    """Asks the tracking server, or reads a SQLite store by itself: neither loads MLflow. Curves of finished runs are
    kept in the journal."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def of_versions(self, versions: Sequence[Version]) -> Sequence[Trained]:
        """Returns the MLflow runs of versions, from the journal; a version without one is left out."""
        from ...domain.curves import Trained

        return tuple(
            Trained(f"v{each.version}", each.mlflow_run, metrics=each.metrics) for each in versions if each.mlflow_run
        )

    def of_run(self, run_id: int) -> Sequence[Trained]:
        """Returns the MLflow runs that the steps of a run have started so far; of a step from the cache, those of the
        run that executed it. Asks the tracking store; raises
        Unreachable if it does not answer."""
        from ...registry.training import runs_of

        project = self._opened.config
        steps = {step.key: step.origin or run_id for step in self._opened.journal.steps.of(run_id) if step.key}
        found = runs_of(project.mlflow, project.state, steps)
        names = [each.tags.get(TAG_STEP) or each.tags.get("mlflow.runName") or each.id[:8] for each in found]
        return tuple(
            _trained(each, name if names.count(name) == 1 else f"{name} {each.id[:8]}")
            for each, name in zip(found, names, strict=True)
        )

    def curves(self, trained: Sequence[Trained], metric: str) -> Sequence[Curve]:
        """Returns what each run has logged of a metric; asks the tracking store for what the journal does not have, and
        for runs that go on."""
        from ...domain.curves import Curve

        found: list[Curve] = []
        for each in trained:
            points = self._history(each, metric)
            if points:
                found.append(Curve(each.label, tuple(points), each.running))
        return tuple(found)

    def artifacts(self, trained: Trained) -> Sequence[Artifact]:
        """Returns the files that a run has logged. Asks the tracking store."""
        from ...registry.artifacts import listed

        project = self._opened.config
        return listed(project.mlflow, project.state, self._run(trained))

    def artifact(self, trained: Trained, path: str) -> ArtifactText:
        """Returns the beginning of one of them as text. Asks the tracking store."""
        from ...registry.artifacts import text

        project = self._opened.config
        return text(project.mlflow, project.state, self._run(trained), path)

    def _run(self, trained: Trained) -> TrackedRun:
        from ...registry.training import run

        project = self._opened.config
        return run(project.mlflow, project.state, trained.mlflow_run)

    def _history(self, each: Trained, metric: str) -> Sequence[MetricPoint]:
        from ...registry.training import history

        journal, project = self._opened.journal, self._opened.config
        kept = [] if each.running else journal.versions.history(each.mlflow_run, metric)
        if kept:
            return kept
        over = not each.running and self._is_over(each)
        points = history(project.mlflow, project.state, each.mlflow_run, metric)
        if points and over:
            with suppress(PodiumError):  # a journal that cannot be written can still be looked at
                journal.versions.put_history(each.mlflow_run, metric, points)
        return points

    def _is_over(self, each: Trained) -> bool:
        """Tells whether nothing more is logged: a version may be registered while its training goes on."""
        try:
            return self._run(each).status not in _RUNNING
        except PodiumError:
            return False


def _trained(run: TrackedRun, label: str) -> Trained:
    from ...domain.curves import Trained

    return Trained(label, run.id, run.status in _RUNNING, run.started, run.metrics, run.artifact_uri)
