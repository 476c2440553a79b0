"""Takes an archive apart below a directory. What it names is somebody else's word: nothing in it leads out of there."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from ..errors import RunFailed
from .directory import Directory, parts_of
from .tree import pour


def unpack(archive: Path, into: Directory) -> None:
    """Makes what a tar holds below `into`: directories, plain files, and links that say what they said in it (where
    they lead is for the caller to judge). RunFailed for a name that leads elsewhere, for a device and the like;
    OSError and tarfile's errors as usual."""
    with tarfile.open(archive) as tar:
        for member in tar:
            _take(tar, member, into)


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Directory) -> None:
    path = _path(member.name)
    if member.isdir():
        into.below(path, make=True, links=False).close()
        return
    if not path:
        raise RunFailed(f"{member.name!r} is a file in the place of the whole")
    parent, name = into.parent(path, make=True, links=False)
    with parent:
        parent.remove(name)
        if member.issym():
            parent.link(name, member.linkname)
        elif member.islnk():
            _same_file(into, _path(member.linkname), parent, name)
        elif member.isfile():
            _file(tar, member, parent, name)
        else:
            raise RunFailed(
                f"{member.name!r} is neither a file nor a directory", hint="a socket, pipe or device cannot be kept"
            )


def _path(name: str) -> str:
    parts = parts_of(name) if not name.startswith("/") else [".."]
    if ".." in parts:
        raise RunFailed(f"{name!r} leads out of its archive")
    return "/".join(parts)


def _same_file(into: Directory, path: str, parent: Directory, name: str) -> None:
    """Makes a second name of a file that came before in the archive."""
    first, last = into.parent(path, links=False)
    with first:
        os.link(last, name, src_dir_fd=first.descriptor, dst_dir_fd=parent.descriptor, follow_symlinks=False)


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo, parent: Directory, name: str) -> None:
    content = tar.extractfile(member)
    if content is None:
        raise RunFailed(f"{member.name!r} has no content")
    with content, parent.create(name) as new:
        pour(content, new)
        new.flush()
        os.fchmod(new.fileno(), _mode(member.mode))
        os.utime(new.fileno(), (member.mtime, member.mtime))


def _mode(mode: int) -> int:
    """Returns the permissions of a file, as tarfile's own filter for data makes them: ours to read and write, no
    more for others than to read, executable where it was for its owner."""
    kept = mode & 0o755 if mode & 0o100 else mode & 0o644
    return kept | 0o600
