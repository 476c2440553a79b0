"""The lock of an environment: one operation at a time, and the agent's healing never beside one.

An operation holds the environment's lock in the journal, which says who, when and why. Healing happens every second
and must neither write to the journal when all is well nor refuse a person's rollback: it holds a file lock while it
changes something, and looks at the journal's lock only after it has that. An operation takes the journal's lock first
and then waits until a healing that had begun is over.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ...errors import Refused
from ...journal import Journal

# How long an operation waits for a healing that had begun.
HEALING_TIMEOUT = 30.0
POLL_INTERVAL = 0.005


def lock_name(environment: str) -> str:
    """Returns the name of an environment's lock in the journal."""
    return f"environment {environment}"


@contextmanager
def operation(journal: Journal, directory: Path, environment: str, *, who: str, why: str) -> Generator[None]:
    """Holds the environment for an operation. Refused, naming who holds it since when and why, when another operation
    is running."""
    with journal.locks.take(lock_name(environment), who, why):
        _wait_for_healing(directory)
        yield


@contextmanager
def healing(journal: Journal, directory: Path, environment: str) -> Generator[bool]:
    """Holds the environment for healing; yields whether it may: not while an operation holds the environment or another
    healing is running."""
    descriptor = _open(directory)
    try:
        if not _try_lock(descriptor):
            yield False
            return
        holder = journal.locks.holder(lock_name(environment))
        yield holder is None or not holder.alive
    finally:
        os.close(descriptor)


def _wait_for_healing(directory: Path) -> None:
    descriptor = _open(directory)
    try:
        deadline = time.monotonic() + HEALING_TIMEOUT
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise Refused(
                    f"healing has not ended for {HEALING_TIMEOUT:g} s",
                    hint="see .podium/agent.log, or restart the agent",
                )
            time.sleep(POLL_INTERVAL)
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int:
    return os.open(directory / ".healing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
