"""Brings a backup back: unpacked beside its place, checked as a whole, and only then put there."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ..adoption.settling import look
from ..beneath import Directory
from ..config import variables
from ..domain.text.format import moment, size
from ..domain.watching import Restored
from ..errors import NotFound, PodiumError, Refused, RunFailed, Unreachable
from ..identity.home import STATE, Standing
from ..journal import Journal
from .form import CHUNK_BYTES, DIGESTS, HEAD, MAX_LIST_BYTES, Head, read_digests, read_head


def restore(file: Path, home: Path) -> Restored:
    """Restores a backup into the directory of a project that has no state yet. NotFound if there is no such file;
    Refused if the project has some state, if the backup is damaged or is none, and if a newer Podium wrote it;
    Unreachable if it cannot be read or written. Then nothing is changed."""
    home = home.absolute()
    if not file.exists():
        raise NotFound(f"there is no file {file}", hint="`podium backup FILE` writes one")
    _ensure_free(home / STATE)
    new = [each for each in (home, *home.parents) if not each.exists()]
    try:
        home.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=f"{STATE}.restoring-", dir=home))
        try:
            head, names = _unpack(file, holder)
            with Journal.open(holder / STATE / "journal.db", create=False) as journal:  # says if it is a newer one
                damage = journal.check()
                if damage:
                    raise Refused(f"the journal in {file} is damaged: {damage[0]}", hint="use another backup")
                journal.close()
            _put(holder, home, names)
        finally:
            shutil.rmtree(holder, ignore_errors=True)
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise _problem(file, error) from error
    finally:
        for each in new:
            with suppress(OSError):  # what holds the project now
                each.rmdir()
    return Restored(str(home), head.project, head.created, len(names), tuple(_next_steps(home, head)))


def _ensure_free(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise Refused(f"{path} exists", hint=f"move it away first: mv {path} {path}.before")


def _problem(file: Path, error: Exception) -> PodiumError:
    if isinstance(error, OSError) and error.errno is not None:
        words = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        hint = "make room" if error.errno == errno.ENOSPC else "nothing was changed"
        return Unreachable(f"{file} cannot be restored: {words}", hint=hint)
    return Refused(f"{file} is damaged, or no backup of Podium's: {error}", hint="nothing was changed; use another one")


def _unpack(file: Path, holder: Path) -> tuple[Head, list[str]]:
    """Unpacks everything below `holder`; returns the head and the names of the files, all of which are whole."""
    with file.open("rb") as source, tarfile.open(fileobj=source, mode="r|gz") as tar, Directory.open(holder) as top:
        members = iter(tar)
        first = next(members, None)
        if first is None or first.name != HEAD:
            raise Refused(f"{file} is no backup of Podium's", hint="`podium backup FILE` writes one")
        head = read_head(_small(tar, first))
        free = shutil.disk_usage(holder).free
        if head.size > free:
            raise Refused(f"the backup needs {size(head.size)}, and {size(free)} are free", hint="make room")
        found: dict[str, str] = {}
        expected: dict[str, str] | None = None
        for member in members:
            if member.name == DIGESTS:
                expected = read_digests(_small(tar, member))
            elif expected is not None:
                raise Refused(f"{file} goes on after its end", hint="nothing was changed")
            else:
                found[member.name] = _take(tar, member, top)
    _ensure_whole(file, found, expected)
    return head, list(found)


def _ensure_whole(file: Path, found: dict[str, str], expected: dict[str, str] | None) -> None:
    if expected is None:
        raise Refused(f"{file} has no end: it was cut off", hint="nothing was changed; use another backup")
    wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise Refused(
            f"{file} is damaged: {wrong[0]}{more} is not what was written", hint="nothing was changed; use another one"
        )


def _small(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member) if member.isreg() and member.size <= MAX_LIST_BYTES else None
    if content is None:
        raise Refused(f"{member.name} is not what it should be: this is no backup of Podium's")
    return content.read()


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, top: Directory) -> str:
    """Writes one file below `top`; returns its digest. Refused for anything that is no plain file, and for a path that
    leads out."""
    path = PurePosixPath(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if content is None or path.is_absolute() or ".." in path.parts or not path.parts or "\0" in member.name:
        raise Refused(
            f"{member.name!r} in the backup is no file of a project: it is not unpacked", hint="nothing was changed"
        )
    digest = hashlib.sha256()
    try:
        with top.below(str(path.parent), make=True, links=False, mode=0o700) as parent:
            with parent.create(path.name) as new:
                while block := content.read(CHUNK_BYTES):
                    digest.update(block)
                    new.write(block)
                new.flush()
                os.fchmod(new.fileno(), 0o400 if not member.mode & 0o200 else 0o600)
                os.utime(new.fileno(), (member.mtime, member.mtime))
    except (FileExistsError, NotADirectoryError, RunFailed) as error:
        raise Refused(
            f"{member.name!r} in the backup is there twice, or below a file", hint="nothing was changed"
        ) from error
    return digest.hexdigest()


def _put(holder: Path, home: Path, names: list[str]) -> None:
    """Moves what was unpacked to its place: a store outside the state directory first, the state directory last, by
    which a project is known to be there."""
    outside = [name for name in names if not name.startswith(f"{STATE}/")]
    for name in outside:
        if (home / name).exists() or (home / name).is_symlink():
            raise Refused(f"{home / name} exists", hint="move it away first")
    for name in outside:
        (home / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (holder / name).rename(home / name)
    _ensure_free(home / STATE)
    (holder / STATE).rename(home / STATE)


def _next_steps(home: Path, head: Head) -> Iterator[str]:
    """Yields what a person has to do now, in order."""
    yaml = home / "podium.yaml"
    if not yaml.is_file():
        yield f"bring podium.yaml and the code back: {home} has none (they are in git, not in the backup)"
    else:
        with suppress(OSError, UnicodeError):
            missing = [name for name in variables.names(yaml.read_text(encoding="utf-8")) if name not in os.environ]
            if missing:
                yield f"set the variables that podium.yaml uses: {', '.join(missing)} (no backup has secrets)"
    standing = look(home / STATE).standing
    if standing is Standing.COPY:
        yield "podium adopt (makes it a project of its own; the original keeps what it runs)"
    yield "podium doctor"
    served = _served(home)
    if standing is Standing.COPY:
        yield from (f"podium deploy {version} -e {name}" for name, version in served.items())
        yield "podium watch --daemon"
    else:
        what = ", ".join(f"v{version} on {name}" for name, version in served.items())
        yield f"podium watch --daemon{f' (starts again what should be served: {what})' if what else ''}"
    if not head.captures:
        yield f"captured requests are not in it, nor is anything after {moment(head.created)}"


def _served(home: Path) -> dict[str, int]:
    """Returns environment -> the version that it served."""
    found: dict[str, int] = {}
    with Journal.open(home / STATE / "journal.db", create=False, read_only=True) as journal:
        for row in journal.replicas.all():
            current = journal.ledger.current(row.environment)
            if current is not None:
                found[row.environment] = current.to_version
    return found
