"""The cache: results and contents that no run has used for long, and more than it may hold."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from ..beneath import Directory
from .scene import Item, Scene, allocated, plain_files, too_old

CACHE = "cache"
_OBJECTS = "objects"
# A content that was stored so short a time ago may belong to a result that is not written down yet.
_SETTLED = 3600.0  # seconds
_TIMEOUT = 10.0
# Hashes of so many files are looked at in one transaction.
_BATCH = 2000


def results(scene: Scene) -> Iterator[Item]:
    """Yields results that were not used for long, then those used longest ago until the rest fits, then contents that
    belong to none, and hashes of files that are gone. Whatever goes is only computed again."""
    top = scene.opened(CACHE)
    file = scene.state / CACHE / "cache.db"
    if top is None or not file.is_file():
        return
    with top, closing(sqlite3.connect(file, timeout=_TIMEOUT, isolation_level=None)) as database:
        entries = _entries(database)
        contents = _contents(top)
        old, kept = _sorted_out(scene, entries, contents)
        used = {digest for _, digests in kept for digest in digests}
        for key, why in old.items():
            yield Item(key[:12], 0, why, partial(_forget, file, key))
        for digest, (size, changed) in contents.items():
            if digest not in used and changed < scene.now - _SETTLED:
                yield Item(digest[:12], size, "belongs to no result", partial(_drop, scene, digest))
        yield from _hashes(file, database)


def _entries(database: sqlite3.Connection) -> list[tuple[str, float, set[str]]]:
    """Returns (key, last use, contents) of each result, the one used longest ago first."""
    found: list[tuple[str, float, set[str]]] = []
    with suppress(sqlite3.DatabaseError):
        for key, used, outputs in database.execute("SELECT key, used, outputs FROM entries ORDER BY used"):
            lists = json.loads(outputs).values()
            found.append((key, used, {entry[2] for entries in lists for entry in entries if entry[1] == "file"}))
    return found


def _contents(top: Directory) -> dict[str, tuple[int, float]]:
    """Returns digest -> (bytes, last change) of each content."""
    found: dict[str, tuple[int, float]] = {}
    with suppress(FileNotFoundError), top.below(_OBJECTS, links=False) as objects:
        for path, status in plain_files(objects):
            found[path.replace("/", "")] = allocated(status), max(status.st_mtime, status.st_ctime)
    return found


def _sorted_out(
    scene: Scene, entries: list[tuple[str, float, set[str]]], contents: dict[str, tuple[int, float]]
) -> tuple[dict[str, str], list[tuple[str, set[str]]]]:
    """Returns key -> why it goes, and (key, contents) of what stays."""
    retain = scene.project.retain
    old = {key: too_old(retain.cache) for key, used, _ in entries if scene.old(used, retain.cache)}
    kept, total, counted = list[tuple[str, set[str]]](), 0, set[str]()
    for key, used, digests in reversed(entries):
        if key in old:
            continue
        new = digests - counted
        size = sum(contents.get(digest, (0, 0.0))[0] for digest in new)
        if total + size > retain.cache_size and used < scene.now - _SETTLED:
            old[key] = "more than cache_size allows"
            continue
        total += size
        counted |= new
        kept.append((key, digests))
    return old, kept


def _forget(file: Path, key: str) -> int:
    with closing(sqlite3.connect(file, timeout=_TIMEOUT, isolation_level=None)) as database:
        return database.execute("DELETE FROM entries WHERE key = ?", (key,)).rowcount


def _drop(scene: Scene, digest: str) -> int:
    """Removes a content, unless somebody has stored it anew since."""
    top = scene.opened(CACHE)
    if top is None:
        return 0
    with top, suppress(FileNotFoundError), top.below(f"{_OBJECTS}/{digest[:2]}", links=False) as shelf:
        status = shelf.status(digest[2:])
        if max(status.st_mtime, status.st_ctime) < scene.now - _SETTLED:
            shelf.remove(digest[2:])
            return 1
    return 0


def _hashes(file: Path, database: sqlite3.Connection) -> Iterator[Item]:
    """Yields, in batches, remembered hashes of files that are gone: each worktree has paths of its own."""
    with suppress(sqlite3.DatabaseError):
        gone = [path for (path,) in database.execute("SELECT path FROM files") if not os.path.lexists(path)]
        for low in range(0, len(gone), _BATCH):
            batch = gone[low : low + _BATCH]
            yield Item("hashes", 0, "of files that are gone", partial(_forget_hashes, file, batch), entries=len(batch))


def _forget_hashes(file: Path, paths: list[str | bytes]) -> int:
    with closing(sqlite3.connect(file, timeout=_TIMEOUT, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        number = database.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in paths]).rowcount
        database.execute("COMMIT")
        return number
