"""How infrastructure is, by what Podium keeps of it: no tool is asked, so that a screen may read it often."""

from __future__ import annotations

from ..config.infra.outputs import kept
from ..domain.infra.plan import InfraStatus, Output
from ..domain.project import Project
from ..journal import Journal
from . import approvals
from .order import of
from .saved import Saved

_RUNS = 8
_KINDS = ("infra-apply", "infra-plan", "infra-drift")


def status_of(project: Project, journal: Journal, name: str) -> InfraStatus:
    """Returns how one infrastructure is. Raises NotFound for an unknown name."""
    infra = of(project, name)
    saved = Saved(project.state, name)
    plan, drift = saved.plan(), saved.drift()
    runs = [run for kind in _KINDS for run in journal.runs.page(kind=kind, name=name, limit=_RUNS)]
    outputs = kept(project.state, name)
    return InfraStatus(
        name,
        infra.kind,
        infra.path,
        infra.needs,
        infra.workspace,
        plan,
        plan.judged(infra.rules) if plan is not None else None,
        approvals.of(journal, plan) if plan is not None else None,
        saved.applied(),
        saved.interruption(),
        tuple(Output(each, value) for each, value in sorted(outputs.items())),
        drift.real_drift if drift is not None else None,
        drift.created if drift is not None else None,
        tuple(sorted((run.id for run in runs), reverse=True)[:_RUNS]),
        saved.under_way(),
    )
