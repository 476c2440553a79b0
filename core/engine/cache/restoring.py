"""Restores outputs from the cache. A file that is in the way and is stored nowhere else is moved aside, never lost."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...beneath import Directory, move
from .hashing import FileEntry
from .objects import Objects
from .outputs import OutputLocation, Outputs


@dataclass(slots=True)
class Restorer:
    """Restores outputs, one after the other, and counts."""

    outputs: Outputs
    """Reads and writes outputs below the run's directory."""
    objects: Objects
    """The stored contents."""
    aside: Path
    """Where what stands in the way goes, under its path in the project."""
    link: bool
    """Whether hard links are allowed: only where nobody edits the files by hand."""
    files: int = 0
    """Put in place so far."""
    moved: int = 0
    """Moved aside so far."""

    def restore(self, path: str, entries: Sequence[FileEntry]) -> None:
        place = self.outputs.place(path)
        present = {entry.path: entry for entry in self.outputs.present(path)}
        wanted = {entry.path for entry in entries}
        with Directory.open(place.top) as top:
            for inner, entry in present.items():
                if inner not in wanted and entry.kind != "directory":
                    self._displace(top, place, inner, entry)
            for entry in entries:
                if not _same(present.get(entry.path), entry):
                    self._displace(top, place, entry.path, present.get(entry.path))
                    self._clear_parents(top, place, entry.path)
                    self._put(top, place, entry)
                    self.files += 1
            if not entries and place.below:
                top.below(place.below, make=True).close()
            for inner in present.keys() - wanted:
                _remove_empty(top, place, inner)

    def _put(self, top: Directory, place: OutputLocation, entry: FileEntry) -> None:
        parent, name = top.parent(place.path(entry.path), make=True)
        with parent:
            if entry.kind == "directory":
                parent.make(name)
            elif entry.kind == "link":
                parent.link(name, entry.digest)
            else:
                # A hard link has the mode of the object, which nobody may execute.
                link = self.link and not entry.mode & 0o111
                self.objects.get(entry.digest, parent, name, link=link, mode=entry.mode)

    def _displace(self, top: Directory, place: OutputLocation, inner: str, now: FileEntry | None) -> None:
        """Takes away what stands at a path of the output; it is moved aside where nothing else holds it."""
        path = place.path(inner)
        if not path:
            return
        try:
            parent, name = top.parent(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        with parent, suppress(FileNotFoundError):
            status = parent.status(name)
            held = now is not None and now.kind == "file" and self.objects.has(now.digest)
            if held or stat.S_ISLNK(status.st_mode):
                parent.remove(name)
            elif not parent.remove_empty(name):
                self._move_aside(parent, name, place.in_project(inner))

    def _move_aside(self, parent: Directory, name: str, shown: str) -> None:
        """Moves what has that name aside. It may be a link by now: nobody's work, and a way out for whatever would be
        moved below it later."""
        self.aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Directory.open(self.aside) as aside:
            above, new = aside.parent(shown, make=True, links=False)
            with above:
                move(parent, name, above, new)
                if stat.S_ISLNK(above.status(new).st_mode):
                    above.remove(new)
                    return
        self.moved += 1

    def _clear_parents(self, top: Directory, place: OutputLocation, inner: str) -> None:
        """Takes away a file where a directory has to be."""
        parts = place.path(inner).split("/")
        shown = place.in_project(inner).split("/")
        for count in range(1, len(parts)):
            try:
                top.below("/".join(parts[:count])).close()
            except FileNotFoundError:
                return
            except NotADirectoryError:
                with top.below("/".join(parts[: count - 1])) as parent:
                    self._move_aside(parent, parts[count - 1], "/".join(shown[: len(shown) - len(parts) + count]))
                return


def _same(now: FileEntry | None, entry: FileEntry) -> bool:
    return now is not None and (now.kind, now.digest, now.mode & 0o100) == (
        entry.kind,
        entry.digest,
        entry.mode & 0o100,
    )


def _remove_empty(top: Directory, place: OutputLocation, inner: str) -> None:
    """Removes the directories of the output in which nothing is left once what was at `inner` has gone."""
    parts = inner.split("/") if inner else []
    while parts:
        with suppress(FileNotFoundError, NotADirectoryError):
            parent, name = top.parent(place.path("/".join(parts)))
            with parent:
                if parent.exists(name) and not parent.remove_empty(name):
                    return
        parts.pop()
