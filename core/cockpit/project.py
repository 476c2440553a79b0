"""`cockpit.project`: podium.yaml, the audit, and the health of what the project stands on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.attention import Need
    from ..domain.delivery import EnvironmentStatus
    from ..domain.project import Project
    from ..domain.watching import AuditEntry, Finding


class ProjectFiles:
    """Reads the project's own files."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    @property
    def config(self) -> Project:
        """The project as its podium.yaml described it when it was first asked for. ConfigError with every problem
        found."""
        return self._opened.config

    def reload(self) -> Project:
        """Reads podium.yaml again."""
        return self._opened.reload()

    def needs(self, environments: Iterable[EnvironmentStatus]) -> Sequence[Need]:
        """Returns what a person should know or do, the worst first. `environments` are `environments.list()`, which
        the caller has read already."""
        from ..attention import gather

        return gather(self._opened.config, self._opened.journal, environments)

    def audit(self, *, limit: int = 50, before: int | None = None) -> Sequence[AuditEntry]:
        """Returns who did what, newest first, those with an id below `before`."""
        return self._opened.journal.audit.page(limit=limit, before=before)

    def doctor(self) -> Sequence[Finding]:
        """Looks at everything that the project stands on; returns what is wrong with it and what to do."""
        from ..doctor import examine

        return examine(self._opened)
