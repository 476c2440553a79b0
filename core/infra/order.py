"""In which order infrastructure is planned and applied: what others need comes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..config.infra.references import wanted
from ..domain.infra.settings import Infra
from ..domain.project import Project
from ..errors import NotFound


def of(project: Project, name: str) -> Infra:
    """Returns one infrastructure. Raises NotFound, listing the names, if there is none of that name."""
    found = project.infra.get(name)
    if found is None:
        names = ", ".join(project.infra) or "none"
        raise NotFound(f"there is no infrastructure {name!r}", hint=f"`infra:` in podium.yaml has: {names}")
    return found


def in_order(project: Project, names: Iterable[str] = ()) -> Sequence[str]:
    """Returns the names (all, where none is given) so that each comes after those it needs."""
    chosen = list(names) or list(project.infra)
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in found:
            return
        for need in wanted(of(project, name)):
            visit(need)
        found[name] = None

    for name in chosen:
        visit(name)
    return [name for name in found if name in chosen]
