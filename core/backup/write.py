"""Writes a backup: databases as SQLite copies them, consistent while others write; then the files that they name."""

from __future__ import annotations

import gzip
import io
import json
import os
import secrets
import sqlite3
import stat
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from ..beneath import Directory, walk
from ..domain.project import Project
from ..domain.watching import Backup
from ..errors import Refused, Unreachable
from ..identity.home import STATE
from ..logs.masking import encoded
from ..registry.store import sqlite_file
from ..retention.kinds import BackedUp, kind_of
from ..version import VERSION
from .form import DIGESTS, FORMAT, HEAD, Digesting, Head

_BLOCK_BYTES = 1 << 20


def write(project: Project, file: Path, *, captures: bool = False) -> Backup:
    """Writes a backup of the project's state to a new file that only its owner may read. Refused if there is a file of
    that name; Unreachable if it cannot be written: then nothing is left behind."""
    file = file.absolute()
    if file.exists() or file.is_symlink():
        raise Refused(f"{file} exists", hint="name another file, or move that one away")
    if not (project.state / "journal.db").is_file():
        raise Refused("there is nothing to back up: the project has no journal yet", hint="podium run starts one")
    fresh = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as scratch:
            made = _Writer(project, captures, Path(scratch)).write(fresh)
        _put(fresh, file)
    except (OSError, sqlite3.Error) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreachable(
            f"the backup {file} cannot be written: {words}", hint="is there room for it, and may this user write there?"
        ) from error
    finally:
        fresh.unlink(missing_ok=True)
    return Backup(str(file), made.count, file.stat().st_size, captures, tuple(made.warnings))


def _put(fresh: Path, file: Path) -> None:
    """Gives the whole backup its name, unless somebody has taken it meanwhile."""
    try:
        os.link(fresh, file)
    except FileExistsError as error:
        raise Refused(f"{file} exists", hint="name another file, or move that one away") from error
    except OSError:  # a file system without second names
        fresh.rename(file)


class _Writer:
    def __init__(self, project: Project, captures: bool, scratch: Path) -> None:
        self._project, self._captures, self._scratch = project, captures, scratch
        self._secrets = encoded(project.secrets)
        self._digests: dict[str, str] = {}
        self.warnings: list[str] = []

    @property
    def count(self) -> int:
        return len(self._digests)

    def write(self, fresh: Path) -> _Writer:
        databases = self._databases()
        with (
            os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out,
            Directory.open(self._project.state) as top,
            gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=1) as packed,
        ):
            with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                size = sum(path.stat().st_size for path in databases.values()) + self._size(top)
                self._document(tar, HEAD, asdict(self._head(size)))
                # In this order: what a database names was there before it was copied, and is copied after it.
                for name, path in databases.items():
                    with path.open("rb") as source:
                        self._file(tar, name, source)
                for path in self._files(top):
                    self._below(tar, top, path)
                self._document(tar, DIGESTS, self._digests)
            packed.close()
            out.flush()
            os.fsync(out.fileno())
        return self

    def _head(self, size: int) -> Head:
        project = self._project
        return Head(FORMAT, project.name, str(project.home), time.time(), VERSION, self._captures, size)

    # -- databases -------------------------------------------------------------------------------------------------

    def _databases(self) -> dict[str, Path]:
        """Copies the journal, and after it the embedded store and what else is a database; returns name in the backup
        -> copy."""
        found = {f"{STATE}/journal.db": self._project.state / "journal.db"}
        mlflow = self._project.mlflow
        for store in filter(None, map(sqlite_file, mlflow.stores)):
            if not store.is_file():
                continue
            if store.is_relative_to(self._project.home):
                found[str(store.relative_to(self._project.home))] = store
            else:
                self.warnings.append(f"the MLflow store {store} is not in the project, and not in the backup")
        if not mlflow.registry.embedded:
            self.warnings.append("models are on the tracking server, and not in the backup")
        if self._captures:
            labels = sorted((self._project.state / "labels").glob("*.db"))
            found |= {f"{STATE}/labels/{path.name}": path for path in labels if not path.is_symlink()}
        copies: dict[str, Path] = {}
        for number, (name, path) in enumerate(found.items()):
            copies[name] = self._scratch / str(number)
            _copy(path, copies[name])
        return copies

    # -- files -----------------------------------------------------------------------------------------------------

    def _files(self, top: Directory) -> Iterator[str]:
        """Yields the paths of files to copy, relative to the state directory."""
        for found in walk(top):
            if found.is_link and _wanted(f"{found.path}/x", captures=self._captures):
                self.warnings.append(f"{STATE}/{found.path} is a link, and what it leads to is not in the backup")
            elif found.is_file and _wanted(found.path, captures=self._captures):
                yield found.path

    def _size(self, top: Directory) -> int:
        before, total = len(self.warnings), 0
        for path in self._files(top):
            with suppress(FileNotFoundError):
                parent, name = top.parent(path)
                with parent:
                    total += parent.status(name).st_size
        del self.warnings[before:]
        return total

    def _below(self, tar: tarfile.TarFile, top: Directory, path: str) -> None:
        try:
            with top.read_below(path) as source:
                if self._secrets and self._tells(source):
                    self.warnings.append(f"{STATE}/{path} has a secret in it, and is not in the backup")
                    return
                source.seek(0)
                self._file(tar, f"{STATE}/{path}", source)
        except FileNotFoundError:
            pass  # it has gone since the directory was read
        except PermissionError as error:
            self.warnings.append(f"{STATE}/{path} cannot be read, and is not in the backup: {error.strerror}")

    def _tells(self, source: BinaryIO) -> bool:
        """Tells whether a secret stands in the file, also across two pieces."""
        rest, most = b"", max(map(len, self._secrets)) - 1
        while block := source.read(_BLOCK_BYTES):
            data = rest + block
            if any(secret in data for secret in self._secrets):
                return True
            rest = data[-most:] if most else b""
        return False

    def _file(self, tar: tarfile.TarFile, name: str, source: BinaryIO) -> None:
        status = os.fstat(source.fileno())
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = status.st_size, int(status.st_mtime), stat.S_IMODE(status.st_mode)
        reader = Digesting(source, status.st_size)
        tar.addfile(member, reader)  # type: ignore[arg-type]
        self._digests[name] = reader.digest

    def _document(self, tar: tarfile.TarFile, name: str, document: object) -> None:
        data = json.dumps(document).encode()
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
        tar.addfile(member, io.BytesIO(data))


def _wanted(path: str, *, captures: bool) -> bool:
    """Tells whether a file below the state directory belongs in a backup."""
    kind = kind_of(path)
    if kind is None or kind.backed_up is BackedUp.NO:
        return False
    if kind.backed_up is BackedUp.CAPTURED:
        return captures and not path.endswith((".db", ".db-wal", ".db-shm"))
    if kind.backed_up is BackedUp.CAPTURES:
        return captures and "/shadow/" not in path
    if kind.backed_up is BackedUp.STORE:
        return not path.startswith(("mlflow.", "mlflow/mlflow."))
    return kind.backed_up is BackedUp.YES or path.endswith(kind.backed_up_files) or "/aside/" in path


def _copy(source: Path, target: Path) -> None:
    """Copies a database as of one moment, whoever writes to it meanwhile."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True, timeout=30.0)) as old:
        with closing(sqlite3.connect(target)) as new:
            old.backup(new)


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
