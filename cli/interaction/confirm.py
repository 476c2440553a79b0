"""Asks a person to agree to a change."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ...core.domain.plans import Plan
from ...core.domain.text.planned import plan_lines
from ...core.errors import Interrupted, Refused
from ..text import diagnostics
from ..text.diagnostics import note


def agree(plan: Plan, *, yes: bool, confirm: str) -> str:
    """Shows the plan, asks, and returns the word that was typed to confirm it, empty if agreeing is enough. The façade
    checks that word.

    Raises Refused (exit 4) if nobody agrees or can be asked, Interrupted on Ctrl-C.
    """
    return ask(
        plan_lines(plan, diagnostics.glyph("→", "->")),
        plan.action.lower(),
        plan.command_that_agrees,
        wanted=plan.type_to_confirm,
        yes=yes,
        confirm=confirm,
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
    """Shows the lines and asks whether to do `what`. `wanted` is the word that has to be typed, empty if yes is enough.
    `command` is the command that does the same without asking; `otherwise` is said if nobody agrees."""
    if wanted and confirm:
        return confirm
    if yes and not wanted:
        return ""
    for text in lines:
        note(text)
    if not diagnostics.interactive():
        raise Refused(f"there is no terminal to confirm this: {what}", hint=command)
    try:
        question = f"type {wanted} to {what}: " if wanted else f"{what}? [y/N] "
        diagnostics.ask(question)
        answer = sys.stdin.readline().strip()
    except KeyboardInterrupt:
        note()
        raise Interrupted(otherwise) from None
    if not (answer == wanted if wanted else answer.lower() in ("y", "yes")):
        raise Refused(f"not confirmed; {otherwise}")
    return answer if wanted else ""
