"""Reads what a host answers: JSON that may have any form. What is not there or of another kind is empty.

Names, titles and messages become one harmless line. What identifies something (branches, ids, repositories) stays as
it is, since a cleaned name may be that of something else; it is cleaned where it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from ...domain.frozen import Frozen
from ...domain.hosts import CiState
from ...domain.text import one_line
from ...http_client import HttpResponse

MAX_TITLE = 300
MAX_NAME = 1000
MAX_BODY = 300_000
# Tags of one beginning; where there are more, git is the cheaper one to ask.
MAX_TAGS = 1000
TAGS = "refs/tags/"
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)

Document = Mapping[str, Any]


def at(document: Document, *keys: str) -> Any:
    """Returns what lies that deep in an answer; None if nothing does."""
    found: Any = document
    for key in keys:
        if not isinstance(found, dict):
            return None
        found = cast("dict[str, Any]", found).get(key)
    return found


def exact(document: Document, *keys: str) -> str:
    """Returns a name that identifies something, as it is. Numbers are names too."""
    found = at(document, *keys)
    if isinstance(found, bool) or not isinstance(found, str | int):
        return ""
    return str(found)[:MAX_NAME]


def line(document: Document, *keys: str) -> str:
    """Returns a text for people, on one harmless line."""
    return one_line(exact(document, *keys).partition("\n")[0])[:MAX_TITLE]


def body(document: Document, *keys: str) -> str:
    """Returns a text of many lines as it is."""
    found = at(document, *keys)
    return found[:MAX_BODY] if isinstance(found, str) else ""


def number(document: Document, *keys: str) -> int:
    found = at(document, *keys)
    if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) < 16:
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def sha(document: Document, *keys: str) -> str:
    """Returns the hash of a commit; empty for anything else."""
    found = exact(document, *keys).lower()
    return found if _SHA.fullmatch(found) else ""


def address(document: Document, *keys: str) -> str:
    """Returns a link to a page; empty for one that is no web address."""
    found = exact(document, *keys)
    return found if found.startswith(("https://", "http://")) and found.isprintable() and " " not in found else ""


def moment(document: Document, *keys: str) -> float:
    """Returns a time in seconds since the epoch; 0.0 if there is none."""
    found = at(document, *keys)
    if not isinstance(found, str) or len(found) > 40:
        return 0.0
    try:
        read = datetime.fromisoformat(found)
        return max(0.0, (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0.0


def objects(document: Document, *keys: str) -> list[dict[str, Any]]:
    found = at(document, *keys)
    if not isinstance(found, list):
        return []
    return [cast("dict[str, Any]", each) for each in cast("list[Any]", found) if isinstance(each, dict)]


def as_document(found: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def tags_of(refs: Iterable[Document], beginning: str) -> Mapping[str, str] | None:
    """Returns tag -> hash, of refs as GitHub and Gitea write them; None if they are too many."""
    return tags_with(beginning, {exact(each, "ref").removeprefix(TAGS): sha(each, "object", "sha") for each in refs})


def tags_with(beginning: str, tags: Mapping[str, str]) -> Mapping[str, str] | None:
    """Returns those that begin so; None if they are too many: one more than MAX_TAGS was asked for."""
    return None if len(tags) > MAX_TAGS else {tag: sha for tag, sha in tags.items() if tag.startswith(beginning)}


class Piece(Frozen):
    text: str
    next: int
    """The offset in bytes of what comes after."""


def log_piece(answer: HttpResponse, offset: int) -> Piece:
    """Returns what an answer says of a log from a byte on, whether the host has kept to the range or not. A letter
    that is cut at the end is left for the next piece."""
    if answer.status == 416:
        return Piece("", offset)
    data = answer.body if answer.status == 206 or not offset else answer.body[offset:]
    whole = _whole(data)
    return Piece(data[:whole].decode("utf-8", "replace"), offset + whole)


def _whole(data: bytes) -> int:
    """Returns how many of the bytes do not belong to a letter of UTF-8 that is cut at the end."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(data) - back if needed > back else len(data)
    return len(data)


# GitHub's and Gitea's: what a run has come to is its conclusion; until then it has a status.
_CONCLUSIONS = {
    "success": CiState.SUCCEEDED,
    "neutral": CiState.SUCCEEDED,
    "failure": CiState.FAILED,
    "timed_out": CiState.FAILED,
    "startup_failure": CiState.FAILED,
    "cancelled": CiState.CANCELLED,
    "skipped": CiState.SKIPPED,
    "stale": CiState.SKIPPED,
    "action_required": CiState.WAITING,
}
_STATUSES = {
    "in_progress": CiState.RUNNING,
    "running": CiState.RUNNING,
    "waiting": CiState.WAITING,
    "action_required": CiState.WAITING,
    "blocked": CiState.WAITING,
}


def action_state(document: Document) -> CiState:
    """Returns the state of a run, a job or a step of GitHub or Gitea Actions."""
    conclusion, status = exact(document, "conclusion"), exact(document, "status")
    if conclusion in _CONCLUSIONS and status in ("completed", "", conclusion):
        return _CONCLUSIONS[conclusion]
    # Gitea has put the conclusion into the status for a time.
    return _STATUSES.get(status) or _CONCLUSIONS.get(status) or _unknown(status)


def _unknown(status: str) -> CiState:
    return CiState.FAILED if status == "completed" else CiState.QUEUED
