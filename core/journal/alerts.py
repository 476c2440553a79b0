"""Alerts: how each stands, what changed, and which of them nobody wants to be told of for a while."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from typing import Any

from ..domain.monitoring import AlertEvent, AlertState, AlertStatus, Silence, Standing
from ..errors import NotFound
from .audit import Audit
from .sqlite.database import Database, Row

MAX_EVENTS = 10_000
# Silences that are over and stay to be looked at; the audit has all of them.
MAX_SILENCES = 1_000
_EVENT = "id, name, environment, monitor, state, at, value, message, body"
_SILENCE = "id, subject, who, why, at, until, ended"
# What of an event is in its `body`.
_IN_BODY = ("severity", "threshold", "episode", "started", "labels", "annotations")


class Alerts:
    """Stores the changes of alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event: AlertEvent) -> AlertEvent:
        """Stores a change and returns it with its id; beyond 10,000 the oldest are removed. One that makes an alert fire
        is an episode of its own."""
        body = {name: getattr(event, name) for name in _IN_BODY}
        with self._database.transaction():
            number = self._database.insert(
                "INSERT INTO alerts (name, environment, monitor, state, at, value, message, body)"
                " VALUES (?,?,?,?,?,?,?,?)",
                (
                    *(event.name, event.environment, event.monitor, event.state, event.at, event.value),
                    *(event.message, json.dumps(body)),
                ),
            )
            self._database.run("DELETE FROM alerts WHERE id <= ?", (number - MAX_EVENTS,))
            return self.get(number)

    def get(self, number: int) -> AlertEvent:
        row = self._database.one(f"SELECT {_EVENT} FROM alerts WHERE id = ?", (number,))  # noqa: S608 - constant columns
        if row is None:
            raise NotFound(f"there is no change {number} of an alert", hint="`podium alerts history` lists them")
        return _event(row)

    def recent(self, limit: int = 50, *, name: str = "") -> list[AlertEvent]:
        """Returns the newest changes of all alerts or of one, newest first."""
        sql = f"SELECT {_EVENT} FROM alerts WHERE ? IN ('', name) ORDER BY id DESC LIMIT ?"  # noqa: S608
        return [_event(row) for row in self._database.all(sql, (name, limit))]

    def after(self, number: int, environment: str, limit: int = 1000) -> list[AlertEvent]:
        """Returns the changes of an environment's alerts after event `number`, oldest first."""
        sql = f"SELECT {_EVENT} FROM alerts WHERE environment = ? AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
        return [_event(row) for row in self._database.all(sql, (environment, number, limit))]

    def newest(self) -> int:
        """Returns the id of the newest change; 0 if there is none."""
        row = self._database.one("SELECT max(id) FROM alerts")
        return int(row[0] or 0) if row else 0


class AlertStates:
    """Stores how each alert stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, Standing]:
        """Returns how each alert stands that was ever judged, by name."""
        rows = self._database.all("SELECT name, body FROM alert_states ORDER BY name")
        return {str(name): _standing(body) for name, body in rows}

    def any(self) -> bool:
        """Tells whether an alert was ever judged, and is still there."""
        return self._database.one("SELECT 1 FROM alert_states LIMIT 1") is not None

    def get(self, name: str) -> Standing | None:
        row = self._database.one("SELECT body FROM alert_states WHERE name = ?", (name,))
        return _standing(row[0]) if row else None

    def put(self, standing: Standing) -> None:
        status = standing.status
        self._database.run(
            "INSERT OR REPLACE INTO alert_states (name, state, since, body) VALUES (?,?,?,?)",
            (status.name, str(status.state), status.since, json.dumps(asdict(standing))),
        )

    def remove(self, name: str) -> None:
        self._database.run("DELETE FROM alert_states WHERE name = ?", (name,))


class Silences:
    """Stores silences. Each is in the audit too, with who began and who ended it."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database, self._audit = database, audit

    def add(self, subject: str, *, who: str, why: str, until: float, words: str) -> Silence:
        """Begins a silence; `words` say until when, for the audit."""
        now = time.time()
        with self._database.transaction():
            number = self._database.insert(
                "INSERT INTO silences (subject, who, why, at, until) VALUES (?,?,?,?,?)", (subject, who, why, now, until)
            )
            self._database.run(
                "DELETE FROM silences WHERE id <= ? AND (ended IS NOT NULL OR until < ?)", (number - MAX_SILENCES, now)
            )
            self._audit.add(who, "silence alert", subject, f"{words}: {why}")
        return Silence(number, subject, who, why, now, until)

    def end(self, subject: str, *, who: str, why: str = "") -> list[Silence]:
        """Ends what silences the subject now; returns what did. Raises NotFound if nothing does."""
        now = time.time()
        with self._database.transaction():
            found = [each for each in self.active(now) if each.subject == subject]
            if not found:
                raise NotFound(f"{subject} is not silenced", hint="`podium alerts` shows what is")
            for each in found:
                self._database.run("UPDATE silences SET ended = ? WHERE id = ?", (now, each.id))
            self._audit.add(who, "end silence", subject, why)
        return [replace(each, ended=now) for each in found]

    def active(self, now: float) -> list[Silence]:
        """Returns the silences that hold at `now`, the newest first."""
        sql = f"SELECT {_SILENCE} FROM silences WHERE ended IS NULL AND at <= ? AND until > ? ORDER BY id DESC"  # noqa: S608
        return [Silence(*row) for row in self._database.all(sql, (now, now))]


def _event(row: Row) -> AlertEvent:
    *fields, body = row
    kept: dict[str, Any] = json.loads(body)
    event = AlertEvent(*fields, **{name: kept[name] for name in _IN_BODY if name in kept})
    return replace(event, episode=event.id) if event.state == "firing" else event


def _standing(body: str) -> Standing:
    kept: dict[str, Any] = json.loads(body)
    status = dict(kept.pop("status"))
    status["state"] = AlertState(status["state"])
    return Standing(AlertStatus(**status), **kept)
