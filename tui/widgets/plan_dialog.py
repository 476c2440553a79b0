"""A plan before a change of traffic: what goes from what to what, in which steps, how the candidate compares, and
what it is as a command.

The focus is on Cancel. A protected environment's name has to be typed. A refusal is said first, and only a reason
overrides one that can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from ...core.domain import format as fmt
from ...core.domain.delivery import Change, How, Plan
from ...core.domain.models import Version
from ...core.domain.repair import Difference, Severity
from .confirm import DIALOG_CSS, Dialog
from .pane import safe

_VERBS = {How.PROMOTE: "Promote", How.ROLLBACK: "Roll back", How.DEPLOY: "Deploy"}
_MAX_METRICS = 8


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change as it is put before a person: a plan of the ledger's, an order to a canary, a repair, a restart. What
    each field means is said in `Plan`; `title` is `verb` with its object, `reason` says what becomes of the person's
    words, empty where none are asked for."""

    title: str
    verb: str
    command: str
    changes: tuple[Change, ...] = ()
    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""
    force: bool = False
    type_to_confirm: str = ""
    expected_seconds: float | None = None
    versions: tuple[Version, Version] | None = None
    reason: str = "kept in the ledger"
    differences: tuple[Difference, ...] = ()


def proposed(plan: Plan) -> Proposal:
    verb = _VERBS[plan.how]
    what = (
        f"{plan.environment} to v{plan.version}"
        if plan.how is How.ROLLBACK
        else f"{plan.model} v{plan.version} to {plan.environment}"
    )
    both = (plan.champion, plan.candidate) if plan.champion is not None and plan.candidate is not None else None
    return Proposal(
        f"{verb} {what}",
        verb,
        plan.command,
        plan.changes,
        plan.steps,
        plan.warnings,
        plan.refusal,
        plan.force,
        plan.type_to_confirm,
        plan.expected_seconds,
        both if both and both[0].version != both[1].version else None,
    )


@dataclass(frozen=True, slots=True)
class Decision:
    why: str
    force: bool


def plan_text(plan: Proposal, *, arrow: str = "→") -> Content:
    """Everything that is said of the change, as text."""
    parts: list[str | tuple[str, str]] = []
    if plan.refusal:
        parts += [("Refused: ", "bold $error"), (safe(plan.refusal) + "\n", "$error")]
        if plan.force:
            parts.append(("A reason below overrides this; it is kept in the ledger.\n", "$muted"))
        parts.append("\n")
    for warning in plan.warnings:
        parts += [("! ", "bold $warning"), (safe(warning) + "\n", "$warning")]
    if plan.warnings:
        parts.append("\n")
    parts += _differences(plan.differences, arrow)
    if plan.changes:
        parts.append(("What changes\n", "bold $muted"))
        width = max(len(change.subject) for change in plan.changes)
        for change in plan.changes:
            parts.append((f"  {safe(change.subject):<{width}}  ", "$foreground"))
            parts += [
                (safe(change.before) or "–", "$muted"),
                (f" {arrow} ", "$muted"),
                (safe(change.after) or "–", "bold $foreground"),
                "\n",
            ]
    parts += _metrics(*plan.versions) if plan.versions is not None else []
    if plan.steps:
        expected = f", about {fmt.duration(plan.expected_seconds)}" if plan.expected_seconds is not None else ""
        parts.append((("\n" if len(parts) else "") + f"Steps{expected}\n", "bold $muted"))
        parts += [(f"  {number}. {safe(step)}\n", "$foreground") for number, step in enumerate(plan.steps, 1)]
    if plan.command:
        parts.append("\n" if plan.changes or plan.steps or plan.differences else "")
        parts += [("The same from a shell\n", "bold $muted"), (f"  {safe(plan.command)}", "$accent")]
    return Content.assemble(*parts)


def _differences(differences: tuple[Difference, ...], arrow: str) -> list[str | tuple[str, str]]:
    """What is not as the ledger says, and what would be done about each."""
    if not differences:
        return []
    parts: list[str | tuple[str, str]] = [("What differs\n", "bold $muted")]
    for difference in differences:
        bad = difference.severity is Severity.PROBLEM
        parts += [("  ! ", "bold $error" if bad else "bold $warning"), (safe(difference.words) + "\n", "$foreground")]
        if difference.repairable:
            parts.append((f"    {arrow} {safe(difference.repair)}\n", "$muted"))
    return parts


