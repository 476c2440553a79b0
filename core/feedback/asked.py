"""What a person decides about the feedback loop: a proposal is approved or rejected, and a brake may be overridden."""

from __future__ import annotations

from dataclasses import replace

from ..domain.monitoring import LoopEntry, LoopState
from ..domain.project import Project
from ..errors import Refused, UsageError
from ..journal import Journal
from .brakes import held
from .loop import case_of, start, words


def approve(project: Project, journal: Journal, number: int, *, who: str, why: str, now: float) -> LoopEntry:
    """Starts what was proposed, or what a brake holds: for that a reason is needed. Raises NotFound for an unknown
    entry, Refused where there is nothing to decide, or a brake holds what was proposed and no reason is given."""
    entry = journal.loops.get(number)
    _undecided(entry)
    found = case_of(project, journal, entry, now)
    holds = held(found)
    if holds and not why.strip():
        raise Refused(f"{entry.pipeline} is held: {holds}", hint='override it with a reason: --why "…"')
    reason = f"approved by {who}" + (f" although {holds}" if holds else "") + (f": {why}" if why.strip() else "")
    started = start(found, entry, who=who, why=reason)
    journal.audit.add(who, "feedback approve", started.pipeline, words(started))
    return started


def reject(journal: Journal, number: int, *, who: str, why: str, now: float) -> LoopEntry:
    """Ends what was proposed or held, for this firing of its alert. Raises NotFound, UsageError without a reason, and
    Refused where there is nothing to decide."""
    if not why.strip():
        raise UsageError("a reason is needed", hint='--why "the feed is repaired tomorrow"')
    with journal.transaction():
        entry = journal.loops.get(number)
        _undecided(entry)
        ended = replace(entry, state=LoopState.ENDED, ended=now, why=f"rejected by {who}: {why}")
        stored = journal.loops.put(ended)
        journal.audit.add(who, "feedback reject", stored.pipeline, words(stored))
    return stored


def _undecided(entry: LoopEntry) -> None:
    if entry.state not in (LoopState.PROPOSED, LoopState.REFUSED):
        raise Refused(f"entry {entry.id} waits for nobody: {words(entry)}", hint="`podium feedback` shows what does")
