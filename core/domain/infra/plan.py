"""What a plan of infrastructure will change. All values in it are texts for people: those that the tool calls
sensitive are masked before they get here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field

from ..frozen import Frozen
from ..text.format import count
from .rules import ChangeKind, Decision, Rules

SENSITIVE = "(sensitive)"
UNKNOWN = "(known after apply)"
NONE = "(none)"
DEPOSED = " (deposed "
"""Follows the address of an object that was replaced by another one and is still there."""


class AttributeChange(Frozen):
    """One value of a resource that will be another one."""

    path: str
    """Where it is: `tags.Name`, `ingress[0].port`."""
    before: str
    after: str
    forces: bool = False
    """It is why the resource is replaced."""


class ResourceChange(Frozen):
    """What becomes of one resource."""

    address: str
    type: str
    kind: ChangeKind
    attributes: tuple[AttributeChange, ...] = ()
    why: str = ""
    """The tool's reason, in words; empty where it says none."""
    moved_from: str = ""
    """Its address until now, where that is another one."""
    imported: bool = False
    more: int = 0
    """How many more values change than `attributes` has."""


class Drift(Frozen):
    """A resource that is not what the state said: somebody changed it outside."""

    address: str
    type: str
    gone: bool = False
    """It does not exist any more."""
    attributes: tuple[AttributeChange, ...] = ()
    real: bool = True
    """Whether it matters: a value that the plan depends on, or any that differs in more than how nothing is
    written."""


class OutputChange(Frozen):
    """One output that will be another one."""

    name: str
    before: str
    after: str


class InfraPlan(Frozen):
    """A plan as it was made, and saved where it can be applied."""

    infra: str
    tool: str
    """`Terraform 1.11.4`."""
    digest: str
    """SHA-256 of the saved plan, which is what an approval is bound to; of a stack, of what its change set does."""
    created: float
    """Seconds since the epoch; also `expires`."""
    expires: float
    run: int = 0
    """The run that made it."""
    who: str = ""
    changes: tuple[ResourceChange, ...] = ()
    """The worst first."""
    drift: tuple[Drift, ...] = ()
    outputs: tuple[OutputChange, ...] = ()
    warnings: tuple[str, ...] = ()
    directory: str = ""
    """Where it was made."""
    workspace: str = ""
    refresh_only: bool = False
    applyable: bool = True
    """Whether there is anything to apply: a change of a resource, or of an output."""
    reference: str = ""
    """What the tool itself calls it: a change set's id."""
    inputs: str = ""
    """What tells which outputs of others it was made of; empty for none."""
    previous: str = ""
    """What is left of an apply that was cut short, in words."""

    def counts(self) -> Mapping[ChangeKind, int]:
        """Returns how many resources there are of each kind of change, the worst kind first."""
        found = Counter(each.kind for each in self.changes)
        return {kind: found[kind] for kind in ChangeKind if found[kind]}

    @property
    def real_drift(self) -> tuple[Drift, ...]:
        return tuple(each for each in self.drift if each.real)

    @property
    def noise(self) -> int:
        """Returns how many resources differ from the state in ways that change nothing."""
        return sum(not each.real for each in self.drift)

    @property
    def destroys(self) -> bool:
        return any(each.kind.destroys for each in self.changes)

    @property
    def short(self) -> str:
        return self.digest[:12]

    def words(self) -> str:
        """Returns the whole plan in a few words, the worst first: `1 to replace, 3 to create`."""
        counted = [f"{number} to {kind}" for kind, number in self.counts().items()]
        if not self.changes and self.applyable and self.outputs:
            counted = [f"{count(len(self.outputs), 'output')} to change"]
        return ", ".join(counted) or "nothing to change"

    def expired(self, now: float) -> bool:
        """Tells whether it may not be applied any more. A clock that went back expires it, too."""
        return not self.created - CLOCK_SLACK <= now < self.expires

    def judged(self, rules: Rules) -> Judgement:
        """Returns what the rules say of its changes."""
        found: dict[Decision, list[ResourceChange]] = {each: [] for each in Decision}
        for each in self.changes:
            found[rules.decide(each.kind, each.type, each.address.partition(DEPOSED)[0])].append(each)
        return Judgement(*(tuple(found[each]) for each in Decision))


