"""The phases of a change in the order in which they are done, and which of them is the point of no return for a crash.

The ledger's `phase` is the last one that was finished. A saga whose process is gone before `shifted` was finished is
undone; after it, it is carried on: the new version was healthy, warm and had all the traffic.
"""

from __future__ import annotations

READ = "read"
STARTED = "started"
HEALTHY = "healthy"
WARMED = "warmed"
SHIFTED = "shifted"
ALIASED = "aliased"
DRAINED = "drained"
VERIFIED = "verified"
KEPT = "kept"

ORDER = (READ, STARTED, HEALTHY, WARMED, SHIFTED, ALIASED, DRAINED, VERIFIED, KEPT)


def reached(phase: str, wanted: str) -> bool:
    """Whether `phase` is `wanted` or a later one."""
    return phase in ORDER and ORDER.index(phase) >= ORDER.index(wanted)


def after(phase: str) -> tuple[str, ...]:
    """The phases still to be done."""
    return ORDER[ORDER.index(phase) + 1 :] if phase in ORDER else ORDER
