"""The questions of the cockpit, asked line by line: plans, confirmations, forms, and what is only read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from textual.screen import ModalScreen

from ...core.domain.text.planned import plan_lines
from ..actions import Action
from ..palette import Entry, best, things
from ..widgets.answer_dialog import AnswerDialog
from ..widgets.confirm import ConfirmDialog
from ..widgets.form_dialog import Filled, FormDialog
from ..widgets.help import HelpScreen
from ..widgets.line_dialog import LineDialog, lines_of
from ..widgets.palette_dialog import PaletteDialog
from ..widgets.pane import text_of
from ..widgets.plan_dialog import Decision, PlanDialog
from ..widgets.tables.columns_dialog import ColumnsDialog
from .spoken import plain

YES = "yes"
_MOST_CHOICES = 9
_CHANGES_NOTHING = "anything else changes nothing"


class Asker(Protocol):
    """Whoever has the terminal and the project."""

    async def ask(self, prompt: str) -> str: ...
    def tell(self, line: str) -> None: ...
    async def find(self, text: str) -> Sequence[Any]: ...
    def perform(self, action: str) -> None: ...


Handler = Callable[[Asker, Any], Awaitable[Any]]


async def answer(asker: Asker, dialog: ModalScreen[Any]) -> Any:
    """Asks what a dialog asks; returns what the dialog would have answered."""
    return await HANDLERS[type(dialog)](asker, dialog)


async def _agreed(asker: Asker, word: str, does: str) -> bool:
    given = await asker.ask(f"Type {word} to {does}; {_CHANGES_NOTHING}: ")
    return given.casefold() == YES if word == YES else given == word


async def _plan(asker: Asker, dialog: PlanDialog) -> Decision | None:
    """A plan is told whole, then agreed to: by the word yes, or by the name of a protected environment."""
    plan = dialog.plan
    for line in plan_lines(plan, "to"):
        asker.tell(plain(line))
    if dialog.hopeless:
        return None
    if plan.type_to_confirm:
        asker.tell(f"{plain(plan.type_to_confirm)} is protected.")
    does = plain(plan.action).lower() + (" anyway" if dialog.forcing else "")
    if not await _agreed(asker, plain(plan.type_to_confirm) or YES, does):
        return None
    why = ""
    if dialog.forcing:
        why = await asker.ask("Why (needed: it overrides the refusal): ")
    elif plan.kept_in:
        why = await asker.ask(f"Why (kept in the {plan.kept_in}; may be empty): ")
    decision = Decision(why, dialog.forcing, plan.type_to_confirm)
    objection = plan.objection(confirmed=decision.confirmed, why=why, force=decision.force)
    if objection is not None:
        asker.tell("; ".join(plain(part) for part in objection if part))
        return None
    return decision


async def _confirm(asker: Asker, dialog: ConfirmDialog) -> str | None:
    asker.tell(plain(dialog.question))
    for line in dialog.said:
        asker.tell(plain(line))
    if dialog.command:
        asker.tell(f"The same from a shell: {plain(dialog.command)}")
    if not await _agreed(asker, YES, plain(dialog.yes).lower()):
        asker.tell("nothing was changed")
        return None
    needed = "needed" if dialog.needs_reason else "may be empty"
    why = await asker.ask(f"Why (kept in the audit; {needed}): ")
    if dialog.needs_reason and not why:
        asker.tell("nothing was changed: a reason is needed")
        return None
    return why


async def _form(asker: Asker, dialog: FormDialog) -> Filled | None:
    """An empty line keeps what stands in brackets."""
    asker.tell(f"Start {plain(dialog.pipeline)}.")
    for line in dialog.said:
        asker.tell(plain(line))
    params: dict[str, str] = {}
    for name, value in dialog.params.items():
        given = await asker.ask(f"{plain(name)} [{plain(value)}]: ")
        params[name] = given or value
    if not params:
        asker.tell("It has no parameters.")
    asker.tell(f"The same from a shell: {plain(dialog.command_for(params))}")
    if not await _agreed(asker, YES, "start it"):
        asker.tell("nothing was started")
        return None
    return Filled(params, await asker.ask("Why (kept in the audit; may be empty): "))


async def _answer(asker: Asker, dialog: AnswerDialog) -> None:
    asker.tell(f"Why, {plain(dialog.answer.subject)}: {plain(dialog.answer.short)}")
    for line in dialog.answer.because:
        asker.tell(plain(line))


async def _line(asker: Asker, dialog: LineDialog) -> None:
    for line in lines_of(dialog.line):
        words = plain(text_of(line))
        if words:
            asker.tell(words)


async def _help(asker: Asker, dialog: HelpScreen) -> None:
    """Everything that can be done here, then what cannot and why; a number does it."""
    context = dialog.situation
    here = [each for each in dialog.keymap.actions if not each.screens or context.screen in each.screens]
    listed = [each for each in here if each.group != "Move"]
    possible = [each for each in listed if not each.refusal(context)]
    for number, each in enumerate(possible, 1):
        asker.tell(f"{number}. {_called(each, dialog)}: {plain(each.help_on(context.screen))}")
    for each in listed:
        if each not in possible and each.group in ("Here", "Changes", "Yours"):
            asker.tell(f"Not now: {_called(each, dialog)}: {plain(each.refusal(context))}")
    chosen = await _choice(asker, possible)
    if chosen is not None:
        asker.perform(chosen.id)


def _called(action: Action, dialog: HelpScreen) -> str:
    keys = dialog.keymap.all_shown(action)
    return f"{action.label_on(dialog.situation.screen)}{f' ({keys})' if keys else ''}"


async def _palette(asker: Asker, dialog: PaletteDialog) -> Entry | None:
    text = await asker.ask("Name: ")
    return await choose_named(asker, text, dialog.verbs) if text else None


async def choose_named(asker: Asker, text: str, verbs: Sequence[Entry]) -> Entry | None:
    """Returns what has a name, or what a person chooses of what fits it; None for nothing."""
    rows = best(text, [*things(await asker.find(text)), *verbs])[:_MOST_CHOICES]
    if not rows:
        asker.tell(f"Nothing has the name {plain(text)}.")
        return None
    if len(rows) == 1 or rows[0].name.casefold() == text.casefold():
        return rows[0]
    for number, each in enumerate(rows, 1):
        asker.tell(f"{number}. {each.kind} {plain(each.name)}{f', {plain(each.words)}' if each.words else ''}")
    return await _choice(asker, rows)


async def _choice(asker: Asker, rows: Sequence[Any]) -> Any:
    """Returns what the number that is typed stands for; None for an empty line or another number."""
    given = await asker.ask("Number (empty for none): ")
    if given.isdecimal() and 1 <= int(given) <= len(rows):
        return rows[int(given) - 1]
    return None


async def _columns(asker: Asker, dialog: ColumnsDialog) -> None:
    """Numbers of columns hide them, or show them again."""
    for number, title in enumerate(dialog.titles, 1):
        hidden = title in dialog.table.arrangement.hidden
        asker.tell(f"{number}. {plain(title)}, {'hidden' if hidden else 'told'}")
    given = (await asker.ask("Numbers to hide or tell again (empty for none): ")).split()
    titles, arrangement = dialog.titles, dialog.table.arrangement
    for each in given:
        if each.isdecimal() and 1 <= int(each) <= len(titles):
            arrangement = arrangement.toggled(titles[int(each) - 1])
    dialog.table.arrange(arrangement)


HANDLERS: Mapping[type[ModalScreen[Any]], Handler] = {
    PlanDialog: _plan,
    ConfirmDialog: _confirm,
    FormDialog: _form,
    AnswerDialog: _answer,
    LineDialog: _line,
    HelpScreen: _help,
    PaletteDialog: _palette,
    ColumnsDialog: _columns,
}
