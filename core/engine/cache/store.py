"""What steps produced, kept by content, so that nothing that is known has to be computed again.

A key is a hash over everything that is declared to matter: the command with its values filled in, the content of the
inputs, the declared environment, the paths of the outputs, where MLflow runs go. An entry under that key lists what
the outputs contained. File contents are kept once, under their own hash. Nothing in here is ever the only copy of a
person's work: whatever a restored file would replace, and is not in the store, is moved aside into the run's
directory.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from ...domain.containers import step_key
from ...domain.frozen import Frozen
from ...domain.project import Project
from ...errors import JournalError, RunFailed
from ..graph import PlannedStep
from .file_copy import place
from .hashing import FileEntry, FileHashes, matching, refuse_pointers, scan, summary
from .image_digests import ImageDigests
from .key_parts import MAX_FILES, KeyParts, digest
from .objects import Objects
from .outputs import OutputLocation, Outputs
from .restoring import Restorer
from .tracked_keys import TrackedKeys

KEY_FORMAT = 1
# What a long step made is written down at once: its worker may be killed at any time. Short ones are written together.
_SAVE_INTERVAL = 0.5
# Shorter ones are no secrets that change from day to day, and numbers are none at all.
_MIN_SECRET_LENGTH = 8


class StoredResult(Frozen):
    """What a successful step stored under a key. `outputs` maps each declared path to what was at and below it."""

    key: str
    run_id: int
    step: str
    created: float
    outputs: Mapping[str, Sequence[FileEntry]]


class RestoreResult(Frozen):
    """`files` were restored; `aside` of them were in the way with other content and were moved to a directory of the
    run."""

    files: int
    aside: int


class Cache:
    """One process's view of the cache; not for several threads. Several processes may use one cache."""

    def __init__(self, state: Path, *, links_out: bool = False) -> None:
        """`links_out` as in `Outputs`."""
        self.directory = state / "cache"
        self._links_out = links_out
        objects = self.directory / "objects"
        for directory in (state, self.directory, objects):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = _open(self.directory / "cache.db")
        self.hashes = FileHashes(self._database)
        self._objects = Objects(objects, self.hashes)
        self.images = ImageDigests(self._database)
        self.tracked = TrackedKeys(self._database)
        self._ways: dict[tuple[Path, str], OutputLocation] = {}
        self._new: dict[str, StoredResult] = {}
        self._used: set[str] = set()
        self._saved = time.monotonic()

    def key(self, step: PlannedStep, project: Project, root: Path) -> str:
        """Returns the key without the executor's part (`keyed` adds it). Raises RunFailed if an input does not
        exist, OSError if one cannot be read."""
        return self.keyed_parts(step, project, root)[0]

    def keyed_parts(self, step: PlannedStep, project: Project, root: Path) -> tuple[str, KeyParts]:
        """Returns the same key, and digests of what it is made from."""
        secrets = {value for value in project.secrets if len(value) >= _MIN_SECRET_LENGTH and not value.isdecimal()}
        declared = {name: "" if value in secrets else value for name, value in {**project.env, **step.env}.items()}
        inputs, files = self._inputs(step, root)
        parts = [
            KEY_FORMAT,
            step.command,
            inputs,
            sorted(declared.items()),
            sorted(step.outputs),
            step.spec.executor,
            "",  # stood for a part that is gone: without it every cache that exists would be lost
            project.mlflow.tracking_uri,
            project.mlflow.experiment,
        ]
        key = hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()
        tracking = digest(f"{project.mlflow.tracking_uri}\0{project.mlflow.experiment}")
        variables = {name: digest(value) for name, value in declared.items()}
        noted = (digest(step.command), dict(inputs), files, variables, sorted(step.outputs), step.spec.executor)
        return key, KeyParts(*noted, "", tracking)

    def _inputs(self, step: PlannedStep, root: Path) -> tuple[list[tuple[str, str]], Mapping[str, Mapping[str, str]]]:
        """Returns the digest of each input, and of the files below those that have not too many."""
        found: list[tuple[str, str]] = []
        files: dict[str, Mapping[str, str]] = {}
        top = str(root)
        for pattern in step.inputs:
            paths = matching(top, pattern)
            if not paths:
                hint = "write it, or have an earlier step that this one `needs` put it into `outputs`"
                raise RunFailed(f"input {pattern!r} does not exist", hint=hint)
            inside = top if f"{top}/".startswith(f"{self.directory.parent.resolve()}/") else ""  # a run's worktree
            for path in paths:
                entries = scan(f"{top}/{path}", self.hashes, inside=inside)
                refuse_pointers(top, path, entries)
                found.append((path, summary(entries)))
                if len(entries) <= MAX_FILES:
                    files[path] = {entry.path: f"{entry.kind} {entry.digest[:24]}" for entry in entries}
        return found, files

    def find(self, key: str) -> StoredResult | None:
        kept = self._new.get(key)
        if kept is not None:
            return kept
        row = self._database.execute("SELECT run, step, created, outputs FROM entries WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        outputs = {path: [FileEntry(*fields) for fields in entries] for path, entries in json.loads(row[3]).items()}
        return StoredResult(key, row[0], row[1], row[2], outputs)

    def keep(self, key: str, run_id: int, step: PlannedStep, root: Path) -> list[str]:
        """Stores the step's outputs under `key`. Returns the files that differ from those stored under the same key
        before: then the step is not deterministic. Raises RunFailed if a declared output does not exist, OSError if
        the disk is full."""
        found = self._outputs(root, step.outputs)
        for path in step.outputs:
            found.check(path, self._ways.get((root, path)))
        outputs = found.collect(self._objects.put)
        before = self.find(key)
        self._new[key] = StoredResult(key, run_id, step.name, time.time(), outputs)
        if time.monotonic() - self._saved > _SAVE_INTERVAL:
            self.save()
        return _differences(before.outputs, outputs) if before else []

    def restore(self, kept: StoredResult, root: Path, aside: Path, *, link: bool) -> RestoreResult | None:
        """Restores the outputs under `root`; None if the cache no longer holds all of them undamaged. `link` allows
        hard links, which is right only in a run's own worktree, where files are not edited by hand."""
        outputs = self._outputs(root, tuple(kept.outputs))
        for path in kept.outputs:
            outputs.clear_unfinished(path)
        stale = [path for path, entries in kept.outputs.items() if not _equal(outputs.present(path), entries)]
        wanted = [entry for path in stale for entry in kept.outputs[path] if entry.kind == "file"]
        if not all(self._objects.intact(entry.digest) for entry in wanted):
            self._forget(kept.key)
            return None
        restorer = Restorer(outputs, self._objects, aside, link)
        try:
            for path in stale:
                restorer.restore(path, kept.outputs[path])
        except FileNotFoundError:
            if all(self._objects.has(entry.digest) for entry in wanted):
                raise
            self._forget(kept.key)  # the retention has removed a content in this moment: the step is done again
            return None
        self._used.add(kept.key)
        return RestoreResult(restorer.files, restorer.moved)

    def make_way(self, root: Path, outputs: Sequence[str]) -> None:
        """Creates the directories of a step's outputs. Raises RunFailed if they cannot be written to without leaving
        the project."""
        found = self._outputs(root, outputs)
        found.make_way()
        for path in outputs:
            found.clear_unfinished(path)
        self._ways.update({(root, path): found.place(path) for path in outputs})

    def detach(self, root: Path, outputs: Sequence[str]) -> None:
        """Replaces hard links into the cache by copies before a step writes its outputs."""
        found = self._outputs(root, outputs)
        for path in outputs:
            for directory, name, status in found.files(path):
                if status.st_nlink > 1:
                    with directory.read(name) as source:
                        place(source, directory, name, mode=status.st_mode & 0o777)

    def _outputs(self, root: Path, declared: Sequence[str]) -> Outputs:
        return Outputs(str(root), declared, self.hashes, self._links_out)

    def save(self) -> None:
        """Writes what was learnt since the last call. A cache that cannot be written only costs time later."""
        self._saved = time.monotonic()
        with suppress(sqlite3.Error):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self.hashes.save()
                rows = [_row(kept) for kept in self._new.values()]
                self._database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)", rows)
                self._database.executemany(
                    "UPDATE entries SET used = ? WHERE key = ?", [(time.time(), key) for key in self._used]
                )
                self._database.execute("COMMIT")
            except sqlite3.Error:
                self._database.execute("ROLLBACK")
                raise
            self._new.clear()
            self._used.clear()

    def close(self) -> None:
        self.save()
        self._objects.close()
        self._database.close()

    def _forget(self, key: str) -> None:
        self._new.pop(key, None)
        with suppress(sqlite3.Error):
            self._database.execute("DELETE FROM entries WHERE key = ?", (key,))