# Two clocks of one machine are as good as one; a plan from further in the future was made under another time.
CLOCK_SLACK = 5.0
_SHOWN = 5


class Judgement(Frozen):
    """The changes of a plan by what the rules say of them."""

    auto: tuple[ResourceChange, ...] = ()
    ask: tuple[ResourceChange, ...] = ()
    never: tuple[ResourceChange, ...] = ()

    @property
    def decision(self) -> Decision:
        """Returns what holds for the plan as a whole: the strictest of its changes."""
        return Decision.NEVER if self.never else Decision.ASK if self.ask else Decision.AUTO

    def words(self) -> str:
        """Says what a person has to agree to, or what is never done."""
        return named(self.never or self.ask)


def named(changes: Sequence[ResourceChange]) -> str:
    """Returns a few changes in words: `replace aws_db_instance.main, delete aws_eip.a, and 3 more`."""
    shown = ", ".join(f"{each.kind} {each.address}" for each in changes[:_SHOWN])
    more = len(changes) - _SHOWN
    return f"{shown}, and {more} more" if more > 0 else shown


class Interruption(Frozen):
    """An apply that was cut short: what it had done by then."""

    run: int
    digest: str
    at: float
    done: tuple[str, ...] = ()
    """Addresses of resources that were finished."""
    open: tuple[str, ...] = ()
    """Addresses of resources that were being changed: they may be half done, and not in the state."""

    def words(self) -> str:
        """Says in one sentence what is known of it."""
        finished = count(len(self.done), "resource")
        begun = f"; {', '.join(self.open[:_SHOWN])} was being changed" if self.open else ""
        return f"the apply of run {self.run} was cut short after {finished}{begun}: it may exist outside of the state"


class Output(Frozen):
    """One output, as the state has it. The value of a sensitive one is never read."""

    name: str
    value: str
    sensitive: bool = False


class InfraApproval(Frozen):
    """A person's agreement to one saved plan."""

    infra: str
    digest: str
    who: str
    at: float
    until: float
    why: str = ""


class InfraStatus(Frozen):
    """How one infrastructure is, as far as it is known without asking its tool."""

    name: str
    kind: str
    path: str
    needs: tuple[str, ...] = ()
    workspace: str = ""
    plan: InfraPlan | None = None
    """The plan that waits; None for none, or an expired one."""
    judgement: Judgement | None = None
    approval: InfraApproval | None = None
    applied: float | None = None
    """When it was last applied by Podium, in seconds since the epoch."""
    interrupted: Interruption | None = None
    outputs: tuple[Output, ...] = ()
    drifted: tuple[Drift, ...] | None = None
    """What differed when that was last looked at; None where it never was."""
    drift_at: float | None = None
    runs: tuple[int, ...] = field(default_factory=tuple[int, ...])
    """Its latest runs, the newest first."""
    under_way: int = 0
    """The run that applies its plan now; 0 for none."""

    def why_not_apply(self) -> str:
        """Returns why its plan cannot be applied now; empty if it can."""
        if self.under_way:
            return f"run {self.under_way} is applying it"
        if self.plan is None:
            return f"no plan of {self.name} waits"
        if not self.plan.applyable:
            return f"{self.name} is as it is declared"
        if self.judgement is not None and self.judgement.never:
            return f"podium.yaml never lets this be done: {self.judgement.words()}"
        return ""

    def why_not_approve(self) -> str:
        """Returns why its plan cannot be approved now; empty if it can."""
        if self.approval is not None:
            return f"{self.approval.who} has approved it"
        return self.why_not_apply()

    def state(self) -> str:
        """Returns in a word or two how it stands."""
        if self.under_way:
            return "applying"
        if self.interrupted is not None:
            return "cut short"
        if self.plan is not None and self.plan.applyable:
            return "planned" if self.approval is None else "approved"
        if self.drifted:
            return "drifted"
        return "applied" if self.applied is not None else "unknown"
