"""The projects that one agent watches together on this machine: a list in the user's state directory, which commands
write and the agent follows, and beside it the agent's report of how each of them is."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from ..domain.watching import WatchedProject, WatchedTogether, WatchState
from ..errors import UsageError
from ..identity.machine import here
from ..identity.processes import alive
from ..replacing import replace_file

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")


def folder() -> Path:
    """Returns the user's state directory of Podium (XDG_STATE_HOME), which may not be there yet. Raises UsageError for
    an account that has no home directory."""
    named = os.environ.get("XDG_STATE_HOME", "")
    try:
        return (Path(named) if Path(named).is_absolute() else Path.home() / ".local" / "state") / "podium"
    except RuntimeError:
        hint = "set XDG_STATE_HOME, or HOME, to a directory that may be written to"
        raise UsageError("this account has no home directory, and its list of projects no place", hint=hint) from None


def place(kind: str) -> Path:
    """Returns a file of this machine in it: machines that share a home directory have a list each."""
    machine = here()
    return folder() / f"watched-{_UNFIT.sub('-', machine.id or machine.host)}.{kind}"


def listed() -> tuple[Path, ...]:
    """Returns the projects that are to be watched together, none if there is no list that can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError, UsageError):
        found: Any = json.loads(place("json").read_text(encoding="utf-8"))
        return tuple(Path(each) for each in found["projects"] if isinstance(each, str))
    return ()


@contextmanager
def editing() -> Generator[None]:
    """Keeps other commands from changing the list at the same time."""
    with _opened("lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def put(homes: Iterable[Path]) -> None:
    """Writes the list; with nothing in it there is none. Only while `editing`."""
    wanted = list(dict.fromkeys(map(str, homes)))
    if wanted:
        replace_file(place("json"), json.dumps({"projects": wanted}, indent=1) + "\n")
    else:
        place("json").unlink(missing_ok=True)


def forget(homes: Sequence[Path]) -> bool:
    """Takes projects off the list; returns whether one was on it."""
    if not any(home in homes for home in listed()):
        return False
    with editing():
        put(home for home in listed() if home not in homes)
    return True


@contextmanager
def claimed() -> Generator[bool]:
    """Makes this process the one that watches the list, as long as it runs; tells whether it is."""
    with _opened("agent") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _opened(kind: str) -> IO[bytes]:
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(place(kind), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")


# The agent's report


def report(found: WatchedTogether) -> None:
    """Writes how the projects are."""
    replace_file(place("now"), json.dumps(asdict(found)) + "\n")


def report_is_over() -> None:
    place("now").unlink(missing_ok=True)


def reported() -> WatchedTogether | None:
    """Returns what the agent of several projects reports; None if none is running."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        body: dict[str, Any] = json.loads(place("now").read_text(encoding="utf-8"))
        body["projects"] = tuple(_project(each) for each in body["projects"])
        found = WatchedTogether(**body)
        return found if alive(found.pid, found.started) else None
    return None


def _project(written: dict[str, Any]) -> WatchedProject:
    written["state"] = WatchState(written["state"])
    return WatchedProject(**written)
