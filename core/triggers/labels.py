"""Collects what replicas have written of requests and labels, for the agent. While nothing was written it only asks for
the sizes of their files."""

from __future__ import annotations

import time
from pathlib import Path

from ..delivery.environment.elsewhere import elsewhere
from ..domain.project import Environment, Project
from ..errors import Unreachable
from ..journal import Journal

# Labels that wait for their request are looked at so often even if nothing is written.
_SETTLE_SECONDS = 600.0
# Files on another machine are copied as a whole, so seldom.
_BRING_SECONDS = 300.0

_Seen = tuple[tuple[str, int, int], ...]


class LabelCollection:
    """Collects for each environment when its files have changed."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._collected: dict[str, float] = {}
        self._brought: dict[str, float] = {}

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..labels.files import glance

        for name, environment in project.environments.items():
            if elsewhere(project, environment):
                self._bring(project, journal, environment)
            below = project.state / "environments" / name
            seen = (*glance(below / "capture"), *glance(below / "captured"))
            waited = time.monotonic() - self._collected.get(name, 0.0) > _SETTLE_SECONDS
            if seen != self._seen.get(name, ()) or (waited and _store(project, name).exists()):
                self._collect(project, name)
                self._seen[name], self._collected[name] = seen, time.monotonic()

    def _collect(self, project: Project, name: str) -> None:
        from ..labels.store import LabelStore

        with LabelStore.open(project.state, name) as store:
            store.collect()
            # By number alone: what is too old goes in the night, when the clock is believed.
            store.forget(0.0, project.retain.labels_rows)

    def _bring(self, project: Project, journal: Journal, environment: Environment) -> None:
        """Copies the files of replicas on another machine, now and then."""
        name = environment.name
        if time.monotonic() - self._brought.get(name, -_BRING_SECONDS) < _BRING_SECONDS:
            return
        self._brought[name] = time.monotonic()
        if not journal.replicas.of(name):
            return
        from ..delivery.environment.runtime import EnvironmentRuntime

        try:
            EnvironmentRuntime(project, journal, environment).driver.captures()
        except Unreachable:
            return  # healing, which cannot do without the engine, says so


def _store(project: Project, name: str) -> Path:
    from ..labels.database import place

    return place(project.state, name)
