"""Digests of a model's files: computed in parallel, once, and remembered as long as inode, size and times are the
same."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from ..beneath import Directory, walk
from ..errors import UNREADABLE
from ..replacing import replace_file

_FILE = "evidence-digests.json"
# Of more files than this the oldest notes go: what they said is computed again.
_MOST = 10_000

Digest = tuple[str, str, int]
"""Path, SHA-256 in hexadecimal, and size in bytes."""


def digests(state: Path | None, place: Path) -> tuple[Digest, ...]:
    """Returns the digests of every file below `place`, by path; byte code is left out. Notes of earlier ones are kept
    in `state`, unless it is None: then every file is read. Raises OSError if a file cannot be read."""
    notes = {} if state is None else _read(state / _FILE)
    with Directory.open(place) as top:
        found = sorted(
            (each for each in walk(top, skip=lambda name: name == "__pycache__") if each.is_file),
            key=lambda each: each.path,
        )
        stamps = {each.path: _stamp(each.status) for each in found}
        names = {path: f"{place}/{path}" for path in stamps}
        wanted = [path for path, stamp in stamps.items() if notes.get(names[path], ("",))[0] != stamp]
        with ThreadPoolExecutor(max_workers=max(1, min(8, os.cpu_count() or 1))) as pool:
            fresh = dict(zip(wanted, pool.map(partial(_digest, top), wanted), strict=True))
    if fresh and state is not None:
        _write(state / _FILE, notes | {names[path]: (stamps[path], digest) for path, digest in fresh.items()})
    sizes = {each.path: each.status.st_size for each in found}
    return tuple((path, fresh.get(path) or notes[names[path]][1], sizes[path]) for path in stamps)


def shown_name(path: str) -> str:
    """Returns a file's name as text. Bytes that are no UTF-8 (`caf\\xe9`) and backslashes are written out: no two files
    have the same one."""
    return os.fsencode(path).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def _digest(top: Directory, path: str) -> str:
    with top.read_below(path, links=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _read(path: Path) -> dict[str, tuple[str, str]]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): (str(note[0]), str(note[1])) for name, note in content.items()}
    except (OSError, *UNREADABLE):
        return {}


def _write(path: Path, notes: dict[str, tuple[str, str]]) -> None:
    kept = dict(list(notes.items())[-_MOST:])
    try:
        replace_file(path, json.dumps(kept))
    except OSError:
        return  # a full disk: the next one computes them again
