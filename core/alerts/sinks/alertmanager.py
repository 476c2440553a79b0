"""An existing Alertmanager, by its API v2.

It knows an alert by its labels, so what is sent again changes nothing. It forgets alerts when it is restarted, and ends
one that it hears nothing of; so all that fires is sent again each minute, and each time with an end that is days away:
an agent that is gone resolves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ...domain.project import Sink
from ...domain.text.format import moment
from ...http_client import Credentials
from . import Notice, shown
from .webhook import path_of, post

HOLD = timedelta(days=7)
"""How long an Alertmanager that hears nothing goes on with an alert."""
_PATH = "api/v2/alerts"


def send(sink: Sink, notice: Notice) -> None:
    """Sends a message's alerts. Raises what the webhook's `send` does."""
    put(sink, notice.body["project"], notice.body["changes"])


def put(sink: Sink, project: str, changes: Sequence[Mapping[str, Any]]) -> None:
    """Sends alerts, as they stand now."""
    now = datetime.now(UTC)
    body = json.dumps([alert(project, each, now) for each in changes]).encode()
    credentials = Credentials.in_address(sink.address)
    if sink.token:
        credentials = Credentials.bearer(sink.address, sink.token)
    path = f"{path_of(sink.address).rstrip('/')}/{_PATH}"
    post(sink, path, body, {"Content-Type": "application/json", "User-Agent": "podium"}, credentials)


def alert(project: str, change: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Returns a change in the API's form. Labels without a value are none there."""
    starts = change["started"] or change["at"]
    # It refuses an end before the beginning, which a clock that was put back would give.
    ends = max(change["at"], starts) if change["state"] == "resolved" else moment((now + HOLD).timestamp())
    labels = {
        **change["labels"],
        "alertname": change["alert"],
        "project": project,
        "environment": change["environment"],
        "monitor": change["monitor"],
        "severity": change["severity"],
    }
    notes = {
        "value": shown(change),
        "threshold": change["threshold"],
        "message": change["message"],
        **change["annotations"],
    }
    return {
        "labels": {name: text for name, text in labels.items() if text},
        "annotations": {name: text for name, text in notes.items() if text},
        "startsAt": starts,
        "endsAt": ends,
    }
