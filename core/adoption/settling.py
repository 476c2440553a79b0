"""Decides, when a project is opened, whether it is in its place, and follows it to a new one."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..domain.frozen import Frozen
from ..errors import PodiumError, Refused, Unreachable
from ..identity.directory import path_digest
from ..identity.home import STATE, Home, Judgement, Standing, judge, new_id
from ..journal import Journal

LOCK_TIMEOUT = 60.0
POLL_INTERVAL = 0.02


class Settled(Frozen):
    """What opening a project has found out and done."""

    notes: tuple[str, ...] = ()
    """Sentences for the person."""
    copy_of: str = ""
    """Where the original is; empty for a project that is no copy."""
    refusal: Refused | None = None
    """What a change is refused with, in a copy that nobody has adopted."""


def settle(home: Path) -> Settled:
    """Returns what the project's state directory is. A new one is noted; one that was moved is brought to its new
    place first, by one process, while others wait. Raises PodiumError when that fails: nothing is lost, and the next
    opening tries again."""
    state = home / STATE
    try:
        if home.is_dir():
            state.mkdir(mode=0o700, exist_ok=True)
        judgement = look(state)
    except OSError:
        return Settled()  # whoever opens the journal says what is wrong with the directory
    if judgement.standing is Standing.NEW:
        _note_new(home, judgement)
    elif judgement.standing is Standing.COPY:
        return _copy(home, judgement.original)
    elif judgement.standing is Standing.MOVED and _may_write(state):
        return _follow(home)
    return Settled()


def _may_write(state: Path) -> bool:
    return os.access(state, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def look(state: Path) -> Judgement:
    """Returns the judgement on a state directory. Raises OSError when there is none."""
    return judge(state, lambda: _named(state))


@contextmanager
def alone(state: Path) -> Generator[None]:
    """Lets one process at a time change whose and where a project is. Raises Refused after a minute, Unreachable where
    the directory cannot be written."""
    try:
        descriptor = os.open(state / ".home.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unreachable(
            f"{state} cannot be written: {error.strerror or error}", hint="make it writable for this user"
        ) from error
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Refused(
                        f"another process has been bringing {state.parent} to its new place for a minute",
                        hint="wait until it is done, or end it",
                    ) from None
                time.sleep(POLL_INTERVAL)
        yield
    finally:
        os.close(descriptor)


def _named(state: Path) -> list[tuple[int | None, float | None]]:
    """Returns the processes that the journal names."""
    with suppress(PodiumError), Journal.open(state / "journal.db", create=False, read_only=True) as journal:
        return journal.relocation.processes()
    return []


def _note_new(home: Path, judgement: Judgement) -> None:
    """Notes who a project is. One that an older Podium has worked in keeps the id that its containers carry."""
    known = (home / STATE / "journal.db").exists()
    with suppress(OSError):
        Home(path_digest(home) if known else new_id(), judgement.now).write(home / STATE, only_first=True)


def _copy(home: Path, original: str) -> Settled:
    message = f"{home} is a copy of {original}: what that one runs is not this one's"
    hint = f"`podium adopt` makes it a project of its own; changes of the original are made in {original}"
    return Settled(
        (f"{message} (`podium adopt` makes it a project of its own)",), original, Refused(message, hint=hint)
    )


def _follow(home: Path) -> Settled:
    from .moves import carry_over

    state = home / STATE
    with alone(state):
        judgement = look(state)
        if judgement.standing is not Standing.MOVED or judgement.noted is None:
            return Settled()
        old = Path(judgement.noted.place.path).parent
        notes = carry_over(home, old) if old != home else []
        Home(judgement.noted.id, judgement.now).write(state)
    return Settled(tuple(notes))
