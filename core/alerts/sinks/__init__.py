"""How each kind of sink is told of alerts.

A kind is a function `send(sink, notice)`, found by its name in core/plugins.py. It returns when the receiver has the
message; it raises Undeliverable for a message that the receiver will never take, and any other PodiumError for one that
is worth another attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...domain.frozen import Frozen
from ...domain.project import Sink
from ...domain.text.format import moment


class Notice(Frozen):
    """One message to one sink."""

    home: Path
    """The project's directory."""
    key: str
    """The same whenever this message is sent, so that a receiver that gets it twice can tell."""
    body: Mapping[str, Any]
    """What is told (`telling.body_of`)."""
    repeat: bool = False
    """It was sent before, and may have arrived."""
    added: float = 0.0
    """When it was added to the outbox, in seconds since the epoch."""

    def document(self) -> dict[str, Any]:
        """Returns the whole message, for receivers that take JSON."""
        about = {"key": self.key, "repeat": self.repeat, "added": moment(self.added)}
        return {**self.body, **about, "title": self.title, "text": self.text}

    @property
    def title(self) -> str:
        """Returns its first line: `[firing] shop production: errors-high`."""
        names = ", ".join(dict.fromkeys(str(each["alert"]) for each in self.body["changes"]))
        repeated = " (sent again: it may have come before)" if self.repeat else ""
        return f"[{self.body['status']}] {self.body['project']} {self.body['environment']}: {names}{repeated}"

    @property
    def text(self) -> str:
        """Returns what it says, a few lines for each alert."""
        return "\n\n".join(map(_lines, self.body["changes"]))


Send = Callable[[Sink, Notice], None]


def shown(change: Mapping[str, Any]) -> str:
    """Returns the value of a change in its unit, and as a number where it waits since before that was told; empty for
    none."""
    return "" if change["value"] is None else str(change.get("shown") or f"{change['value']:.4g}")


def _lines(change: Mapping[str, Any]) -> str:
    value = shown(change)
    found = f", {value} ({change['threshold']})" if value else ""
    notes = change["annotations"]
    lines = [
        f"{change['alert']} {change['state']}{found}, {change['severity']}, since {change['started'] or change['at']}",
        *(str(notes[name]) for name in ("summary", "description") if notes.get(name)),
        *([str(change["message"])] if change["message"] else []),
        *([f"runbook: {notes['runbook_url']}"] if notes.get("runbook_url") else []),
    ]
    return "\n".join(lines)
