"""Who may change an environment: the accounts and groups of `who`, for every front end, the agent and CI.

What counts is the podium.yaml at hand *and* the one of the branch that releases come from: nobody gives a role to
themselves by writing it into a file. Which branch that is, the file at hand alone does not say (`run/release.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..domain.access.proof import Proof
from ..domain.access.roles import Allowed, Role, Roles
from ..domain.project import Project
from ..domain.runs import Run
from ..errors import Refused
from ..identity.account import in_group
from ..journal import Journal
from .approvals import Approver, counting
from .run.release import released

_WORDS = {
    Role.PROMOTE: "promote in",
    Role.ROLLBACK: "roll back",
    Role.APPROVE: "approve changes of",
    Role.LIFT: "lift quarantines of",
    Role.STOP: "stop or start",
}


def why_not(project: Project, environment: str, role: Role, people: Sequence[Approver]) -> tuple[str, str]:
    """Returns why none of these people has the role, and what to do about it; two empty texts if one has it."""
    for allowed, where in _asked(project, environment, role):
        if allowed is None:
            message = f"who may {_WORDS[role]} {environment} is not known: {where} cannot be used"
            return message, "correct it there: it has said who may do what, and the file at hand does not stand for it"
        if not any(_has(allowed, each) for each in people):
            names = " and ".join(dict.fromkeys(each.account for each in people))
            message = f"{names} may not {_WORDS[role]} {environment}: {allowed.words} may"
            return message, f"environments.{environment}.who.{role} of {where} says so"
    return "", ""


def ensure(project: Project, environment: str, role: Role, people: Sequence[Approver] = ()) -> None:
    """Raises Refused where neither one of these people nor, without any, this process's account has the role."""
    message, hint = why_not(project, environment, role, people or [Approver.here()])
    if message:
        raise Refused(message, hint=hint)


def ensure_everywhere(project: Project, role: Role, model: str | None = None) -> None:
    """Raises Refused where this process's account lacks the role in any environment, or in any that serves the
    model."""
    for name in project.environments:
        if model in (None, project.model_of(name)):
            ensure(project, name, role)


def behind(project: Project, journal: Journal, run: Run, step: str, now: float) -> list[Approver]:
    """Returns who answers for a step: the account that carries it out, and whoever has approved it."""
    pipeline = project.pipelines.get(run.name) if not run.is_operation else None
    spec = pipeline.steps.get(step.partition("[")[0]) if pipeline is not None else None
    given = counting(spec, journal.runs.approvals(run.id, step), now) if spec is not None else []
    return [Approver.here(), *(Approver(each.account, each.proof) for each in given)]


def _asked(project: Project, environment: str, role: Role) -> Iterator[tuple[Allowed | None, str]]:
    """Yields who has the role by each file that counts, and which file that is; None for one that has named roles
    before, and cannot be read now."""
    found = released(project)
    files = [(project, "podium.yaml")]
    if found is not None:
        where = f"podium.yaml on the branch {found.release.branch}"
        if found.project is not None:
            files.append((found.project, where))
        elif found.release.roles:
            yield None, where
    for each, where in files:
        config = each.environments.get(environment)
        allowed = (config.who if config is not None else Roles()).of(role)
        if allowed is not None:
            yield allowed, where


def _has(allowed: Allowed, person: Approver) -> bool:
    if person.proof is not Proof.ACCOUNT:
        return False  # what a person of the Git host is called on this machine is not known
    return person.account in allowed.accounts or any(in_group(person.account, group) for group in allowed.groups)
