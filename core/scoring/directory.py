"""The directory that predictions are written to: which finished parts it has, and how a whole new set takes the place
of an old one.

Parts are written into `.scoring/` below it, each noted with its digest when it is finished. When all are there they are
moved up, and `_podium.json` says what they are: while that file is missing, the set is not whole. What is not noted in
one of these was written by somebody else, and stays.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from ..domain.frozen import Frozen
from ..errors import UNREADABLE, PodiumError, Refused, UsageError
from ..replacing import replace_file
from .sources import fsync
from .writing import SIDECAR

MANIFEST = "_podium.json"
WORK = ".scoring"
_NOTES, _REPLACED = "parts.jsonl", "replaced.json"
_OWN = re.compile(r"part-\d{5,}\.(parquet|csv)(\.json)?")
_SHOWN = 5


class Finished(Frozen):
    """A finished part. `key` says what it was made from."""

    key: str
    file: str
    rows: int
    sha256: str
    columns: tuple[str, ...] = ()


class OutputDirectory:
    """Is held by one scoring at a time; to be used in a `with` block. Refused while another one has it, UsageError for
    a directory with other files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / WORK
        self._lock = -1
        self._shown: set[str] = set()
        """Keys of the finished parts that are where an earlier scoring published them."""

    def __enter__(self) -> Self:
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise PodiumError(
                f"cannot write to {self.path}: {error.strerror}", hint="name another directory"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Refused(
                f"another scoring writes to {self.path}", hint="wait for it (`podium ps`), or name another directory"
            ) from None
        try:
            self._ensure_own()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        with suppress(OSError):  # nothing was begun
            self.work.rmdir()
        os.close(self._lock)

    def finished(self) -> dict[str, Finished]:
        """Returns key -> part, of the parts that are whole: their bytes have the digest that was noted."""
        noted = {part.key: part for part in self._noted() if _OWN.fullmatch(part.file)}
        return {key: part for key, part in noted.items() if self._proved(part)}

    def note(self, part: Finished) -> None:
        """Notes a part that was finished."""
        with (self.work / _NOTES).open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(vars_of(part)) + "\n")
            notes.flush()
            os.fsync(notes.fileno())

    def publish(self, parts: Sequence[Finished], manifest: Mapping[str, Any]) -> None:
        """Has the parts take the place of what an earlier scoring wrote. Those that are published already stay: what
        `.scoring/` has under such a name is of a scoring that was given up."""
        before = sorted(self._published())
        replace_file(self.work / _REPLACED, json.dumps(before))
        (self.path / MANIFEST).unlink(missing_ok=True)
        wanted = {name for part in parts for name in _files(part.file)}
        stay = {name for part in parts if part.key in self._shown for name in _files(part.file)}
        for name in before:
            if name not in wanted:
                (self.path / name).unlink(missing_ok=True)
        for name in sorted(wanted - stay):
            with suppress(FileNotFoundError):  # it is there already, or has no file beside it
                (self.work / name).replace(self.path / name)
        fsync(self.path)
        written = {**manifest, "parts": [vars_of(part) for part in parts]}
        replace_file(self.path / MANIFEST, json.dumps(written, indent=2) + "\n")
        os.chmod(self.path / MANIFEST, 0o644)  # noqa: PTH101
        for left in self.work.iterdir():
            left.unlink(missing_ok=True)

    def _proved(self, part: Finished) -> bool:
        for directory in (self.work, self.path):
            with suppress(OSError), (directory / part.file).open("rb") as file:
                if f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == part.sha256:
                    if directory == self.path:
                        self._shown.add(part.key)
                    return True
        return False

    def _noted(self) -> Iterator[Finished]:
        yield from map(_part, self._manifest().get("parts") or ())
        with suppress(OSError):
            for line in (self.work / _NOTES).read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # a line that was cut short
                    yield _part(json.loads(line))

    def _manifest(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            found: Any = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
            return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        return {}

    def _published(self) -> set[str]:
        """Returns the names of files that a scoring has put, or is just putting, into the directory."""
        names = {name for part in self._noted() for name in _files(part.file)}
        with suppress(OSError, ValueError):
            names.update(map(str, json.loads((self.work / _REPLACED).read_text(encoding="utf-8"))))
        return {name for name in names if _OWN.fullmatch(name)}

    def _ensure_own(self) -> None:
        for left in self.path.glob(f".{MANIFEST}.*"):  # of a scoring that was killed as it wrote it
            left.unlink(missing_ok=True)
        known = {*self._published(), MANIFEST, WORK}
        others = sorted(entry.name for entry in os.scandir(self.path) if entry.name not in known)
        if others:
            shown = ", ".join(others[:_SHOWN]) + (f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else "")
            raise UsageError(
                f"{self.path} has files that no scoring wrote: {shown}", hint="name an empty directory, or a new one"
            )


def _files(name: str) -> tuple[str, ...]:
    return name, name + SIDECAR


def vars_of(part: Finished) -> dict[str, Any]:
    return {"key": part.key, "file": part.file, "rows": part.rows, "sha256": part.sha256, "columns": list(part.columns)}


def _part(found: Any) -> Finished:
    """Returns what was noted; a part of no name for what is none."""
    try:
        return Finished(
            str(found["key"]), str(found["file"]), int(found["rows"]), str(found["sha256"]), tuple(found["columns"])
        )
    except UNREADABLE:
        return Finished("", "", 0, "")
