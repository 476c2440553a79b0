"""The form of a backup: a tar, packed with gzip, of a head, plain files with paths relative to the project, and at the
end the digest of each of them."""

from __future__ import annotations

import hashlib
import json
from typing import IO, Any, Final, cast

from ..domain.frozen import Frozen
from ..errors import Refused

FORMAT: Final = 1
HEAD, DIGESTS = "podium-backup.json", "digests.json"
CHUNK_BYTES: Final = 1 << 20
# A head or a list of digests that is larger is not one of ours.
MAX_LIST_BYTES: Final = 256 << 20


class Head(Frozen):
    """The first thing in a backup."""

    format: int
    project: str
    home: str
    """Where the project was."""
    created: float
    """Seconds since the epoch."""
    version: str
    """The Podium that wrote it."""
    captures: bool
    """Whether captured requests are in it."""
    size: int
    """Bytes of all its files, about: logs grow while they are copied."""


def read_head(data: bytes) -> Head:
    """Raises Refused for what is no head, or that of a newer Podium."""
    found = _document(data)
    if found.get("format", 0) > FORMAT:
        raise Refused(
            f"the backup was written by a newer Podium ({found.get('version')})", hint="restore it with that one"
        )
    try:
        return Head(**{name: found[name] for name in Head.__annotations__})
    except KeyError as error:
        raise Refused(f"this is no backup of Podium's: its head lacks {error}") from error


def read_digests(data: bytes) -> dict[str, str]:
    return {str(name): str(digest) for name, digest in _document(data).items()}


def _document(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise Refused("this is no backup of Podium's", hint="`podium backup FILE` writes one") from error
    if not isinstance(found, dict):
        raise Refused("this is no backup of Podium's", hint="`podium backup FILE` writes one")
    return cast("dict[str, Any]", found)


class Digesting:
    """Reads `size` bytes of a file, no more and no fewer: one that became shorter is filled up with zeros, so that the
    archive stays whole. Knows the digest of what was read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        data += bytes(wanted - len(data))
        self._left -= wanted
        self._digest.update(data)
        return data

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
