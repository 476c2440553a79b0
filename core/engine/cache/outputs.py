"""What steps leave at their declared outputs, read without following a link out of them.

A step in a container writes where Podium reads and writes with more rights than it has: a link in the place of an
output, or on the way to it, would be a way out of its box. So an output is reached from the handle of the run's
directory. Links inside of outputs are kept as links, an absolute one as a relative one, so that they mean the same
wherever they are restored; one that leaves the declared outputs is an error that names it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from ...beneath import Directory, LinkRefused, led_to, settled, walk, within
from ...domain.frozen import Frozen
from ...errors import RunFailed
from ...identity.processes import started_at
from .file_copy import NAME_LETTERS
from .hashing import FileEntry, FileHashes, locate, unfinished_by, unwanted

OnFile = Callable[[str, Directory, str, os.stat_result], None]


class OutputLocation(Frozen):
    """Says where an output is."""

    top: str
    """The directory that it is reached from."""
    below: str
    """Its path from there; empty for the directory itself."""
    shown: str
    """Its path in the project."""

    def path(self, inner: str = "") -> str:
        """Returns the path, from `top`, of something in the output."""
        return "/".join(filter(None, (self.below, inner)))

    def in_project(self, inner: str = "") -> str:
        return "/".join(filter(None, (self.shown, inner)))


class Outputs(Frozen):
    """Reads outputs below one directory."""

    root: str
    """The run's directory."""
    declared: Collection[str]
    """The paths that the step declares as outputs."""
    hashes: FileHashes
    links_out: bool = False
    """Whether links that a person has put on the way to an output may lead out of the project, to another disk: only
    where no step of the project runs in a container, which could have put them there."""

    def place(self, path: str) -> OutputLocation:
        """Returns where the output is. RunFailed when its path leads out of the project."""
        full = locate(self.root, path, "output")
        shown = full[len(self.root) + 1 :]
        if not self.links_out or not shown:
            return OutputLocation(self.root, shown, shown)
        if os.path.islink(full) and not self._stays(shown, os.readlink(full)):  # noqa: PTH114, PTH115
            full = os.path.realpath(full)
        above, _, name = full.rpartition("/")
        while above and not os.path.isdir(above):  # noqa: PTH112 - what is not there is made below what is
            above, _, missing = above.rpartition("/")
            name = f"{missing}/{name}"
        return OutputLocation(os.path.realpath(above or "/"), name, shown)

    def collect(self, keep: OnFile) -> dict[str, list[FileEntry]]:
        """Returns what is at and below each output; `keep` is called for each file while its directory is open.
        FileNotFoundError when an output is not there; LinkRefused for a link that leaves the outputs."""
        found = {path: self._scan(self.place(path), keep) for path in self.declared}
        return self._settled(found, strict=True)

    def present(self, path: str) -> list[FileEntry]:
        """Returns what is at and below one output now, which may be nothing. LinkRefused when the output itself is, or
        lies behind, a link that leads out."""
        try:
            found = self._scan(self.place(path), _ignore)
        except (FileNotFoundError, NotADirectoryError):
            return []
        if len(found) == 1 and found[0].kind == "link" and not found[0].path:
            shown, target = self.place(path).shown, found[0].digest
            if led_to(shown, target, {}, self.root) is None:
                raise LinkRefused(shown, target, *_LEADS_OUT)
        return self._settled({path: found}, strict=False)[path]

    def make_way(self) -> None:
        """Makes the directories that outputs lie in, before the step begins. LinkRefused for a link that leads out:
        after hours of work it would be too late to say so."""
        for path in self.declared:
            place = self.place(path)
            if not place.below:
                continue
            with Directory.open(place.top) as top:
                parent, name = top.parent(place.below, make=True)
                with parent, suppress(FileNotFoundError):
                    if stat.S_ISLNK(parent.status(name).st_mode) and not self._stays(place.shown, parent.target(name)):
                        raise LinkRefused(place.shown, parent.target(name), *_LEADS_OUT)

    def check(self, path: str, before: OutputLocation | None) -> None:
        """LinkRefused where the step itself has put a link that leads out in the place of an output, or on the way to
        it: the output is elsewhere then than it was before the step began."""
        now = self.place(path)
        if before is not None and now != before:
            raise LinkRefused(now.shown, f"{now.top}/{now.below}", *_LEADS_OUT)

    def files(self, path: str) -> Iterator[tuple[Directory, str, os.stat_result]]:
        """Yields every plain file of an output, whatever it is called, with the directory that it lies in."""
        place = self.place(path)
        with suppress(FileNotFoundError, NotADirectoryError), Directory.open(place.top) as top:
            parent, name = top.parent(place.below)
            with parent:
                status = parent.status(name)
                if stat.S_ISREG(status.st_mode):
                    yield parent, name, status
                elif stat.S_ISDIR(status.st_mode):
                    with parent.below(name, links=False) as directory:
                        yield from ((one.directory, one.name, one.status) for one in walk(directory) if one.is_file)

    def clear_unfinished(self, path: str) -> None:
        """Removes the unfinished copies of processes that were killed while they restored the output."""
        place = self.place(path)
        with suppress(FileNotFoundError, NotADirectoryError), Directory.open(place.top) as top:
            parent, name = top.parent(place.below)
            with parent:
                for each in parent.names():  # beside an output that is one file
                    if each.startswith(f".{name[:NAME_LETTERS]}."):
                        _remove_unfinished(parent, each)
        for directory, name, _ in self.files(path):
            _remove_unfinished(directory, name)

    def _stays(self, shown: str, target: str) -> bool:
        led = led_to(shown, target, {}, self.root)
        return led is not None and led != shown and within(led, self.declared)

    def _scan(self, place: OutputLocation, keep: OnFile) -> list[FileEntry]:
        with Directory.open(place.top) as top:
            if not place.below:
                return scan_directory(top, place.top, self.hashes, keep)
            parent, name = top.parent(place.below)
            with parent:
                status = parent.status(name)
                full = f"{place.top}/{place.below}"
                if stat.S_ISDIR(status.st_mode):
                    with parent.below(name, links=False) as directory:
                        return scan_directory(directory, full, self.hashes, keep)
                if stat.S_ISLNK(status.st_mode):
                    return [FileEntry("", "link", parent.target(name))]
                if stat.S_ISREG(status.st_mode):
                    return [_file("", full, parent, name, status, self.hashes, keep)]
        raise RunFailed(
            f"{full} is neither a file nor a directory", hint="a socket, pipe or device cannot be an output"
        )

    def _settled(self, found: Mapping[str, list[FileEntry]], *, strict: bool) -> dict[str, list[FileEntry]]:
        places = {path: self.place(path) for path in found}
        links = {
            places[path].in_project(entry.path): self._written(places[path], entry.digest)
            for path, entries in found.items()
            for entry in entries
            if entry.kind == "link"
        }
        if not links:
            return dict(found)
        said = settled(links, self.declared, self.root, strict=strict)
        return {
            path: [
                replace(entry, digest=said[places[path].in_project(entry.path)]) if entry.kind == "link" else entry
                for entry in entries
            ]
            for path, entries in found.items()
        }

    def _written(self, place: OutputLocation, target: str) -> str:
        """Returns what an absolute link says, with the path that the project has for an output on another disk."""
        real = f"{place.top}/{place.below}"
        inside = target == real or target.startswith(f"{real}/")
        return f"{self.root}/{place.shown}{target[len(real) :]}" if inside and place.top != self.root else target


