"""A plan before it is applied: what goes from what to what, in which steps, how the candidate compares, and what it is
as a command.

The focus is on Cancel. A protected environment's name has to be typed. A refusal is said first, and only a reason
overrides one that can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from ...core.domain.frozen import Frozen
from ...core.domain.models import Version
from ...core.domain.plans import Plan
from ...core.domain.repair import Difference, Severity
from ...core.domain.text import format as fmt
from ...core.domain.text import one_line
from ..glyphs import Glyphs
from .confirm import DIALOG_CSS, KEYS, Dialog
from .pane import escaped, fit_both_ends

MAX_METRICS = 8


class Decision(Frozen):
    """What a person gave who agreed; `confirmed` is the word that they typed."""

    why: str
    force: bool
    confirmed: str = ""


def plan_text(plan: Plan, glyphs: Glyphs) -> Content:
    """Everything that is said of the change, as text."""
    arrow = glyphs["arrow"]
    parts: list[str | tuple[str, str]] = []
    if refusal := plan.refusal or plan.nothing_to_do:
        parts += [("Refused: ", "bold $error"), (one_line(refusal) + "\n", "$error")]
        if plan.overridable:
            parts.append(("A reason below overrides this; it is kept in the ledger.\n", "$muted"))
        parts.append("\n")
    for warning in plan.warnings:
        parts += [("! ", "bold $warning"), (one_line(warning) + "\n", "$warning")]
    if plan.warnings:
        parts.append("\n")
    # What a repair can do nothing about is among the warnings.
    parts += _differences([each for each in plan.differences if each.repairable], arrow)
    if plan.changes:
        parts.append(("What changes\n", "bold $muted"))
        width = max(len(change.subject) for change in plan.changes)
        for change in plan.changes:
            parts.append((f"  {one_line(change.subject):<{width}}  ", "$foreground"))
            parts += [
                (one_line(change.before) or "–", "$muted"),
                (f" {arrow} ", "$muted"),
                (one_line(change.after) or "–", "bold $foreground"),
                "\n",
            ]
    compared = plan.versions.compared if plan.versions is not None else None
    parts += _metrics(*compared, glyphs) if compared is not None else []
    if plan.steps:
        expected = f", about {fmt.duration(plan.expected_seconds)}" if plan.expected_seconds is not None else ""
        parts.append((("\n" if len(parts) else "") + f"Steps{expected}\n", "bold $muted"))
        parts += [(f"  {number}. {one_line(step)}\n", "$foreground") for number, step in enumerate(plan.steps, 1)]
    if plan.command:
        command = plan.command_that_forces if plan.refusal and plan.overridable else plan.command
        parts.append("\n" if plan.changes or plan.steps or plan.differences else "")
        parts += [("The same from a shell\n", "bold $muted"), (f"  {one_line(command)}", "$accent")]
    return Content.assemble(*parts)


def _differences(differences: Sequence[Difference], arrow: str) -> list[str | tuple[str, str]]:
    """What is not as the ledger says, and what would be done about each."""
    if not differences:
        return []
    parts: list[str | tuple[str, str]] = [("What differs\n", "bold $muted")]
    for difference in differences:
        bad = difference.severity is Severity.PROBLEM
        parts.append(("  ! ", "bold $error" if bad else "bold $warning"))
        parts.append((one_line(difference.words) + "\n", "$foreground"))
        parts.append((f"    {arrow} {one_line(difference.repair)}\n", "$muted"))
    return parts


def _metrics(baseline: Version, candidate: Version, glyphs: Glyphs) -> list[str | tuple[str, str]]:
    """Candidate beside what serves. Which way is better is the gate's to say, so differences have a sign and no
    colour."""
    shared = [name for name in candidate.metrics if name in baseline.metrics]
    if not shared:
        return []
    parts: list[str | tuple[str, str]] = [
        (
            f"\nMetrics{'':<16}{'v' + str(baseline.version):>12}{'v' + str(candidate.version):>12}{'difference':>13}\n",
            "bold $muted",
        )
    ]
    for name in shared[:MAX_METRICS]:
        old, new = baseline.metrics[name], candidate.metrics[name]
        parts.append((f"  {fit_both_ends(name, 20, glyphs)} ", "$foreground"))
        parts += [
            (f"{fmt.number(old):>12}", "$muted"),
            (f"{fmt.number(new):>12}", "$foreground"),
            (f"{fmt.signed(new - old):>13}\n", "$accent"),
        ]
    if len(shared) > MAX_METRICS:
        parts.append((f"  and {len(shared) - MAX_METRICS} more: podium compare\n", "$muted"))
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

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    @property
    def forcing(self) -> bool:
        return bool(self.plan.refusal) and self.plan.overridable

    @property
    def hopeless(self) -> bool:
        return bool(self.plan.refusal or self.plan.nothing_to_do) and not self.forcing

    def compose(self) -> ComposeResult:
        plan = self.plan
        protected = bool(plan.type_to_confirm)
        with Vertical(classes="dialog -protected" if protected else "dialog") as box:
            box.border_subtitle = KEYS
            box.border_title = escaped(one_line(plan.title) + (" · PROTECTED" if protected else ""))
            with VerticalScroll(can_focus=False):
                yield Static(plan_text(plan, self.app.glyphs))  # type: ignore[attr-defined]
            if not self.hopeless:
                if plan.kept_in:
                    words = (
                        "why (needed: it overrides the refusal)"
                        if self.forcing
                        else f"why (kept in the {plan.kept_in}; may be empty)"
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
                if not self.hopeless:
                    label = f"{plan.action} anyway" if self.forcing else plan.action
                    yield Button(label, id="yes", classes="danger", disabled=protected or self.forcing, compact=True)

    def _entry(self, name: str) -> Input:
        entry = Input(id=name)
        entry.cursor_blink = False
        return entry

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#keep", Button))  # at once: keys may have been typed already

    @property
    def decision(self) -> Decision:
        """What a person has given up to now."""
        return Decision(self._given("why"), self.forcing, self._given("typed"))

    def _given(self, name: str) -> str:
        return next((entry.value.strip() for entry in self.query(f"#{name}").results(Input)), "")

    @property
    def confirmed(self) -> bool:
        """Whether all that the plan asks of a person was given."""
        given = self.decision
        return self.plan.objection(confirmed=given.confirmed, why=given.why, force=given.force) is None

    def on_input_changed(self) -> None:
        self.query_one("#yes", Button).disabled = not self.confirmed

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field goes on to what is next, behind the name that had to be typed to the answer; it never does
        the deed."""
        event.stop()
        if event.input.id == "typed" and self.confirmed:
            self.set_focus(self.query_one("#yes", Button))
        else:
            self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "yes" and self.confirmed:
            self.dismiss(self.decision)
        else:
            self.dismiss(None)
