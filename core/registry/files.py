"""The files of a version on this machine: fetched completely or not at all, and identified by their content."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

from ..errors import NotFound, PodiumError, Unreachable


def directory(state: Path, model: str, version: int) -> Path:
    """Returns the directory of a version's files. A model's name may contain anything but `/` and `:`; characters
    that a file system rejects are replaced, and a digest of the name keeps two such names apart."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", model).lstrip(".") or "_"
    if safe != model:
        safe = f"{safe}-{hashlib.sha256(model.encode()).hexdigest()[:8]}"
    return state / "models" / safe / str(version)


def digest(root: Path) -> str:
    """Returns `sha256:…` over the relative paths and contents of every file below `root`; times and modes do not
    count."""
    whole = hashlib.sha256()
    for path in sorted(
        (path for path in root.rglob("*") if path.is_file()), key=lambda path: path.relative_to(root).as_posix()
    ):
        whole.update(path.relative_to(root).as_posix().encode() + b"\0" + file_digest(path) + b"\n")
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
        note: dict[str, Any] = json.loads(_note(dest).read_text())
    except (OSError, ValueError):
        return None
    return str(note["digest"]) if dest.is_dir() and note.get("files") == _stamp(dest) and note.get("digest") else None


def bring(dest: Path, download: Callable[[Path], None]) -> str:
    """Calls `download` with an empty directory and moves that to `dest` when it is complete. Safe against a crash
    and against processes that fetch the same version at the same time."""
    already = present(dest)
    if already:
        return already
    import shutil  # late: listing versions needs neither of these, and must be quick
    import tempfile

    dest.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    holder = Path(tempfile.mkdtemp(prefix=".part-", dir=dest.parent))
    try:
        fresh = holder / "model"
        fresh.mkdir()
        download(fresh)
        if not any(path.is_file() for path in fresh.rglob("*")):
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
        # Somebody else brought it meanwhile, or a stale copy lies there: move that aside first (a directory cannot be
        # replaced in one step).
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


def _stamp(dest: Path) -> list[list[Any]]:
    stamps: list[list[Any]] = []
    for path in sorted(dest.rglob("*")):
        # Loading a model may leave byte code beside its code files; that is no change of the model.
        if path.is_file() and "__pycache__" not in path.parts:
            status = path.stat()
            stamps.append([path.relative_to(dest).as_posix(), status.st_size, status.st_mtime_ns])
    return stamps


def _tighten(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)


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


def copy_tree(source: Path, dest: Path) -> None:
    """Copies a local model. Follows links: a fetched version must not change when their targets do."""
    if not source.is_dir():
        raise NotFound(
            f"the version's files are gone: {source} does not exist",
            hint="train and register it again, or restore that directory",
        )
    import shutil

    shutil.copytree(source, dest, dirs_exist_ok=True, copy_function=shutil.copyfile)
