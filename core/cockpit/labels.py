"""`cockpit.labels`: requests that replicas have answered, and what became of their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.labels import AddedLabels, Dispute, KeptRequest, LabelStatus, LabelTable
    from ..domain.project import Environment
    from ..labels.store import LabelStore


class Labels:
    """Reads the stores of requests and labels, and adds labels."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def collect(self, environment: str | None = None) -> None:
        """Collects what replicas have written since, of one environment or all; the agent does it by itself. Does
        nothing in a copy of a project."""
        if self._opened.settled.refusal is not None:
            return
        for each in self._environments(environment):
            if self._opened.state.joinpath("environments", each.name).exists():
                with self._open(each.name) as store:
                    store.collect()

    def status(self, environment: str | None = None) -> Sequence[LabelStatus]:
        """Returns the counts of one environment or of each. Raises NotFound if there is none of that name."""
        from ..domain.labels import LabelStatus
        from ..domain.monitoring import LabelCounts
        from ..labels.tokens import taken

        found: list[LabelStatus] = []
        for each in self._environments(environment):
            counts, clients = LabelCounts(0, 0, 0, 0, 0, 0, 0), ()
            if self._kept(each.name):
                with self._open(each.name) as store:
                    counts, clients = store.counts(), tuple(store.clients())
            found.append(LabelStatus(each.name, counts, clients, each.feedback.proved, taken(each)))
        return found

    def requests(self, environment: str, *, limit: int = 50, labelled: bool = False) -> Sequence[KeptRequest]:
        """Returns the newest requests to an environment, newest first; with `labelled` those that have a label."""
        name = self._opened.config.environment(environment).name
        if not self._kept(name):
            return []
        with self._open(name) as store:
            return store.requests(limit=limit, labelled=labelled)[::-1]

    def disputes(self, environment: str, *, limit: int = 50) -> Sequence[Dispute]:
        """Returns the newest labels that said something else than an earlier one, newest first."""
        name = self._opened.config.environment(environment).name
        if not self._kept(name):
            return []
        with self._open(name) as store:
            return store.disputes(limit)

    def add(self, environment: str, file: Path, table: LabelTable) -> AddedLabels:
        """Adds the labels of a CSV or Parquet file; returns what became of them. Raises UsageError if it cannot be
        read. Loads pyarrow into this process."""
        from ..labels.imported import add_file

        self._opened.require_own()
        project = self._opened.current
        added = add_file(project, project.environment(environment), file, table, source=f"file:{whoami()}")
        words = f"{environment}: {added.matched} of {file.name[:100]}"
        self._opened.journal.audit.add(whoami(), "labels imported", words)
        return added

    def _environments(self, name: str | None) -> list[Environment]:
        project = self._opened.config
        return [project.environment(name)] if name is not None else list(project.environments.values())

    def _kept(self, environment: str) -> bool:
        """Tells whether there is a store: who only reads makes none."""
        from ..labels.database import place

        return place(self._opened.state, environment).exists()

    def _open(self, environment: str) -> LabelStore:
        from ..labels.store import LabelStore

        return LabelStore.open(self._opened.state, environment)