def _remove_unfinished(directory: Directory, name: str) -> None:
    maker = unfinished_by(name)
    if maker is not None and started_at(maker) is None:
        with suppress(OSError):
            directory.remove(name)


_LEADS_OUT = ("which leads out of the project",)


def _ignore(digest: str, directory: Directory, name: str, status: os.stat_result) -> None:
    """Keeps nothing: the files are only looked at."""


def scan_directory(directory: Directory, full: str, hashes: FileHashes, keep: OnFile = _ignore) -> list[FileEntry]:
    """Returns what is below a directory, sorted, links as what they say. `full` is the path by which hashes of its
    files are remembered; `keep` is called for each file while its directory is open."""
    entries: list[FileEntry] = []
    for found in walk(directory, skip=unwanted):
        if found.is_file:
            path, place = found.path, f"{full}/{found.path}"
            entries.append(_file(path, place, found.directory, found.name, found.status, hashes, keep))
        elif found.is_link:
            entries.append(FileEntry(found.path, "link", found.target()))
        elif found.is_directory and found.empty:
            entries.append(FileEntry(found.path, "directory", "", 0, 0o755))
    return sorted(entries, key=lambda entry: entry.path)


def _file(
    path: str, full: str, directory: Directory, name: str, status: os.stat_result, hashes: FileHashes, keep: OnFile
) -> FileEntry:
    digest = hashes.digest(full, status, lambda: directory.read(name))
    keep(digest, directory, name, status)
    return FileEntry(path, "file", digest, status.st_size, stat.S_IMODE(status.st_mode))
