"""The lines that Terraform writes with `-json`: what becomes of each resource, and what it complains of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ...domain.finite import finite
from ...domain.frozen import Frozen
from ...domain.text import clean, one_line
from ...domain.text.format import duration
from ...errors import UNREADABLE

_VERBS: Mapping[str, tuple[str, str]] = {
    "create": ("creating", "created"),
    "update": ("updating", "updated"),
    "delete": ("deleting", "deleted"),
    "read": ("reading", "read"),
    "forget": ("forgetting", "forgotten"),
    "noop": ("looking at", "unchanged"),
}
_LOCK_FIELDS = re.compile(r"^\s*(ID|Path|Operation|Who|Version|Created):\s*(.*?)\s*$", re.MULTILINE)


class Diagnostic(Frozen):
    """An error or a warning of the tool."""

    severity: str
    """`error` or `warning`."""
    summary: str
    detail: str = ""
    """Of several lines."""
    address: str = ""
    place: str = ""
    """The file and line that it is about."""

    def words(self) -> str:
        """Returns it in one line."""
        where = ", ".join(filter(None, (self.address, self.place)))
        return f"{self.summary}{f' ({where})' if where else ''}{f': {one_line(self.detail)}' if self.detail else ''}"

    def lock(self) -> Mapping[str, str]:
        """Returns what it says of who holds the state's lock; empty if it is about something else."""
        return dict(_LOCK_FIELDS.findall(self.detail)) if "state lock" in self.summary.lower() else {}


class Event(Frozen):
    """One line, read."""

    kind: str
    """Terraform's name for it: `apply_start`, `diagnostic`, …; empty for a line that is no JSON."""
    words: str = ""
    """What it says to a person; empty for what needs no words."""
    address: str = ""
    diagnostic: Diagnostic | None = None
    version: str = ""


def read(line: str) -> Event:
    """Reads one line. One that is no event, as a provider may print it, is text."""
    try:
        found = json.loads(line)
    except UNREADABLE:
        return Event("", clean(line.rstrip()))
    if not isinstance(found, dict):
        return Event("", clean(line.rstrip()))
    body = cast("dict[str, Any]", found)
    kind = str(body.get("type", ""))
    return _READERS.get(kind, _other)(kind, body)


def diagnostics(lines: Sequence[str]) -> list[Diagnostic]:
    """Returns what the tool complains of in these lines."""
    return [event.diagnostic for event in map(read, lines) if event.diagnostic is not None]


def _version(kind: str, body: Mapping[str, Any]) -> Event:
    product = "OpenTofu" if "tofu" in body else "Terraform"
    number = str(body.get("tofu") or body.get("terraform") or "")
    return Event(kind, version=one_line(f"{product} {number}"))


def _hook(kind: str, body: Mapping[str, Any]) -> Event:
    hook = _mapping(body.get("hook"))
    address = one_line(str(_mapping(hook.get("resource")).get("addr", "")))
    doing, done = _VERBS.get(str(hook.get("action", "")), ("changing", "changed"))
    seconds = finite(hook.get("elapsed_seconds")) or 0.0
    words = {
        "apply_start": f"{address}: {doing}",
        "apply_progress": f"{address}: still {doing}, {duration(seconds)}",
        "apply_complete": f"{address}: {done} in {duration(seconds)}",
        "apply_errored": f"{address}: failed after {duration(seconds)}",
        "provision_start": f"{address}: provisioner {hook.get('provisioner', '')} begins",
        "provision_progress": f"{address}: {hook.get('output', '')}",
        "provision_errored": f"{address}: provisioner {hook.get('provisioner', '')} failed",
    }
    return Event(kind, clean(words.get(kind, "")), address)


def _diagnostic(kind: str, body: Mapping[str, Any]) -> Event:
    written = _mapping(body.get("diagnostic"))
    start = _mapping(_mapping(written.get("range")).get("start"))
    file = str(_mapping(written.get("range")).get("filename", ""))
    found = Diagnostic(
        str(written.get("severity", "error")),
        one_line(str(written.get("summary", body.get("@message", "")))),
        "\n".join(map(clean, str(written.get("detail", "")).splitlines())),
        one_line(str(written.get("address", ""))),
        one_line(f"{file}:{start.get('line', '')}") if file else "",
    )
    return Event(kind, f"{found.severity}: {found.words()}", found.address, found)


def _summary(kind: str, body: Mapping[str, Any]) -> Event:
    return Event(kind, one_line(str(body.get("@message", ""))))


def _other(kind: str, body: Mapping[str, Any]) -> Event:
    return Event(kind)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


_READERS: Mapping[str, Callable[[str, Mapping[str, Any]], Event]] = {
    "version": _version,
    "diagnostic": _diagnostic,
    "change_summary": _summary,
    **dict.fromkeys(
        (
            "apply_start",
            "apply_progress",
            "apply_complete",
            "apply_errored",
            "provision_start",
            "provision_progress",
            "provision_errored",
        ),
        _hook,
    ),
}
