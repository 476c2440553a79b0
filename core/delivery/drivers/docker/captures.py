"""Copies captured requests of replicas on another machine to this one for a replay; there they are in a volume
beside the replicas."""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from docker import errors as docker_errors

from ....containers.engine import labels as names
from ....containers.engine.errors import own_files
from ....errors import PodiumError
from ...host.paths import private
from .create import CAPTURE
from .place import EngineObjects

_DOING = "bringing captured requests"
_NAME = re.compile(r"(?:capture|feedback|requests)-[A-Za-z0-9._-]{1,200}\.(?:jsonl|tsv)")
# Far more than replicas keep (capture_bytes each); anything larger is a mistake.
_MAX_BYTES = 8 << 30


def bring(place: EngineObjects, into: Path) -> Path:
    """Replaces `into` by the requests that the environment's replicas captured; readable by the owner only, complete
    or not at all. Empty if no replica exists."""
    with own_files(_DOING):
        private(into.parent)
        fresh = Path(tempfile.mkdtemp(prefix=".captured-", dir=into.parent))
        try:
            holder = next(iter(sorted(place.find(names.REPLICA_ROLE), key=lambda one: not one.running)), None)
            if holder is not None:
                _extract(place, holder.id, fresh)
            shutil.rmtree(into, ignore_errors=True)
            fresh.rename(into)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return into


def _extract(place: EngineObjects, container: str, into: Path) -> None:
    """Copies the volume through any replica, even a stopped one. Takes only plain files with the names that replicas
    write."""
    engine = place.engine
    with engine.doing(_DOING):
        try:
            stream = engine.fetch(container, CAPTURE)
        except docker_errors.NotFound:
            return
        total = 0
        with own_files(_DOING), tarfile.open(fileobj=_Stream(stream), mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                content = archive.extractfile(member) if member.isfile() and _NAME.fullmatch(name) else None
                total += member.size
                if total > _MAX_BYTES:
                    raise PodiumError(
                        f"the captures of {place.setting.environment.name} are larger than {_MAX_BYTES >> 30} GiB"
                    )
                if content is not None:
                    with os.fdopen(os.open(into / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                        shutil.copyfileobj(content, file, 1 << 20)


class _Stream(io.RawIOBase):
    """Wraps the engine's pieces as a file to read from."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Returns the next `size` bytes, or all of them for a negative size."""
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        taken, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return taken
