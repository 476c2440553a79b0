"""What the Actions of GitHub and of Gitea have in common."""

from __future__ import annotations

from ...domain.hosts import CiState
from .model import Job
from .times import iso

_STATUS = {CiState.QUEUED: "queued", CiState.RUNNING: "in_progress", CiState.WAITING: "waiting"}
_CONCLUSION = {
    CiState.SUCCEEDED: "success",
    CiState.FAILED: "failure",
    CiState.CANCELLED: "cancelled",
    CiState.SKIPPED: "skipped",
}


def status_of(state: CiState) -> tuple[str, str | None]:
    """Returns (status, conclusion)."""
    return _STATUS.get(state, "completed"), _CONCLUSION.get(state)


def stamped(found: Job) -> bytes:
    """Returns a log with a time before each line."""
    time = (iso(found.started or found.created) or "").replace("Z", ".0000000Z ")
    lines = bytes(found.log).splitlines(keepends=True)
    return b"".join(time.encode() + line for line in lines)
