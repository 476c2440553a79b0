"""What the agent does besides pushes: one small class a job, called again and again with the project and a journal."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..domain.project import Project
from ..domain.watching import Sample
from ..journal import Journal
from ..monitoring.signals import ProxyCounts, Sampler
from . import schedules

Say = Callable[[str], None]


class Scheduling:
    """Starts the runs whose cron line has come round."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, project: Project, journal: Journal) -> None:
        now = time.time()
        for pipeline in schedules.due(project, journal, now):
            schedules.start(project, journal, pipeline, now, self._say)


class Recovery:
    """Finds runs and sagas whose process is gone, marks the runs interrupted and finishes or undoes the sagas."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..delivery.reconcile import recover as recover_sagas
        from ..engine.recovery import recover as recover_runs

        for run in recover_runs(journal):
            self._say(f"run {run}: its worker is gone; marked interrupted, `podium resume {run}` goes on")
        for line in recover_sagas(project, journal):
            self._say(line)


class Healing:
    """Brings back replicas and proxies that have died."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..delivery.reconcile import heal

        for environment in project.environments.values():
            for line in heal(project, journal, environment):
                self._say(line)


class Sampling:
    """Measures each environment that something is deployed to."""

    def __init__(self) -> None:
        self._samplers: dict[str, Sampler] = {}

    def __call__(self, project: Project, journal: Journal) -> None:
        samples: list[Sample] = []
        for name in project.environments:
            replicas = journal.replicas.of(name)
            if not replicas:
                self._samplers.pop(name, None)
                continue
            sampler = self._samplers.setdefault(name, Sampler(name))
            samples += sampler.sample(_counts(project, name), replicas)
        if samples:
            journal.samples.add(samples)


def _counts(project: Project, environment: str) -> ProxyCounts | None:
    from ..delivery.proxy import totals

    answer = totals(project.state / "environments" / environment)
    return ProxyCounts(*answer) if answer else None


class RegistryPicture:
    """Keeps the journal's picture of the registry up to date, in a process of its own where MLflow would have to be loaded."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..registry.snapshot import refresh_apart

        refresh_apart(project, journal)


class Compaction:
    """Thins out old samples, so that the journal's size is bounded."""

    def __call__(self, project: Project, journal: Journal) -> None:
        journal.samples.compact(time.time())
