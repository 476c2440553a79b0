"""How infrastructure is beside what podium.yaml declares, as far as it is known without asking a tool."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..domain.infra.declared import Declared, DeclaredKind, DeclaredState
from ..domain.text.format import count
from .plans import plan_apply
from .status import status_of

if TYPE_CHECKING:
    from ..domain.infra.plan import InfraStatus
    from ..domain.project import Project
    from ..journal import Journal


def declared(project: Project, journal: Journal, name: str) -> Declared:
    """Returns how one infrastructure is. Raises NotFound for an unknown name."""
    status = status_of(project, journal, name)
    if not status.under_way and status.interrupted is None and status.plan is not None and status.plan.applyable:
        words, plan = f"a plan waits: {count(len(status.plan.changes), 'change')}", plan_apply(project, journal, name)
        return Declared(DeclaredKind.INFRA, name, words, DeclaredState.DIFFERS, plan)
    again = "" if status.under_way else f"podium infra plan {shlex.quote(name)}"
    state, words = _without_a_plan(status)
    return Declared(DeclaredKind.INFRA, name, words, state, command=again)


def _without_a_plan(status: InfraStatus) -> tuple[DeclaredState, str]:
    if status.under_way:
        return DeclaredState.AS_DECLARED, f"run {status.under_way} is applying a plan of it"
    if status.interrupted is not None:
        return DeclaredState.DIFFERS, "its last apply was cut short"
    if status.drifted:
        return DeclaredState.DIFFERS, f"{count(len(status.drifted), 'resource')} changed outside of it"
    if status.applied is None:
        return DeclaredState.DIFFERS, "it was never applied from here"
    return DeclaredState.AS_DECLARED, "applied; only a plan says whether its files have changed"
