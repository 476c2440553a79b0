"""How the alerts stand for whoever asks: with what people said of them. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..domain.monitoring import WORST_FIRST, AlertStatus, Silence, Standing
from ..domain.project import AlertRule, Project
from ..domain.text.format import moment
from ..journal import Journal
from .rules import begin, gone_by, missed, without

_OF_AN_ENVIRONMENT = "environment:"


def statuses(project: Project, journal: Journal, now: float) -> list[AlertStatus]:
    """Returns every alert of podium.yaml as it stands, the worst first; `now` is in seconds since the epoch. One that
    no agent has judged yet has no data."""
    known, silences = journal.alert_states.all(), journal.silences.active(now)
    found = [_now(project, rule, known.get(rule.name), now) for rule in project.alerts.values()]
    seen = [_told(each, silences) for each in found]
    return sorted(seen, key=lambda each: (WORST_FIRST.index(each.state), each.name))


def _now(project: Project, rule: AlertRule, known: Standing | None, now: float) -> Standing:
    """Returns how an alert stands now. While no agent judges it, what was measured long ago says nothing any more."""
    monitor = project.monitors[rule.monitor]
    standing = known or begin(rule, monitor, now)
    return without(standing, gone_by(standing, monitor.every)) if missed(standing, monitor.every, now) else standing


def _told(standing: Standing, silences: Sequence[Silence]) -> AlertStatus:
    silence = silencing(standing.status, silences)
    return replace(standing.status, silenced=words(silence) if silence is not None else "")


def silencing(status: AlertStatus, silences: Sequence[Silence]) -> Silence | None:
    """Returns the silence that holds for an alert, the one that lasts longest; None if there is none."""
    subjects = (status.name, subject_of(status.environment))
    found = [each for each in silences if each.subject in subjects]
    return max(found, key=lambda each: each.until, default=None)


def subject_of(environment: str) -> str:
    """Returns the subject of a silence of all alerts of an environment."""
    return f"{_OF_AN_ENVIRONMENT}{environment}"


def words(silence: Silence) -> str:
    """Returns who silenced it, until when and why."""
    return f"by {silence.who} until {moment(silence.until)}: {silence.why}"
