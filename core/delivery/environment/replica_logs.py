"""Follows the logs of an environment's replicas, one by one or merged in time order."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ... import plugins
from ...domain.containers import Container, EngineSnapshot
from ...domain.project import Environment, Project
from ...errors import NotFound, Unreachable
from ...journal import Journal
from ...logs.merging import Merged, Named
from ..host.paths import environment_dir, safe

if TYPE_CHECKING:
    from ...containers import Engine
    from ...containers.observe.log_collector import LogKeeper
    from ...containers.observe.watcher import Companion, Watch

_CATCH_UP_TIMEOUT = 20.0


class LogFollower:
    """Keeps the files up to date until `close`, where nobody else does: those of processes are written by
    themselves, those of containers by the agent while it runs. `only` is a replica's id, empty for all; `tail` as in
    Merged. NotFound, when first read, for an environment that runs nothing."""

    def __init__(
        self, project: Project, journal: Journal, environment: Environment, *, only: str = "", tail: int | None = None
    ) -> None:
        self._directory = environment_dir(project, environment.name)
        self._environment, self._only = environment.name, only
        self._rows = {row.id for row in journal.replicas.of(environment.name)}
        self._snapshot: EngineSnapshot | None = None
        self._keepers: list[LogKeeper] = []
        self._watches: list[Watch] = []
        self._merged = Merged(tail=tail)
        self._merging = threading.Lock()
        self.message = ""
        if plugins.driver_capabilities(environment.driver).engine:
            known = journal.snapshots.get(environment.name)
            if journal.agent.status().follows(known):
                self._snapshot = known
            else:
                self._watches = self._follow(project, environment)

    def _follow(self, project: Project, environment: Environment) -> list[Watch]:
        from ...containers.observe.log_collector import LogKeeper
        from ...containers.observe.snapshot import merged
        from ...containers.observe.watcher import Watch

        def keeper(engine: Engine) -> Companion:
            made = LogKeeper(engine, self.path, secrets=project.secrets)
            self._keepers.append(made)
            return made

        def put(snapshot: EngineSnapshot) -> None:
            self._snapshot, self.message = snapshot, snapshot.message

        def put_one(host: str, snapshot: EngineSnapshot) -> None:
            # A host that does not answer has nothing new.
            with self._merging:
                if not snapshot.message:
                    self._snapshot = merged(self._snapshot, {host: snapshot}, snapshot.engine)

        if not environment.hosts:
            return [Watch(project, environment, put, companions=(keeper,)).start()]
        return [
            Watch(project, environment, partial(put_one, each.name), companions=(keeper,), host=each.name).start()
            for each in environment.hosts
        ]

    def path(self, container: Container) -> Path:
        return self._directory / f"{safe(_name(container))}.log"

    @property
    def files(self) -> Mapping[str, Path]:
        """Returns name -> file of what is followed: replicas, and the proxy if it is named."""
        names = set(self._rows)
        if self._snapshot is not None:
            names |= {
                _name(each) for each in self._snapshot.containers if each.role == "replica" or _name(each) == self._only
            }
        if self._only:
            names &= {self._only}
        return {name: self._directory / f"{safe(name)}.log" for name in sorted(names)}

    def catch_up(self, seconds: float = _CATCH_UP_TIMEOUT) -> None:
        """Waits until the files hold everything up to now. Raises NotFound if there is nothing to follow,
        Unreachable if the engine does not answer."""
        deadline = time.monotonic() + seconds
        while self._watches and not self.message and time.monotonic() < deadline:
            if self._snapshot is not None and self._keepers and all(each.caught_up() for each in self._keepers):
                break
            time.sleep(0.02)
        if self.message and not any(path.exists() for path in self.files.values()):
            raise Unreachable(self.message, hint="what was kept before is shown as soon as there is some")
        if not self.files:
            what = f"no replica {self._only!r}" if self._only else "nothing that runs"
            raise NotFound(
                f"{self._environment} has {what}", hint=f"podium status -e {self._environment} shows what it has"
            )

    def read(self, *, all: bool = False) -> list[Named]:
        """Returns (replica, line) of every line whose turn has come, in time order; `all` does not wait for lines
        that may still come before."""
        return self._merged.read(self.files, all=all)

    def close(self) -> None:
        for each in self._watches:
            each.close()


def _name(container: Container) -> str:
    return container.called
