"""`cockpit.board`: for each environment and infrastructure, whether it is as declared, whether it runs, and whether its
model is well."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...domain.infra.board import BoardRow, of_environment, of_infra
from ...domain.infra.declared import DeclaredKind
from ..opened import OpenProject
from .declared import DeclaredThings

if TYPE_CHECKING:
    from ...domain.verdicts import VersionVerdict


class Board:
    """Answers the three questions for all of a project."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(self) -> Sequence[BoardRow]:
        """Returns a row for each environment and infrastructure; engines are asked, infrastructure's tools are not."""
        from ...alerts.standing import statuses
        from ...delivery.status.status import status
        from ...infra.status import status_of

        opened, project = self._opened, self._opened.current
        now = time.time()
        alerts = statuses(project, opened.journal, now)
        things = DeclaredThings(opened)

        def row(name: str) -> BoardRow:
            declared, journal = things.get(name), opened.journal
            if declared.kind is DeclaredKind.INFRA:
                return of_infra(declared, status_of(project, journal, name), now)
            found = status(project, journal, project.environment(name))
            return of_environment(declared, found, alerts, self._verdicts(found.model, found.serving), now)

        return things.each((), row)

    def _verdicts(self, model: str, version: int | None) -> Sequence[VersionVerdict]:
        return () if version is None else self._opened.journal.verdicts.of(model, version)
