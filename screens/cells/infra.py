"""Cells and lines of infrastructure: how it stands, what its plan changes, what has drifted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...core.domain.frozen import Frozen
from ...core.domain.infra.plan import AttributeChange, Drift, InfraPlan, InfraStatus, ResourceChange
from ...core.domain.infra.rules import ChangeKind, Decision
from ...core.domain.text import clean
from ...core.domain.text import format as fmt
from ...tui.glyphs import Glyphs
from ...tui.widgets.pane import Cell, Span
from ...tui.widgets.table import Column
from ...tui.widgets.text_pane import Line

# A glyph and a role for each kind of change: never a colour alone.
_KINDS: dict[str, tuple[str, str]] = {
    ChangeKind.DELETE: ("bad", "bad"),
    ChangeKind.REPLACE: ("unequal", "bad"),
    ChangeKind.FORGET: ("skip", "warn"),
    ChangeKind.UPDATE: ("near", "warn"),
    ChangeKind.CREATE: ("up", "ok"),
    "drifted": ("warn", "warn"),
}
_STATES: dict[str, tuple[str, str]] = {
    "cut short": ("cut", "bad"),
    "applying": ("run", "run"),
    "planned": ("wait", "wait"),
    "approved": ("ok", "run"),
    "drifted": ("warn", "warn"),
    "applied": ("ok", "ok"),
    "unknown": ("idle", "faint"),
}
_DECISIONS = {
    Decision.AUTO: ("by itself", "muted"),
    Decision.ASK: ("a person", "wait"),
    Decision.NEVER: ("never", "bad"),
}


class PlanRow(Frozen):
    """One line of what is shown of a plan: a change, or a resource that has drifted."""

    key: str
    kind: str
    address: str
    why: str
    attributes: tuple[AttributeChange, ...]
    decision: Decision | None = None
    more: int = 0

    @property
    def rank(self) -> int:
        """Returns its place when the worst comes first."""
        return tuple(_KINDS).index(self.kind)


def plan_rows(status: InfraStatus | None) -> tuple[PlanRow, ...]:
    """Returns what the plan that waits changes, the worst first, and what matters of what has drifted."""
    if status is None:
        return ()
    plan, judged = status.plan, status.judgement
    drift: Sequence[Drift] = plan.real_drift if plan is not None else status.drifted or ()
    changes: Sequence[ResourceChange] = plan.changes if plan is not None else ()
    decided: dict[str, Decision] = {}
    if judged is not None:
        for decision in Decision:
            decided |= {each.address: decision for each in getattr(judged, decision.value)}
    found = [_of_change(each, decided.get(each.address)) for each in changes]
    return (*found, *map(_of_drift, drift))


def _of_change(change: ResourceChange, decision: Decision | None) -> PlanRow:
    forcing = ", ".join(each.path for each in change.attributes if each.forces)
    moved = f"was {change.moved_from}" if change.moved_from else ""
    words = "; ".join(
        filter(None, (forcing and f"because of {forcing}", change.why, moved, change.imported and "imported"))
    )
    if not words and change.kind is ChangeKind.UPDATE:
        words = ", ".join(each.path for each in change.attributes)
    return PlanRow(
        f"{change.kind} {change.address}", change.kind, change.address, words, change.attributes, decision, change.more
    )


def _of_drift(drift: Drift) -> PlanRow:
    why = "it is gone" if drift.gone else ", ".join(each.path for each in drift.attributes)
    return PlanRow(f"drifted {drift.address}", "drifted", drift.address, why, drift.attributes)


def plan_text(row: PlanRow) -> str:
    """Returns what a filter looks through."""
    return f"{row.kind} {row.address} {row.why}"


def state_span(state: str, glyphs: Glyphs) -> Span:
    name, role = _STATES.get(state, ("idle", "muted"))
    return (f"{glyphs[name]} {state}", role)


def infra_columns(glyphs: Callable[[], Glyphs], clock: Callable[[], float]) -> tuple[Column[InfraStatus], ...]:
    def plan(row: InfraStatus) -> Cell:
        if row.plan is None or not row.plan.applyable:
            return (("nothing waits", "faint"),)
        role = "bad" if row.plan.destroys else "text!"
        return ((row.plan.words(), role), (f"  expires {fmt.until(row.plan.expires, clock())}", "muted"))

    def drift(row: InfraStatus) -> Cell:
        if row.drifted is None:
            return (("not looked at", "faint"),)
        words = fmt.count(len(row.drifted), "resource") if row.drifted else "none"
        return ((words, "warn" if row.drifted else "muted"), (f"  {fmt.age(row.drift_at, clock())}", "faint"))

    return (
        Column("state", lambda row: (state_span(row.state(), glyphs()),), width=11),
        Column("name", lambda row: ((row.name, "accent"),), width=10, flex=1),
        Column("tool", lambda row: ((row.kind, "muted"),), width=14, from_width=84),
        Column("plan", plan, width=14, flex=3),
        Column("drift", drift, width=14, flex=1, from_width=72),
        Column("applied", lambda row: ((fmt.age(row.applied, clock()), "muted"),), width=7, align="right"),
    )


def change_columns(glyphs: Callable[[], Glyphs]) -> tuple[Column[PlanRow], ...]:
    def kind(row: PlanRow) -> Cell:
        name, role = _KINDS[row.kind]
        return ((f"{glyphs()[name]} {row.kind}", role),)

    def decided(row: PlanRow) -> Cell:
        return (_DECISIONS[row.decision],) if row.decision is not None else ""

    return (
        Column("change", kind, width=9, sort=lambda row: row.rank),
        Column("resource", lambda row: row.address, width=16, flex=3, sort=lambda row: row.address, both_ends=True),
        Column("why", lambda row: ((row.why, "muted"),), width=8, flex=3, from_width=60),
        Column("agreed by", decided, width=9, from_width=72),
    )


def value_lines(row: PlanRow, glyphs: Glyphs) -> list[Line]:
    """Returns the values of one resource that change."""
    lines: list[Line] = [((f"{row.kind} ", _KINDS[row.kind][1]), (row.address, "text!"))]
    if row.why:
        lines.append(((row.why, "muted"),))
    for each in row.attributes:
        mark: Span = (f"{glyphs['unequal']} ", "bad") if each.forces else ("  ", "faint")
        after: Span = (each.after, "text!")
        lines.append((mark, (f"{each.path}: ", "accent"), (f"{each.before} {glyphs['arrow']} ", "muted"), after))
    if row.more:
        lines.append(((fmt.count(row.more, "more value"), "faint"),))
    return lines


def status_lines(status: InfraStatus, now: float, glyphs: Glyphs) -> list[Line]:
    """Returns how one infrastructure stands: its plan, who has to agree, what is known of it."""
    lines: list[Line] = [
        ((status.name, "text!"), (f"  {status.kind} in {status.path}", "muted"), *_place(status)),
        (state_span(status.state(), glyphs),),
    ]
    if status.interrupted is not None:
        lines.append(((clean(status.interrupted.words()), "bad"),))
    plan = status.plan
    if plan is None:
        lines.append((("No plan waits. ", "muted"), ("R makes one.", "faint")))
    else:
        lines += _plan_lines(status, plan, now)
    lines += [((f"{each.name} = ", "accent"), (each.value, "muted")) for each in status.outputs]
    return lines


def _place(status: InfraStatus) -> tuple[Span, ...]:
    return ((f", workspace {status.workspace}", "muted"),) if status.workspace else ()


def _plan_lines(status: InfraStatus, plan: InfraPlan, now: float) -> list[Line]:
    by = f", by {plan.who}" if plan.who else ""
    lines: list[Line] = [
        ((f"plan {plan.short}: ", "muted"), (plan.words(), "bad" if plan.destroys else "text!")),
        ((f"made {fmt.ago(plan.created, now)}{by}; expires {fmt.until(plan.expires, now)}", "muted"),),
    ]
    if plan.previous:
        lines.append(((plan.previous, "bad"),))
    if status.approval is not None:
        lines.append(((f"approved by {status.approval.who} {fmt.ago(status.approval.at, now)}", "run"),))
    elif plan.applyable and status.judgement is not None:
        decision = status.judgement.decision
        words = {
            Decision.AUTO: "a pipeline applies it by itself",
            Decision.ASK: f"needs a person: {status.judgement.words()}",
            Decision.NEVER: f"podium.yaml never lets this be done: {status.judgement.words()}",
        }[decision]
        lines.append(((words, _DECISIONS[decision][1]),))
    if plan.noise:
        lines.append(((f"{fmt.count(plan.noise, 'resource')} changed outside: nothing here depends on it", "faint"),))
    lines += [((f"output {each.name}: {each.before} ", "muted"), (each.after, "text!")) for each in plan.outputs]
    lines += [((f"warning: {each}", "warn"),) for each in plan.warnings]
    return lines
