"""Stores how each alert stands."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ...domain.monitoring import AlertState, AlertStatus, Standing
from ..sqlite.database import Database


class AlertStates:
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


def _standing(body: str) -> Standing:
    kept: dict[str, Any] = json.loads(body)
    status = dict(kept.pop("status"))
    status["state"] = AlertState(status["state"])
    # What was kept before values were told in their unit.
    if "shown" not in status and status.get("value") is not None:
        status["shown"] = f"{status['value']:.4g}"
    if kept.get("values"):
        kept["values"].setdefault("shown", kept["values"].get("value", ""))
    return Standing(AlertStatus(**status), **kept)
