"""Observes engines for the agent: containers, their usage and their output, for every environment that is served
from containers. There is no polling: each engine reports changes as events. Without such an environment, Docker is
never loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import plugins
from ..domain.containers import REPLICA, USAGE, Container, EngineSnapshot, usage_series
from ..domain.frozen import Frozen
from ..domain.project import Environment, Project
from ..domain.watching import Sample
from ..journal import Journal

if TYPE_CHECKING:
    from ..containers import Engine
    from ..containers.observe.stats import Usage
    from ..containers.observe.watcher import Companion, Watch

Say = Callable[[str], None]


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
        if samples:
            journal.samples.add(samples)

    def close(self) -> None:
        for watched in self._watched.values():
            watched.close()
        self._watched.clear()

    def _begin(self, project: Project, journal: Journal, environment: Environment) -> _Watched:
        from ..containers.observe.log_collector import LogKeeper
        from ..containers.observe.stats import Stats
        from ..containers.observe.watcher import Watch
        from ..delivery.host.paths import environment_dir, safe

        directory = environment_dir(project, environment.name)
        path = journal.path

        def put(host: str, snapshot: EngineSnapshot) -> None:
            # Another thread than the job's, and rare: a connection of its own, for this once.
            with Journal.open(path) as own:
                if host:
                    _put_one_of_several(own, host, snapshot)
                else:
                    own.snapshots.put(snapshot)

        def used(found: Mapping[str, tuple[Container, Usage]]) -> None:
            with self._lock:
                self._samples += samples_of(environment.name, found, time.time())

        def where(container: Container) -> Path:
            return directory / f"{safe(container.called)}.log"

        def stats(engine: Engine) -> Companion:
            return Stats(engine, used)

        def logs(engine: Engine) -> Companion:
            return LogKeeper(engine, where, secrets=project.secrets, say=self._say)

        before = journal.snapshots.get(environment.name)
        watches = [
            Watch(
                *(project, environment, partial(put, host)),
                say=self._say,
                companions=(stats, logs),
                before=before if not host else None,
                host=host,
            ).start()
            for host in ([each.name for each in environment.hosts] or [""])
        ]
        return _Watched(environment, project.secrets, tuple(watches))


def _put_one_of_several(journal: Journal, host: str, snapshot: EngineSnapshot) -> None:
    """Keeps what one of several hosts runs. One that does not answer is left as it was: healing says so."""
    from ..containers.observe.snapshot import merged

    if snapshot.message:
        return
    with journal.transaction():
        before = journal.snapshots.get(snapshot.environment)
        engine = before.engine if before is not None else snapshot.engine
        journal.snapshots.put(merged(before, {host: snapshot}, engine))


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
