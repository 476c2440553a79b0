"""Asks a person to agree to a change."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ...core.domain.plans import Plan
from ...core.errors import Interrupted, Refused
from ..text import diagnostics
from ..text.diagnostics import note, paint
from ..text.plan_text import plan_lines


def agree(plan: Plan, *, yes: bool, confirm: str) -> str:
    """Shows the plan and returns when a person agreed: the word that they gave to confirm it, which the façade checks.

    Refused (exit 4) when nobody did or could; Interrupted on Ctrl-C at the question.
    """
    return ask(
        plan_lines(plan), plan.action.lower(), plan.command, wanted=plan.type_to_confirm, yes=yes, confirm=confirm
    )


def ask(
    lines: Sequence[str],
    what: str,
    command: str,
    *,
    wanted: str = "",
    yes: bool = False,
    confirm: str = "",
    otherwise: str = "nothing was changed",
) -> str:
    """Shows the lines and asks whether to do `what`; `wanted` is the word that has to be typed, empty where yes is
    enough. `command` does the same without asking, with the flags that say yes."""
    if wanted and confirm:
        return confirm
    if yes and not wanted:
        return ""
    for text in lines:
        note(text)
    if not diagnostics.interactive():
        flags = f"--yes --confirm {wanted}" if wanted else "--yes"
        raise Refused(f"there is no terminal to confirm this: {what}", hint=f"{command} {flags}")
    try:
        question = f"type {wanted} to {what}: " if wanted else f"{what}? [y/N] "
        print(paint(question, "bold"), end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip()
    except KeyboardInterrupt:
        note()
        raise Interrupted(otherwise) from None
    if not (answer == wanted if wanted else answer.lower() in ("y", "yes")):
        raise Refused(f"not confirmed; {otherwise}")
    return answer if wanted else ""
