"""How each environment is beside what podium.yaml declares: the repair that makes it so, or its first deploy."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...domain.infra.declared import Declared, DeclaredKind, DeclaredState
from ...domain.models import CHAMPION
from ...domain.text.format import count
from ..environment import history
from ..environment.registry_view import RegistryView
from ..rollout.plans import plan_deploy
from . import plan as repairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...domain.plans import Plan
    from ...domain.project import Project
    from ...journal import Journal


def declared(project: Project, journal: Journal, name: str) -> Declared:
    """Returns how one environment is; its engine is asked. The version that it should have is the one that serves, the
    champion where none does. Raises NotFound for an unknown name."""
    environment = project.environment(name)
    stopped = history.stopped(journal, name)
    if stopped is not None:
        command = f"podium start -e {shlex.quote(name)}"
        words = f"it was {stopped.words}"
        return Declared(DeclaredKind.ENVIRONMENT, name, words, DeclaredState.STOPPED, command=command)
    model = history.model_of(project, journal, name)
    serving = history.serving(journal, name, model)
    wanted = project.model_of(name)
    if serving is not None and wanted != model:
        words = f"{model} v{serving} serves, and podium.yaml declares {wanted}"
        command = f"podium deploy {shlex.quote(f'{wanted}:{CHAMPION}')} -e {shlex.quote(name)}"
        return Declared(DeclaredKind.ENVIRONMENT, name, words, DeclaredState.DIFFERS, command=command)
    if serving is None:
        return _first(project, journal, environment.name, model)
    plan = repairs.plan(project, journal, name)
    left = count(len(plan.differences), "difference")
    words = f"v{serving} serves, with {left}" if plan.differences else f"v{serving} serves as declared"
    state = DeclaredState.DIFFERS if plan.differences else DeclaredState.AS_DECLARED
    return Declared(DeclaredKind.ENVIRONMENT, name, words, state, _or_none(plan))


def _first(project: Project, journal: Journal, name: str, model: str) -> Declared:
    champion = RegistryView.load(journal, model).aliases.get(CHAMPION)
    if champion is None:
        words = f"nothing serves, and {model} has no champion"
        command = f"podium promote VERSION -e {shlex.quote(name)}"
        return Declared(DeclaredKind.ENVIRONMENT, name, words, DeclaredState.EMPTY, command=command)
    plan = plan_deploy(project, journal, name, version=champion)
    words = f"nothing serves; the champion is v{champion}"
    return Declared(DeclaredKind.ENVIRONMENT, name, words, DeclaredState.DIFFERS, plan)


def _or_none(plan: Plan) -> Plan | None:
    return plan if plan.differences or plan.refusal else None


def left_behind(removed: Mapping[str, int]) -> Sequence[Declared]:
    """Returns the environments that podium.yaml has no more, of which so many replicas run."""
    return [
        Declared(
            DeclaredKind.ENVIRONMENT,
            name,
            f"podium.yaml has it no more, and {count(number, 'replica')} of it still run: put it back to change it",
            DeclaredState.DIFFERS,
        )
        for name, number in removed.items()
    ]
