"""Whole trees below a directory that is held open: walked, copied, moved out."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, BinaryIO, TypeAlias

from ..errors import RunFailed
from .directory import Directory, LinkRefused

# Deeper than anything that a person makes, and less than what handles and Python's stack allow.
MAX_DEPTH = 200
_CHUNK_BYTES = 1 << 20
_Listing: TypeAlias = list[os.DirEntry[str]]


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """One thing below the directory that is walked."""

    path: str
    """Relative to where the walk began."""
    name: str
    """Its last part."""
    directory: Directory
    """Where it lies; open until the walk goes on."""
    status: os.stat_result
    """Of the thing itself, not of what a link points to."""
    empty: bool = False
    """Whether it is a directory in which there is nothing at all."""

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode)

    def open(self) -> BinaryIO:
        """Opens the file. LinkRefused when it has become a link meanwhile."""
        return self.directory.read(self.name)

    def target(self) -> str:
        return self.directory.target(self.name)


def walk(
    top: Directory, *, skip: Callable[[str], bool] | None = None, prefix: str = "", whole: bool = False
) -> Iterator[FoundEntry]:
    """Yields everything below `top`, a directory before what is in it, names sorted. Links are yielded, never followed.
    What `skip` says of a name is left out with all that is in it. What vanishes meanwhile is left out too, or is a
    FileNotFoundError where the `whole` has to be there. RunFailed for a tree that is too deep."""
    return _Walk(skip, whole).go(top, _listed(top), prefix, 0)


@dataclass(frozen=True, slots=True)
class _Walk:
    skip: Callable[[str], bool] | None
    whole: bool

    def go(self, top: Directory, items: _Listing, prefix: str, depth: int) -> Iterator[FoundEntry]:
        if depth > MAX_DEPTH:
            raise RunFailed(
                f"{top.path} is deeper than {MAX_DEPTH} directories", hint="stop what makes directories in a circle"
            )
        for item in items:
            if self.skip is not None and self.skip(item.name):
                continue
            try:
                status = item.stat(follow_symlinks=False)
                inner = top.below(item.name, links=False) if stat.S_ISDIR(status.st_mode) else None
            except FileNotFoundError as error:
                if self.whole:
                    error.filename = f"{top.path}/{item.name}"
                    raise
                continue
            path = f"{prefix}{item.name}"
            if inner is None:
                yield FoundEntry(path, item.name, top, status)
                continue
            with inner:
                below = _listed(inner)
                yield FoundEntry(path, item.name, top, status, empty=not below)
                yield from self.go(inner, below, f"{path}/", depth + 1)


def _listed(directory: Directory) -> _Listing:
    with os.scandir(directory.descriptor) as listing:
        return sorted(listing, key=lambda item: item.name)


def copy_tree(source: Directory, dest: Directory) -> None:
    """Copies everything below `source` into `dest`, as plain new files: in the place of a link, what it leads to
    below `source`. LinkRefused for a link that leads out of there, to nothing, or to a directory that it lies in.
    Sockets, pipes and devices are left out."""
    _copy(source, source, "", dest, frozenset())


def _copy(source: Directory, top: Directory, prefix: str, dest: Directory, above: frozenset[int]) -> None:
    """Copies what is below `top`, which the path `prefix` leads to from `source`. `above` are the inodes of the
    directories that links have led to."""
    above |= {os.fstat(top.descriptor).st_ino}
    for found in walk(top, prefix=prefix, whole=True):
        if found.is_directory:
            dest.below(found.path, make=True, links=False).close()
        elif found.is_link:
            _copy_target(source, found, dest, above)
        elif found.is_file:
            with found.open() as opened:
                _write(opened, dest, found.path)


def _copy_target(source: Directory, link: FoundEntry, dest: Directory, above: frozenset[int]) -> None:
    try:
        try:
            inner = source.below(link.path)
        except NotADirectoryError:
            with source.read_through(link.path) as opened:
                _write(opened, dest, link.path)
            return
    except FileNotFoundError as error:
        raise LinkRefused(link.path, link.target(), "where there is nothing") from error
    with inner:
        if os.fstat(inner.descriptor).st_ino in above:
            raise LinkRefused(link.path, link.target(), "a directory that it lies in itself")
        dest.below(link.path, make=True, links=False).close()
        _copy(source, inner, f"{link.path}/", dest, above)


def _write(opened: BinaryIO, dest: Directory, path: str) -> None:
    parent, name = dest.parent(path, make=True, links=False)
    with parent, parent.create(name) as new:
        pour(opened, new)


def pour(source: IO[bytes], into: BinaryIO) -> None:
    """Copies what is left of one open file into another, by the kernel where it can, which on some file systems copies
    nothing at all but shares the blocks."""
    into.flush()
    with suppress(OSError, AttributeError):
        while os.copy_file_range(source.fileno(), into.fileno(), 1 << 30):
            pass
    # What is left: all of it where the kernel cannot (two file systems, one that makes its files up), else nothing.
    while block := source.read(_CHUNK_BYTES):
        into.write(block)


def move(parent: Directory, name: str, into: Directory, new: str) -> None:
    """Moves a file, a link or a whole directory to another directory. Across file systems it is copied: links as links,
    and what is none of the three is left behind."""
    try:
        os.rename(name, new, src_dir_fd=parent.descriptor, dst_dir_fd=into.descriptor)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    _copy_exactly(FoundEntry(name, name, parent, parent.status(name)), into, new)
    parent.remove(name)


def _copy_exactly(found: FoundEntry, into: Directory, path: str) -> None:
    if found.is_directory:
        into.below(path, make=True, links=False).close()
        with found.directory.below(found.name, links=False) as inner:
            for each in walk(inner):
                _copy_one(each, into, f"{path}/{each.path}")
    else:
        _copy_one(found, into, path)


def _copy_one(found: FoundEntry, into: Directory, path: str) -> None:
    if found.is_directory:
        into.below(path, make=True, links=False).close()
        return
    parent, name = into.parent(path, links=False)
    with parent:
        if found.is_link:
            parent.link(name, found.target())
        elif found.is_file:
            with found.open() as opened, parent.create(name, stat.S_IMODE(found.status.st_mode)) as new:
                pour(opened, new)
                new.flush()
                os.utime(new.fileno(), ns=(found.status.st_atime_ns, found.status.st_mtime_ns))
