"""Unpacks an archive that came from outside: nothing in it may lie, or lead, outside of the directory, and none of it
is a device or belongs to another account."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path


def extract(tar: tarfile.TarFile, into: Path) -> None:
    """Extracts all of `tar` into the directory. Raises TarError for a name or a link that leads out of it, and for a
    member that is neither a file, a directory nor a link."""
    if hasattr(tarfile, "data_filter"):
        tar.extractall(into, filter="data")
    else:  # Python 3.11.0 to 3.11.3, the one of Debian 12 among them
        # Each member is checked when those before it are in place: a link among them decides where it will lie.
        tar.extractall(into, members=_filtered(tar, into))  # noqa: S202 - that is what the filter is for


def _filtered(tar: tarfile.TarFile, into: Path) -> Iterator[tarfile.TarInfo]:
    """Yields the members as the filter `data` of PEP 706 lets them through."""
    top = os.path.realpath(into)
    for member in tar:
        member.name = member.name.lstrip("/" + os.sep)
        place = os.path.join(top, member.name)  # noqa: PTH118 - as names, not as paths that exist
        if not _inside(place, top):
            raise tarfile.TarError(
                f"{member.name!r} would be extracted to {os.path.realpath(place)!r}, which is outside"
            )
        if member.islnk() or member.issym():
            _check_link(member, place, top)
        elif not (member.isreg() or member.isdir()):
            raise tarfile.TarError(f"{member.name!r} is a special file")
        member.mode = _mode(member)
        # As root the owner would be set, too.
        member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
        yield member


def _check_link(member: tarfile.TarInfo, place: str, top: str) -> None:
    if member.linkname.startswith("/"):
        raise tarfile.TarError(f"{member.name!r} is a link to an absolute path")
    # A symbolic link starts from where it lies, a hard one from the top of the archive.
    start = os.path.dirname(place) if member.issym() else top  # noqa: PTH120
    if not _inside(os.path.join(start, member.linkname), top):  # noqa: PTH118
        raise tarfile.TarError(f"{member.name!r} links to {member.linkname!r}, which is outside of the destination")


def _inside(path: str, top: str) -> bool:
    return os.path.commonpath([os.path.realpath(path), top]) == top


def _mode(member: tarfile.TarInfo) -> int:
    """Returns the permissions without set-user bits and without rights of others to write; a directory's are this
    process's own."""
    if member.isdir():
        return 0o777 & ~_umask()
    if not (member.isreg() or member.islnk()):
        return member.mode
    mode = stat.S_IMODE(member.mode) & 0o755
    if not mode & 0o100:
        mode &= ~0o111
    return mode | 0o600


def _umask() -> int:
    """Returns it without changing it for other threads meanwhile."""
    for line in Path("/proc/self/status").read_text().splitlines() if os.path.exists("/proc/self/status") else ():  # noqa: PTH110
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o022
