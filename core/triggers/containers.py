"""Observes engines for the agent: containers, their usage and their output, for every environment that is served
from containers. There is no polling: each engine reports changes as events. Without such an environment, Docker is
never loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import plugins
from ..domain.containers import REPLICA, USAGE, Container, of_container, usage_series
from ..domain.frozen import Frozen
from ..domain.project import Environment, Project
from ..domain.watching import Sample
from ..journal import Journal

if TYPE_CHECKING:
    from ..containers import Engine
    from ..containers.observe.kept import Snapshots
    from ..containers.observe.stats import Usage
    from ..containers.observe.watcher import Companion, Watch

Say = Callable[[str], None]
# Samples of containers that are kept in a second.
MAX_RATE = 1000
# Seconds after which a container without samples is none that is measured.
SERIES_LASTS = 300.0


class _Watched(Frozen):
    environment: Environment
    secrets: tuple[str, ...]
    watches: tuple[Watch, ...]

    @property
    def alive(self) -> bool:
        return all(watch.alive for watch in self.watches)

    def close(self) -> None:
        for watch in self.watches:
            watch.close()


class EnvironmentWatchers:
    """One watcher for each environment that is or was served from an engine; started, stopped and changed as
    podium.yaml and the ledger require."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()
        self._samples: list[Sample] = []
        self._snapshots: Snapshots | None = None
        self._rarely = Rarely()

    def __call__(self, project: Project, journal: Journal) -> None:
        wanted = {
            name: each
            for name, each in project.environments.items()
            if plugins.driver_capabilities(each.driver).engine and _used(journal, name)
        }
        for name, watched in list(self._watched.items()):
            if not watched.alive or (watched.environment, watched.secrets) != (wanted.get(name), project.secrets):
                self._watched.pop(name).close()
        for name, environment in wanted.items():
            if name not in self._watched:
                self._watched[name] = self._begin(project, journal, environment)
        with self._lock:
            samples, self._samples = self._samples, []
        self._rarely.forget(time.time() - SERIES_LASTS)
        if kept := self._rarely(samples):
            journal.samples.add(kept)

    def close(self) -> None:
        for watched in self._watched.values():
            watched.close()
        self._watched.clear()
        if self._snapshots is not None:
            self._snapshots.close()
            self._snapshots = None

    def _begin(self, project: Project, journal: Journal, environment: Environment) -> _Watched:
        from ..containers.observe.kept import Snapshots
        from ..containers.observe.log_collector import LogKeeper
        from ..containers.observe.stats import Stats
        from ..containers.observe.watcher import Watch
        from ..delivery.host.paths import environment_dir, safe

        directory = environment_dir(project, environment.name)

        snapshots = self._snapshots = self._snapshots or Snapshots(journal.path, self._say)

        def used(found: Mapping[str, tuple[Container, Usage]]) -> None:
            samples = samples_of(environment.name, found, time.time())
            with self._lock:
                self._samples += samples

        def where(container: Container) -> Path:
            return directory / f"{safe(container.called)}.log"

        def stats(engine: Engine) -> Companion:
            return Stats(engine, used)

        def logs(engine: Engine) -> Companion:
            return LogKeeper(engine, where, secrets=project.secrets, say=self._say)

        before = journal.snapshots.get(environment.name)
        watches = [
            Watch(
                *(project, environment, partial(snapshots.put, host)),
                say=self._say,
                companions=(stats, logs),
                before=before if not host else None,
                host=host,
            ).start()
            for host in ([each.name for each in environment.hosts] or [""])
        ]
        return _Watched(environment, project.secrets, tuple(watches))


class Rarely:
    """Keeps of each container's samples so many that all of them together are not more than MAX_RATE a second: the
    journal's table of samples is bounded, and thousands of containers would leave minutes of it to everything else. Up
    to 250 containers nothing is left out."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], float] = {}

    def __call__(self, samples: Collection[Sample]) -> list[Sample]:
        pause = len(self._kept) / MAX_RATE
        return [each for each in samples if not of_container(each.environment) or self._due(each, pause)]

    def forget(self, before: float) -> None:
        """Forgets the series that have had no sample since then."""
        self._kept = {key: at for key, at in self._kept.items() if at >= before}

    def _due(self, sample: Sample, pause: float) -> bool:
        key = (sample.environment, sample.signal)
        # Samples are a second apart, give or take.
        if pause > 1.0 and sample.at - self._kept.get(key, 0.0) < pause - 0.5:
            return False
        self._kept[key] = sample.at
        return True


def _used(journal: Journal, environment: str) -> bool:
    return bool(journal.replicas.of(environment)) or bool(journal.ledger.history(environment, limit=1))


def samples_of(environment: str, found: Mapping[str, tuple[Container, Usage]], at: float) -> list[Sample]:
    """Returns the samples of each container, and the CPU and memory of all replicas together as samples of the
    environment."""
    samples: list[Sample] = []
    for container, used in found.values():
        series = usage_series(environment, container.called)
        values = (used.cpu, used.memory, used.received, used.sent)
        samples += [Sample(series, signal, at, value) for signal, value in zip(USAGE, values, strict=True)]
    replicas = [used for container, used in found.values() if container.role == REPLICA]
    if replicas:
        samples.append(Sample(environment, "cpu", at, sum(used.cpu for used in replicas)))
        samples.append(Sample(environment, "memory", at, sum(used.memory for used in replicas)))
    return samples