def _equal(now: Sequence[FileEntry], kept: Sequence[FileEntry]) -> bool:
    return summary(list(now)) == summary(list(kept))


def keyed(base: str, fingerprint: str) -> str:
    """Returns the whole key: `base` with the executor's part, if there is one."""
    return step_key(base, fingerprint) if fingerprint else base


def _row(kept: StoredResult) -> tuple[object, ...]:
    outputs = {path: [astuple(entry) for entry in entries] for path, entries in kept.outputs.items()}
    return (kept.key, kept.run_id, kept.step, kept.created, time.time(), json.dumps(outputs))


def _differences(before: Mapping[str, Sequence[FileEntry]], after: Mapping[str, Sequence[FileEntry]]) -> list[str]:
    found: list[str] = []
    for path, entries in after.items():
        old = {entry.path: (entry.kind, entry.digest) for entry in before.get(path, ())}
        new = {entry.path: (entry.kind, entry.digest) for entry in entries}
        found.extend(
            path.rstrip("/") + (f"/{name}" if name else "")
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        )
    return found


def _open(path: Path) -> sqlite3.Connection:
    """Opens the database. A damaged one is deleted: it only holds what can be computed again."""
    try:
        return _connect(path)
    except OSError as error:
        raise JournalError(
            f"the cache {path} cannot be used: {error.strerror}",
            hint="is the directory writable, and the disk not full?",
        ) from error
    except sqlite3.DatabaseError as error:
        if "locked" in str(error) or "readonly" in str(error) or "unable to open" in str(error):
            raise JournalError(
                f"the cache {path} cannot be used: {error}", hint="is the directory writable, and the disk not full?"
            ) from error
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(
        "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, run INTEGER, step TEXT, created REAL, used REAL,"
        " outputs TEXT) WITHOUT ROWID"
    )
    return database
