"""Stays with a run that a command has started: its number and no more, or what it does until it ends."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from ..core.cockpit import Cockpit
from ..core.domain.format import short_commit
from ..core.domain.runs import Run, RunDetail, RunState, Step
from ..core.domain.text import clean
from ..core.errors import Refused
from . import output, shapes
from .diagnostics import note
from .follow import ending, follow, title
from .output import Format


@dataclass(frozen=True)
class Attended:
    """How a run ended, and whether a person at this terminal wanted it to end."""

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
    *,
    detach: bool,
    output_format: Format,
    quiet: bool = False,
    headline: str = "",
    document: bool = True,
    on_cancel: str = "",
    cancels: bool = True,
) -> Attended | None:
    """Follows the run to its end; None with `detach`, which says the run's number and leaves it alone.

    The first Ctrl-C says `on_cancel` and, where it `cancels`, has the run cancelled; the second returns at once.
    `document` prints the run as JSON where that is the format.
    """
    if detach:
        output.document(shapes.run(run)) if output_format is Format.JSON else output.line(str(run.id))
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

    detail = follow(cockpit, run, lines=not quiet, on_interrupt=cancel)
    if document and output_format is Format.JSON:
        output.document(run_document(cockpit, detail))
    return Attended(detail, interrupted)


def run_headline(run: Run) -> str:
    at = f" at {short_commit(run.commit, dirty=run.dirty)}" if run.commit else ""
    return f"{title(run)}: {clean(run.name)}{at}"


def run_document(cockpit: Cockpit, detail: RunDetail) -> dict[str, Any]:
    """Returns a run and its steps as JSON has them."""

    def log(step: Step) -> str:
        path = cockpit.runs.log(detail.run.id, step.name)
        return str(path) if path.exists() else ""

    return {**shapes.run(detail.run), "steps": [shapes.step(step, log(step)) for step in detail.steps]}
