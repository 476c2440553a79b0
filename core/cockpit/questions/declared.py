"""`cockpit.declared`: everything that podium.yaml declares, beside how it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ...errors import NotFound
from ..opened import OpenProject

if TYPE_CHECKING:
    from ...domain.infra.declared import Declared

T = TypeVar("T")


class DeclaredThings:
    """Compares the world with podium.yaml. Each row has the change that makes it so, for `cockpit.changes`."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def names(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Returns the names of infrastructure, in the order of what others need, and then of environments: those
        given, or all. Raises NotFound for one that podium.yaml does not have."""
        from ...infra.order import in_order

        project = self._opened.config
        for name in names:
            if name not in project.infra and name not in project.environments:
                known = ", ".join([*project.infra, *project.environments]) or "nothing"
                raise NotFound(f"podium.yaml declares no {name!r}", hint=f"it declares {known}")
        wanted = [name for name in project.infra if not names or name in names]
        infra = in_order(project, wanted) if wanted else ()
        return [*infra, *(name for name in project.environments if not names or name in names)]

    def get(self, name: str) -> Declared:
        """Returns how one of them is now; engines are asked, infrastructure's tools are not."""
        from ...delivery.repair import declared as environments
        from ...infra import declared as infra

        self._opened.require_own()
        project, journal = self._opened.current, self._opened.journal
        room = infra if name in project.infra else environments
        return room.declared(project, journal, name)

    def each(self, names: Sequence[str], look: Callable[[str], T]) -> Sequence[T]:
        """Returns what `look` returns of each, infrastructure first; environments of several engines are asked about at
        once, in other threads."""
        from ...delivery.status.of_each import of_each

        project, wanted = self._opened.config, self.names(names)
        infra = [look(name) for name in wanted if name in project.infra]
        served = [project.environment(name) for name in wanted if name not in project.infra]
        return [*infra, *of_each(project, served, lambda each: look(each.name))]

    def list(self, names: Sequence[str] = ()) -> Sequence[Declared]:
        """Returns how they are, and without `names` also what runs that podium.yaml has no more."""
        from ...attention import removed
        from ...delivery.repair.declared import left_behind

        found = self.each(names, lambda name: self.get(name))
        return found if names else [*found, *left_behind(removed(self._opened.config, self._opened.journal))]