def _metrics(champion: Version, candidate: Version) -> list[str | tuple[str, str]]:
    """Candidate beside what serves. Which way is better is the gate's to say, so differences have a sign and no
    colour."""
    shared = [name for name in candidate.metrics if name in champion.metrics]
    if not shared:
        return []
    parts: list[str | tuple[str, str]] = [
        (
            f"\nMetrics{'':<16}{'v' + str(champion.version):>12}{'v' + str(candidate.version):>12}{'difference':>13}\n",
            "bold $muted",
        )
    ]
    for name in shared[:_MAX_METRICS]:
        old, new = champion.metrics[name], candidate.metrics[name]
        parts.append((f"  {safe(name)[:20]:<21}", "$foreground"))
        parts += [
            (f"{fmt.number(old):>12}", "$muted"),
            (f"{fmt.number(new):>12}", "$foreground"),
            (f"{fmt.signed(new - old):>13}\n", "$accent"),
        ]
    if len(shared) > _MAX_METRICS:
        parts.append((f"  and {len(shared) - _MAX_METRICS} more: podium compare\n", "$muted"))
    return parts


class PlanDialog(Dialog):
    """Answers with a Decision, or None when nothing is to change."""

    DEFAULT_CSS = (
        "PlanDialog { align: center middle; background: $background 60%; }"
        + DIALOG_CSS
        + """
    PlanDialog VerticalScroll { height: auto; max-height: 24; scrollbar-size-vertical: 1; }
    PlanDialog.-low VerticalScroll { max-height: 11; }
    PlanDialog .label.-protected { color: $protected; }
    PlanDialog .dialog.-protected { border: round $protected; border-title-color: $protected; }
    """
    )
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (32, "-tall")]

    def __init__(self, plan: Plan | Proposal) -> None:
        super().__init__()
        self.plan = proposed(plan) if isinstance(plan, Plan) else plan

    @property
    def _forcing(self) -> bool:
        return bool(self.plan.refusal) and self.plan.force

    @property
    def _hopeless(self) -> bool:
        return bool(self.plan.refusal) and not self.plan.force

    def compose(self) -> ComposeResult:
        plan = self.plan
        protected = bool(plan.type_to_confirm)
        with Vertical(classes="dialog -protected" if protected else "dialog") as box:
            box.border_title = Content(safe(plan.title) + (" · PROTECTED" if protected else "")).markup
            with VerticalScroll(can_focus=False):
                yield Static(plan_text(plan, arrow=self.app.glyphs["arrow"]))  # type: ignore[attr-defined]
            if not self._hopeless:
                if plan.reason:
                    words = (
                        "why (needed: it overrides the refusal)"
                        if self._forcing
                        else f"why ({plan.reason}; may be empty)"
                    )
                    yield Static(words, classes="label")
                    yield self._entry("why")
                if protected:
                    yield Static(
                        Content.assemble("type ", (plan.type_to_confirm, "bold"), " to confirm"),
                        classes="label -protected",
                    )
                    yield self._entry("typed")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="keep", compact=True)
                if not self._hopeless:
                    label = f"{plan.verb} all the same" if self._forcing else plan.verb
                    yield Button(label, id="yes", classes="danger", disabled=protected or self._forcing, compact=True)

    def _entry(self, name: str) -> Input:
        entry = Input(id=name)
        entry.cursor_blink = False
        return entry

    def on_mount(self) -> None:
        self.query_one("#keep", Button).focus()

    @property
    def confirmed(self) -> bool:
        """Whether all that the plan asks of a person was given."""
        if self._hopeless:
            return False
        if self._forcing and not self.query_one("#why", Input).value.strip():
            return False
        return (
            not self.plan.type_to_confirm or self.query_one("#typed", Input).value.strip() == self.plan.type_to_confirm
        )

    def on_input_changed(self) -> None:
        self.query_one("#yes", Button).disabled = not self.confirmed

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field goes on to what is next, and never does the deed."""
        event.stop()
        self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "yes" and self.confirmed:
            self.dismiss(
                Decision(self.query_one("#why", Input).value.strip() if self.plan.reason else "", self._forcing)
            )
        else:
            self.dismiss(None)
