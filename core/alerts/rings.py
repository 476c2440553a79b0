"""What an open cockpit tells its terminal."""

from __future__ import annotations

from ..domain.monitoring import Ring
from ..domain.project import Project
from ..journal import Journal
from .evaluate import RESOLVED
from .standing import silencing
from .telling import FIRING, change_of, wanted

MAX_RINGS = 20
"""Changes that one look rings for: a terminal that was away does not ring for an hour."""


def rings(project: Project, journal: Journal, after: int | None, now: float) -> tuple[int, list[Ring]]:
    """Returns a ring for each change after event `after` and each sink that is a terminal, and the newest event.
    Nothing rings for what is silenced, and with None for nothing that was before."""
    newest = journal.alerts.newest()
    sinks = [each for each in project.notify.sinks.values() if each.kind == "terminal"]
    if after is None or not sinks or newest <= after:
        return newest, []
    states, silences = journal.alert_states.all(), journal.silences.active(now)
    found: list[Ring] = []
    for event in reversed([each for each in journal.alerts.recent(MAX_RINGS) if each.id > after]):
        standing = states.get(event.name)
        if standing is not None and silencing(standing.status, silences) is not None:
            continue
        if event.state in (FIRING, RESOLVED):
            text = f"{event.name} {event.state} on {event.environment}"
            found += [Ring(sink.rings, text) for sink in sinks if wanted(project, sink, change_of(event))]
    return newest, found
