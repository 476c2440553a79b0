"""Whether enough of the right people have approved a step that waits, and who may."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ..clock import elapsed
from ..domain.access.proof import Proof
from ..domain.frozen import Frozen
from ..domain.project import Approvers, StepSpec
from ..domain.runs import Approval, Run, Trigger
from ..domain.text.format import count
from ..identity.account import account, in_group
from ..scm import Repository


class Approver(Frozen):
    """Somebody who approves, and what says that it is them. The default is whoever runs this process."""

    account: str
    proof: Proof = Proof.ACCOUNT

    @classmethod
    def here(cls) -> Approver:
        return cls(account())


def counting(spec: StepSpec, given: Sequence[Approval], now: float) -> list[Approval]:
    """Returns the approvals that count at that time: they have not expired, and are proved as the step asks for."""
    strict = spec.approvers.proof is Proof.HOST
    recent = (each for each in given if elapsed(each.at, now) <= spec.approval_timeout)
    return [each for each in recent if each.proof is Proof.HOST or not strict]


def missing(spec: StepSpec, counted: Sequence[Approval]) -> int:
    """Returns how many more people have to approve. Accounts of this machine and of the host are not added up: the
    same person may have one of each."""
    people = max((sum(each.proof is proof for each in counted) for proof in Proof), default=0)
    return max(0, spec.approvers.number - people)


def waiting_words(spec: StepSpec, counted: Sequence[Approval]) -> str:
    """Says what the step waits for."""
    if spec.approvers.number == 1:
        return f"waits for approval: {spec.approval_reason}" if spec.approval_reason else "waits for approval"
    given = f": {', '.join(each.who for each in counted)} approved" if counted else ""
    return f"waits for {count(missing(spec, counted), 'more approval' if counted else 'approval')}{given}"


def why_not(approvers: Approvers, approver: Approver, run: Run, home: Path) -> str:
    """Returns why somebody may not approve a step of this run; empty where they may."""
    name = approver.account
    if approvers.proof is Proof.HOST and approver.proof is not Proof.HOST:
        return f"the step asks for accounts of the Git host, and {name} is one of this machine"
    if approvers.among and name not in approvers.among:
        return f"{name} is not among those who may approve it: {', '.join(approvers.among)}"
    if approvers.group and (approver.proof is not Proof.ACCOUNT or not in_group(name, approvers.group)):
        return f"{name} is not in the group {approvers.group}"
    if not approvers.author and name.casefold() in _behind(run, home):
        return f"{name} made the commit or started the run, and the step asks for somebody else"
    return ""


def _behind(run: Run, home: Path) -> Collection[str]:
    """Returns every name that the commit's author and committer, and who started the run by hand, go by."""
    names = {run.who.partition(" ")[0]} if run.trigger is Trigger.PERSON else set[str]()
    repository = Repository.find(home) if run.commit else None
    if repository is not None:
        for person in repository.people(run.commit):
            names |= {person.name, person.email, person.email.partition("@")[0]}
    return {name.casefold() for name in names if name}
