"""Takes an archive apart below a directory. What it names is somebody else's word: nothing in it leads out of there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import RunFailed
from .directory import Directory, LinkRefused
from .tree import pour

if TYPE_CHECKING:
    import tarfile


def unpack(tar: tarfile.TarFile, into: Directory) -> None:
    """Makes what the archive holds below `into`: directories, plain files, and links that say what they said in it.
    Where those lead is for the caller to judge; nothing is written through one that leads out. RunFailed for a name
    that leads out, for a device and the like; OSError and tarfile's errors as usual."""
    for member in tar:
        _take(tar, member, into)


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Directory) -> None:
    path = member.name.lstrip("/")
    if member.isdir():
        into.below(path, make=True).close()
        return
    parent, name = into.parent(path, make=True)
    with parent:
        parent.remove(name)
        if member.issym():
            parent.link(name, member.linkname)
        elif member.islnk():
            _same_file(into, member.linkname, parent, name)
        elif member.isfile():
            _file(tar, member, parent, name)
        else:
            raise RunFailed(
                f"{member.name!r} is neither a file nor a directory", hint="leave devices, pipes and sockets out"
            )


def _same_file(into: Directory, path: str, parent: Directory, name: str) -> None:
    """Makes a second name of a file that came before in the archive."""
    if path.startswith("/"):
        raise LinkRefused(name, path)
    first, last = into.parent(path)
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
