"""The projects that one agent watches together on this machine: a list in the user's state directory, which commands
write and the agent follows, and beside it the agent's report of how each of them is."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from ..domain.watching import WatchedProject, WatchedTogether, WatchState
from ..errors import Unreachable, UsageError
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


def listed(*, certain: bool = False) -> tuple[Path, ...]:
    """Returns the projects that are to be watched together, none if there is no list that can be read. With `certain`,
    which everybody needs who writes it back, raises Unreachable for one that is there and cannot be read just now."""
    try:
        path = place("json")
    except UsageError:
        return ()
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Path(each) for each in found["projects"] if isinstance(each, str))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        if certain:
            raise _unreadable("the list of projects", path, error) from error
        return ()


class Listing:
    """The list, for a process that outlives a disk that fails for a moment: what is on it now, or was when it could be
    read last. `trouble` says why it cannot be read now; it is empty if it can."""

    def __init__(self) -> None:
        self._last: tuple[Path, ...] | None = None
        self.trouble = ""

    def __call__(self) -> tuple[Path, ...]:
        """Raises Unreachable if it could never be read."""
        try:
            self._last, self.trouble = listed(certain=True), ""
        except Unreachable as error:
            if self._last is None:
                raise
            self.trouble = error.message
        return self._last


def _unreadable(what: str, path: Path, error: Exception) -> Unreachable:
    if isinstance(error, OSError):
        return Unreachable(f"{what} cannot be read: {path}: {error.strerror or error}", hint="check that disk")
    return Unreachable(f"{what} is damaged: {path}", hint="correct it, or remove it and name the projects again")


@contextmanager
def editing() -> Generator[None]:
    """Keeps other commands from changing the list at the same time. Raises Unreachable for one that cannot be read:
    what would be written in its place lacks what is on it."""
    with _opened("lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        listed(certain=True)
        yield


def put(homes: Iterable[Path]) -> None:
    """Writes the list; with nothing in it there is none. Only while `editing`."""
    wanted = list(dict.fromkeys(map(str, homes)))
    if wanted:
        replace_file(place("json"), json.dumps({"projects": wanted}, indent=1) + "\n")
    else:
        place("json").unlink(missing_ok=True)


def forget(homes: Sequence[Path]) -> bool:
    """Takes projects off the list; returns whether one was on it. Raises Unreachable if it cannot be read."""
    if not any(home in homes for home in listed(certain=True)):
        return False
    with editing():
        put(home for home in listed(certain=True) if home not in homes)
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


def reported(*, certain: bool = False) -> WatchedTogether | None:
    """Returns what the agent of several projects reports; None if none is running. With `certain`, raises Unreachable
    where a disk that fails, or a lack of descriptors, leaves that open."""
    try:
        body: dict[str, Any] = json.loads(place("now").read_text(encoding="utf-8"))
        body["projects"] = tuple(_project(each) for each in body["projects"])
        found = WatchedTogether(**body)
        return found if alive(found.pid, found.started) else None
    except (FileNotFoundError, NotADirectoryError, UsageError, ValueError, TypeError, KeyError):
        return None
    except OSError as error:
        if certain:
            raise _unreadable("the report of the agent of several projects", place("now"), error) from error
        return None


def _project(written: dict[str, Any]) -> WatchedProject:
    written["state"] = WatchState(written["state"])
    return WatchedProject(**written)
