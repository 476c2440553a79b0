"""The files of a version on this machine: fetched completely or not at all, and identified by their content."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from .. import beneath
from ..beneath import Directory, inside_of, walk
from ..errors import NotFound, PodiumError, Refused, Unreachable
from ..http_client import printable

if TYPE_CHECKING:
    from typing_extensions import Buffer

# A server that names one of these names this machine, or another server, which gets none of its credentials.
_NOT_A_STORE = frozenset({"", "file", "http", "https", "models", "runs"})


class Full(Exception):
    """As much was written as is wanted."""


class Beginning(io.BytesIO):
    """Takes the first `most` bytes of what is written, and ends with Full."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def write(self, content: Buffer, /) -> int:
        room = self._most - self.tell()
        part = bytes(content)
        super().write(part[:room])
        if len(part) >= room:
            raise Full
        return len(part)


def directory(state: Path, model: str, version: int) -> Path:
    """Returns the directory of a version's files. A model's name may contain anything but `/` and `:`; characters
    that a file system rejects are replaced, and a digest of the name keeps two such names apart."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", model).lstrip(".") or "_"
    if safe != model:
        safe = f"{safe}-{hashlib.sha256(model.encode()).hexdigest()[:8]}"
    return state / "models" / safe / str(version)


def digest(root: Path) -> str:
    """Returns `sha256:…` over the relative paths and contents of every file below `root`; times and modes do not count.
    Names are compared as bytes and need not be UTF-8."""
    whole = hashlib.sha256()
    with Directory.open(root) as top:
        for path in sorted(found.path for found in walk(top) if found.is_file):
            with top.read_below(path, links=False) as file:
                content = hashlib.file_digest(file, "sha256").digest()
            whole.update(os.fsencode(path) + b"\0" + content + b"\n")
    return f"sha256:{whole.hexdigest()}"


def file_digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def present(dest: Path) -> str | None:
    """Returns the digest noted when `dest` was fetched; None if it is missing or its files have changed since.

    Compares sizes and times, not contents: a model may be gigabytes. The note lies beside the directory, never in
    it.
    """
    try:
        note: dict[str, Any] = json.loads(_note(dest).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not (dest.is_dir() and note.get("files") == _stamp(dest) and note.get("digest")):
        return None
    with suppress(OSError):  # the note's time says when the files were last asked for: retention goes by it
        os.utime(_note(dest))
    return str(note["digest"])


def bring(dest: Path, download: Callable[[Path], None]) -> str:
    """Calls `download` with an empty directory and moves that to `dest` when it is complete. Safe against a crash
    and against processes that fetch the same version at the same time."""
    already = present(dest)
    if already:
        return already
    import shutil  # imported late: listing versions needs neither of these, and must be fast
    import tempfile

    dest.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    holder = Path(tempfile.mkdtemp(prefix=".part-", dir=dest.parent))
    try:
        fresh = holder / "model"
        fresh.mkdir()
        download(fresh)
        if not _has_files(fresh):
            raise NotFound(
                "the version has no files",
                hint="train and register it again; its artifacts were deleted from MLflow's store",
            )
        _tighten(fresh)
        found = digest(fresh)
        _replace(fresh, dest, holder)
        _write_note(dest, found)
        return found
    except OSError as error:
        raise PodiumError(
            f"cannot save the model's files in {dest}: {error.strerror or error}",
            hint="check the disk's free space and the directory's permissions",
        ) from error
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _replace(fresh: Path, dest: Path, holder: Path) -> None:
    try:
        fresh.rename(dest)
    except OSError:
        # Another process fetched it in the meantime, or a stale copy lies there: move that aside first (a
        # directory cannot be replaced in one step).
        dest.rename(holder / "old")
        fresh.rename(dest)


def _write_note(dest: Path, found: str) -> None:
    import tempfile

    handle, name = tempfile.mkstemp(prefix=".note-", dir=dest.parent)
    with os.fdopen(handle, "w") as stream:
        json.dump({"digest": found, "files": _stamp(dest)}, stream)
    Path(name).replace(_note(dest))


def _note(dest: Path) -> Path:
    return dest.with_name(f"{dest.name}.digest")


def _has_files(root: Path) -> bool:
    with Directory.open(root) as top:
        return any(found.is_file for found in walk(top))


def _stamp(dest: Path) -> list[list[Any]]:
    with Directory.open(dest) as top:
        # Loading a model may leave byte code beside its code files; that is no change of the model.
        return [
            [found.path, found.status.st_size, found.status.st_mtime_ns]
            for found in walk(top, skip=lambda name: name == "__pycache__")
            if found.is_file
        ]


def _tighten(root: Path) -> None:
    with Directory.open(root) as top:
        os.fchmod(top.descriptor, 0o700)
        for found in walk(top):
            if found.is_directory:
                with found.directory.below(found.name, links=False) as inner:
                    os.fchmod(inner.descriptor, 0o700)
            elif found.is_file:
                with found.open() as file:
                    os.fchmod(file.fileno(), 0o600)


def safe_relative(path: str) -> PurePosixPath:
    """Returns a path that a server named, if it stays below its root. Raises Unreachable otherwise: such a server
    must not be trusted."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or "\0" in path or not relative.parts:
        raise Unreachable(
            f"the artifact store named a file outside the model: {path[:100]!r}",
            hint="check that you trust the server of mlflow.tracking_uri",
        )
    return relative


def local_path(uri: str) -> Path | None:
    """Returns the local directory that `uri` names; None if it is not local."""
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path))
    return Path(uri) if parsed.scheme == "" and uri.startswith("/") else None


def named_directory(uri: str, allowed: str) -> tuple[str, str] | None:
    """Returns the directory of this machine that a server has named: (`allowed`, path below it); None for a store
    elsewhere. Refused for every other directory than the one that the person named: a server says what it serves, not
    what is on this machine."""
    scheme = urlparse(uri).scheme.lower()
    if scheme not in _NOT_A_STORE:
        return None
    path = local_path(uri)
    inside = inside_of(allowed, str(path)) if path is not None and allowed else None
    if inside is None:
        raise Refused(
            f"the MLflow server says that the files are at {printable(uri, 150)}, which it does not serve",
            hint=(
                "start it with --serve-artifacts; or, where it keeps them on this machine, name that directory as"
                " mlflow.artifacts"
            ),
        )
    return allowed, inside


def copy_tree(source: Path, dest: Path) -> None:
    """Copies a local model. Links inside of it are followed: a kept version must not change when what it points to
    does. RunFailed names a link that leads out of it."""
    if not source.is_dir():
        raise NotFound(
            f"the version's files are gone: {source} does not exist",
            hint="train and register it again, or restore that directory",
        )
    with Directory.open(source) as found, Directory.open(dest) as into:
        beneath.copy_tree(found, into)
