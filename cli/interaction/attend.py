"""Stays with a run that a command has started until it ends, or prints its number and leaves it alone."""

from __future__ import annotations

import contextlib
from typing import Any

from ...core.cockpit import Cockpit
from ...core.domain.frozen import Frozen
from ...core.domain.runs import Run, RunDetail, RunState, Step
from ...core.domain.text import clean
from ...core.domain.text.format import short_commit
from ...core.errors import Refused
from ..options import ChangeOptions, FollowOptions
from ..text import output, shapes
from ..text.diagnostics import note
from ..text.output import Format
from .follow import ending, follow, title


class Attended(Frozen):
    """How a run ended, and whether Ctrl-C at this terminal cancelled it."""

    detail: RunDetail
    interrupted: bool

    @property
    def succeeded(self) -> bool:
        return self.detail.run.state is RunState.SUCCEEDED

    def ending(self) -> int:
        """Says how it ended; returns the exit code for it."""
        return ending(self.detail, interrupted=self.interrupted)


def attend(
    cockpit: Cockpit,
    run: Run,
    options: FollowOptions | ChangeOptions,
    *,
    headline: str = "",
    document: bool = True,
    on_cancel: str = "",
    cancels: bool = True,
) -> Attended | None:
    """Follows the run to its end; None with --detach, which prints the run's number and leaves it alone.

    The first Ctrl-C says `on_cancel` and, if it `cancels`, cancels the run; the second returns at once. With
    -o json, `document` prints the run.
    """
    as_json = options.output_format is Format.JSON
    if options.detach:
        output.document(shapes.run(run)) if as_json else output.line(str(run.id))
        return None
    if headline:
        note(headline, style="bold")
    interrupted = False

    def cancel() -> None:
        nonlocal interrupted
        note(on_cancel or f"cancelling run {run.id}; Ctrl-C again returns at once", style="yellow")
        if cancels:
            interrupted = True
            with contextlib.suppress(Refused):  # it ended in the same moment
                cockpit.runs.cancel(run.id, why="Ctrl-C")

    detail = follow(cockpit, run, lines=not options.quiet, on_interrupt=cancel)
    if document and as_json:
        output.document(run_document(cockpit, detail))
    return Attended(detail, interrupted)


def run_headline(run: Run) -> str:
    """Returns what is said of a run before it is followed: `run 12: release at 1a2b3c4`."""
    at = f" at {short_commit(run.commit, dirty=run.dirty)}" if run.commit else ""
    return f"{title(run)}: {clean(run.name)}{at}"


def run_document(cockpit: Cockpit, detail: RunDetail) -> dict[str, Any]:
    """Returns a run and its steps as JSON has them."""

    def log(step: Step) -> str:
        path = cockpit.runs.log(detail.run.id, step.name)
        return str(path) if path.exists() else ""

    return {**shapes.run(detail.run), "steps": [shapes.step(step, log(step)) for step in detail.steps]}
