"""A project's state directory knows whose it is and where it lives: `.podium/home.json`.

From that file and the directory as it is now follows whether the project is in its place, was moved, or is a copy. A
copy owns nothing of what the original runs: no process, port, container or lock.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from ..errors import UNREADABLE, Unreachable
from ..replacing import replace_file
from .directory import DirectoryStatus, StateDirectory, path_digest
from .processes import alive

FILE = "home.json"
STATE = ".podium"
_MACHINE_ID_LETTERS = 32
_DELETED = " (deleted)"


class Standing(StrEnum):
    """What a state directory is to its project."""

    NEW = "new"
    """Nothing was noted yet: a new project, or one of an older Podium."""
    OWN = "own"
    MOVED = "moved"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Home:
    """What `home.json` says: who the project is, and where its state directory was."""

    id: str
    """12 hex digits that stand in the labels of containers; a copy that is adopted gets others."""
    place: StateDirectory

    @classmethod
    def read(cls, state: Path) -> Home | None:
        """Returns what was noted; None where nothing was, or nothing that can be understood. OSError where it cannot be
        read at this moment, which says nothing of what it is."""
        try:
            text = (state / FILE).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            found = json.loads(text)
            place = StateDirectory.from_text(json.dumps(found["place"]))
            return cls(str(found["id"]), place) if place is not None else None
        except UNREADABLE:
            return None

    def write(self, state: Path, *, only_first: bool = False) -> None:
        """Notes it. With `only_first` what another process noted meanwhile stays. OSError when it cannot be written."""
        text = json.dumps({"id": self.id, "place": json.loads(self.place.to_text())})
        replace_file(state / FILE, text, only_first=only_first)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a state directory is, and why."""

    standing: Standing
    now: StateDirectory
    noted: Home | None = None
    original: str = ""
    """For a copy: where the original is, for people."""


Processes = Callable[[], Iterable[tuple[int | None, float | None]]]


class HomeIds:
    """The ids that this process has read."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of(self, home: Path) -> str:
        """Returns the id of a project; what it was before, where that cannot be read at this moment. Raises Unreachable
        if it is not known: by another id, nothing that the project has on an engine would be its own."""
        try:
            found = self._known[home] = _read_id(home)
        except OSError as error:
            if home in self._known:
                return self._known[home]
            raise Unreachable(
                f"{home / STATE / FILE} cannot be read: {error.strerror or error}",
                hint="it says which containers are this project's: nothing is looked for without it",
            ) from error
        return found


_ids: Final = HomeIds()


def home_id(home: Path) -> str:
    """Returns 12 hex digits that tell two checkouts of a project on one engine apart without telling the engine where
    they are. A project that was moved keeps its own; a copy does not have the original's. Raises Unreachable where they
    cannot be read."""
    return _ids.of(home)


def _read_id(home: Path) -> str:
    state = home / STATE
    noted = Home.read(state)
    if noted is not None and (noted.place.path == str(state.resolve()) or noted.place.inode == state.stat().st_ino):
        return noted.id
    return path_digest(home)


def new_id() -> str:
    """Returns an id that no other project has."""
    return os.urandom(6).hex()


def judge(state: Path, processes: Processes) -> Judgement:
    """Returns what the state directory is. `processes` are the pids, with start times, that its journal names: asked
    for only where the directory is not where it was. OSError when there is no such directory."""
    now = StateDirectory.of(state)
    noted = Home.read(state)
    if noted is None:
        return Judgement(Standing.NEW, now)
    place = _comparable(noted.place, now)
    whereabouts = place.seen(now)
    if whereabouts is DirectoryStatus.SAME or (whereabouts is DirectoryStatus.MOVED and _same(Path(place.path), now)):
        # The second is one directory under two names: a bind mount.
        return Judgement(Standing.OWN, now, noted)
    if whereabouts is DirectoryStatus.UNKNOWN:
        return Judgement(Standing.COPY, now, noted, f"{place.path} on another machine")
    if whereabouts is DirectoryStatus.MOVED:
        return Judgement(Standing.MOVED, now, noted)
    original = _original(noted, now, [pid for pid, started in processes() if alive(pid, started) and pid])
    return Judgement(Standing.COPY if original else Standing.MOVED, now, noted, original)


def _comparable(place: StateDirectory, now: StateDirectory) -> StateDirectory:
    """Returns the place as if it had been noted here where a machine has no id of its own (a container, whose host
    name changes whenever it is made anew): then path and inode decide, and another path is another machine's."""
    known = len(place.machine) == _MACHINE_ID_LETTERS, len(now.machine) == _MACHINE_ID_LETTERS
    if all(known) or (any(known) and (place.path, place.inode) != (now.path, now.inode)):
        return place
    return replace(place, machine=now.machine)


def _same(path: Path, now: StateDirectory) -> bool:
    with suppress(OSError):
        found = path.stat()
        return (found.st_dev, found.st_ino) == (now.device, now.inode)
    return False


def _original(noted: Home, now: StateDirectory, living: list[int]) -> str:
    """Returns where the directory lives that this one was copied from, empty where there is none any more. It may have
    been moved since: what it runs works in it."""
    places = [workplaces(pid) for pid in living]
    for path in {noted.place.path, *(path for each in places for path in each)}:
        found = None
        with suppress(OSError):
            found = Home.read(Path(path))
        if found is not None and found.id == noted.id and not _same(Path(path), now):
            return str(Path(path).parent)
    away = [pid for pid, each in zip(living, places, strict=True) if now.path not in each]
    if noted.place.path == now.path and away:
        # A backup was put in the place of a directory whose processes still run.
        return f"a directory that is gone, in which process {away[0]} still runs"
    return ""


def workplaces(pid: int) -> set[str]:
    """Returns the state directories that a process works in, or has files open in, by their names of now."""
    found: set[str] = set()
    links = [Path(f"/proc/{pid}/cwd")]
    with suppress(OSError):
        links += Path(f"/proc/{pid}/fd").iterdir()
    for link in links:
        with suppress(OSError):
            path = str(link.readlink())
            head, marker, _ = f"{path}/".partition(f"/{STATE}/")
            if marker and not path.endswith(_DELETED):
                found.add(f"{head}/{STATE}")
    return found
