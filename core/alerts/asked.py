"""What a person asks of alerts: to be known as somebody's business, and to be silent for a while."""

from __future__ import annotations

import time
from dataclasses import replace

from ..domain.monitoring import AlertStatus, Silence
from ..domain.project import Project
from ..domain.text.format import exact_duration, moment
from ..errors import NotFound, Refused, UsageError
from ..journal import Journal
from .standing import statuses, subject_of

MAX_SILENCE_SECONDS = 90 * 86_400.0


def acknowledge(project: Project, journal: Journal, name: str, *, who: str, why: str) -> AlertStatus:
    """Notes that a person knows of an alert that fires; that holds until it is over. Raises NotFound for an unknown
    alert and Refused for one that does not fire."""
    ensure_known(project, name)
    _reasoned(why)
    with journal.transaction():
        standing = journal.alert_states.get(name)
        if standing is None or not standing.status.firing:
            raise Refused(f"{name} does not fire", hint="`podium alerts` shows how they stand")
        said = f"by {who}: {why}"
        journal.alert_states.put(replace(standing, status=replace(standing.status, acknowledged=said)))
        journal.audit.add(who, "acknowledge alert", name, f"episode {standing.status.episode}: {why}")
    return next(each for each in statuses(project, journal, time.time()) if each.name == name)


def silence(
    project: Project, journal: Journal, name: str, *, environment: bool, seconds: float, who: str, why: str
) -> Silence:
    """Silences an alert, or all of the environment `name`, for so many seconds. Raises NotFound for an unknown one and
    UsageError for a time that is none, or longer than 90 days."""
    subject = _subject(project, name, environment)
    _reasoned(why)
    if not 0 < seconds <= MAX_SILENCE_SECONDS:
        raise UsageError(
            f"nothing is silenced for {exact_duration(seconds)}", hint="a silence has an end: at most 90 days, 90d"
        )
    until = time.time() + seconds
    return journal.silences.add(subject, who=who, why=why, until=until, words=f"until {moment(until)}")


def unsilence(journal: Journal, name: str, *, environment: bool, who: str, why: str) -> list[Silence]:
    """Ends what silences an alert, or the alerts of the environment `name`. Raises NotFound if nothing does."""
    return journal.silences.end(subject_of(name) if environment else name, who=who, why=why)


def _subject(project: Project, name: str, environment: bool) -> str:
    if environment:
        return subject_of(project.environment(name).name)
    ensure_known(project, name)
    return name


def ensure_known(project: Project, name: str) -> None:
    """Raises NotFound, with the names there are, for an alert that podium.yaml does not have."""
    if name not in project.alerts:
        names = ", ".join(project.alerts) or "none"
        raise NotFound(f"there is no alert {name!r}", hint=f"podium.yaml has: {names}")


def _reasoned(why: str) -> None:
    if not why.strip():
        raise UsageError("a reason is needed", hint='--why "the feed is late; we wait for it"')
