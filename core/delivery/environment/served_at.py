"""What an environment served at a moment, by the ledger and the audit."""

from __future__ import annotations

import math

from ...domain.delivery import Deployment
from ...domain.watching import AuditEntry, AuditFilter
from ...domain.why.answers import ServedAt
from ...journal import Journal

STOPPED = "stopped"
"""The action of the audit's entry about an environment that was stopped."""


def served_at(journal: Journal, environment: str, at: float) -> ServedAt:
    """Returns what an environment served at a moment in seconds since the epoch. A rollout that was under way then is
    named beside the version that served before it."""
    before = _last(journal.ledger.between(environment, 0.0, at, limit=1))
    later = _after(journal, environment, at)
    under_way = next((row for row in journal.ledger.history(environment) if _goes_on(row, at)), None)
    stop = _stop(journal, environment, before, at)
    return ServedAt(
        environment,
        at,
        deployment=None if stop is not None else before,
        until=None if later is None else _ended(later),
        under_way=under_way,
        stopped="" if stop is None else f"{stop.who}{f': {stop.why}' if stop.why else ''}",
        stopped_at=None if stop is None else stop.at,
    )


def _last(rows: list[Deployment]) -> Deployment | None:
    return rows[-1] if rows else None


def _after(journal: Journal, environment: str, at: float) -> Deployment | None:
    """Returns the first deployment that ended after the moment."""
    rows = journal.ledger.between(environment, math.nextafter(at, math.inf), math.inf)
    return rows[0] if rows else None


def _goes_on(row: Deployment, at: float) -> bool:
    return row.at <= at < (math.inf if row.ended is None else row.ended)


def _ended(row: Deployment) -> float:
    return row.at if row.ended is None else row.ended


def _stop(journal: Journal, environment: str, before: Deployment | None, at: float) -> AuditEntry | None:
    """Returns the stop that was in force at the moment: the last one after what had served."""
    since = _ended(before) if before is not None else None
    return next(iter(stops(journal, environment, since, math.nextafter(at, math.inf), limit=1)), None)


def stops(
    journal: Journal, environment: str, since: float | None = None, until: float | None = None, limit: int | None = None
) -> list[AuditEntry]:
    """Returns when an environment was stopped and by whom, the newest first."""
    only = AuditFilter(action=STOPPED, environment=environment, since=since, until=until)
    return [entry for entry in journal.audit.page(limit, only=only) if entry.subject == environment]
