"""Takes a plan to its end: shown, agreed to, applied, followed."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...core.cockpit import Cockpit
from ...core.domain.plans import Plan
from ...core.domain.runs import RunDetail
from ...core.domain.text import clean
from ...core.domain.text.format import duration
from ...core.domain.text.planned import plan_lines
from ..options import ChangeOptions
from ..text import diagnostics, output
from ..text.diagnostics import note
from ..text.output import Format
from .attend import attend
from .confirm import agree


def refuses(plan: Plan, *, force: bool = False) -> bool:
    """Returns whether the plan refuses itself, and `force` does not override that."""
    return bool(plan.refusal) and not (plan.overridable and force)


def show_plan(plan: Plan, document: object, output_format: Format, *, force: bool = False) -> int:
    """Prints what --dry-run asks for; returns its exit code."""
    if output_format is Format.JSON:
        output.document(document)
    else:
        for text in plan_lines(plan, diagnostics.glyph("→", "->")):
            output.line(text)
    return diagnostics.REFUSED if refuses(plan, force=force) else diagnostics.DONE


def without_a_run(
    plan: Plan, document: object, output_format: Format, *, dry_run: bool, force: bool = False
) -> int | None:
    """Prints what --dry-run asks for, or that there is nothing to do; returns the exit code, None if the plan is to be
    applied."""
    if dry_run:
        return show_plan(plan, document, output_format, force=force)
    if plan.refusal or not plan.nothing_to_do:
        return None
    if output_format is Format.JSON:
        output.document(document)
    for warning in plan.warnings:
        note(clean(warning), style="yellow")
    note(clean(plan.nothing_to_do), style="green")
    return diagnostics.DONE


def apply(
    cockpit: Cockpit,
    plan: Plan,
    options: ChangeOptions,
    *,
    on_cancel: str,
    finished: Callable[[RunDetail], str],
    cancels: bool = True,
    force: bool = False,
    began: float | None = None,
    document: Callable[[RunDetail], object] | None = None,
) -> int:
    """Asks, applies the plan as a run and follows that to its end; returns the exit code.

    `finished` says what a run that succeeded has done. The time it took counts from `began` on the monotonic clock, or
    from the answer to the question. For `on_cancel` and `cancels` see `attend`. With -o json, `document` is printed
    after success, by default the run.
    """
    typed = "" if refuses(plan, force=force) else agree(plan, yes=options.yes, confirm=options.confirm)
    began = time.monotonic() if began is None else began
    run = cockpit.changes.apply(plan, confirmed=typed, why=options.why, force=force)
    assert run is not None
    attended = attend(cockpit, run, options, document=document is None, on_cancel=on_cancel, cancels=cancels)
    if attended is None:
        return diagnostics.DONE
    if not attended.succeeded:
        return attended.ending()
    if document is not None and options.output_format is Format.JSON:
        output.document(document(attended.detail))
    note(f"{finished(attended.detail)}, done in {duration(time.monotonic() - began)}", style="green")
    return diagnostics.DONE
