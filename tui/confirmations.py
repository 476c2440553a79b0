"""What is asked before a run is changed, and what is then done. A change of what serves is shown as a plan instead."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.domain.frozen import Frozen
from ..core.domain.runs import Run
from ..core.domain.scm import CommitRow
from .context import Context

if TYPE_CHECKING:
    from ..core.cockpit import Cockpit


class Confirmation(Frozen):
    """A question, and what is done after a yes. A run that comes of it is shown."""

    question: str
    lines: tuple[str, ...]
    yes: str
    """The answer that does it."""
    no: str
    what: str
    """What is being done, for the footer while it lasts."""
    work: Callable[[Cockpit, str], Any]
    """Called in the pool with the façade and the reason that was given."""
    command: str = ""
    """The same from a shell."""
    said: str = ""
    """What the footer says when it is done."""


def _run(context: Context) -> Run:
    run = context.find(Run)
    assert run is not None
    return run


def cancel(context: Context) -> Confirmation:
    run = _run(context)
    return Confirmation(
        f"Cancel run {run.id}, {run.title}?",
        ("What its steps have finished is kept; U resumes it later.",),
        "Cancel the run",
        "Let it run",
        f"cancel run {run.id}",
        lambda cockpit, why: cockpit.runs.cancel(run.id, why=why),
        f"podium cancel {run.id}",
        f"run {run.id} was asked to stop",
    )


def again(context: Context) -> Confirmation:
    run = _run(context)
    flags = "".join(f" -p {shlex.quote(f'{name}={value}')}" for name, value in run.params.items())
    return Confirmation(
        f"Run {run.name} again?",
        (
            "With the working tree as it is now; steps whose inputs did not change come from the cache.",
            *(f"{name} = {value}" for name, value in run.params.items()),
        ),
        "Run again",
        "Do not",
        f"run {run.name}",
        lambda cockpit, why: cockpit.runs.start(
            run.name, params=dict(run.params), jobs=run.jobs, why=why or f"run {run.id} again"
        ),
        f"podium run {shlex.quote(run.name)}{flags}",
    )


def run_commit(row: CommitRow, pipeline: str) -> Confirmation:
    commit = row.commit
    held = [f"v{each.version} of it is quarantined: {each.quarantined}" for each in row.versions if each.quarantined]
    before = (f"Run {row.run.id} of {row.run.name} ran it: {row.run.state}.",) if row.run is not None else ()
    return Confirmation(
        f"Run {pipeline} on commit {commit.short}?",
        (
            f"{commit.subject} ({commit.author})",
            "In a worktree of that commit, by the podium.yaml that it has; your working tree stays as it is.",
            *before,
            *held,
        ),
        "Run the commit",
        "Do not",
        f"run {pipeline} on {commit.short}",
        lambda cockpit, why: cockpit.runs.start(pipeline, commit=commit.sha, why=why),
        f"podium run {shlex.quote(pipeline)} --commit {commit.short}",
    )
