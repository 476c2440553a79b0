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
from dataclasses import astuple, dataclass
from pathlib import Path

from ..domain.containers import step_key
from ..domain.project import Project
from ..errors import JournalError, RunFailed
from .file_copy import place
from .graph import PlannedStep
from .hashing import Entry, FileHashes, locate, matching, scan, summary
from .image_digests import ImageDigests

FORMAT = 1
# What a long step made is written down at once: its worker may be killed at any time. Short ones are written together.
_SAVE_EVERY = 0.5
# Shorter ones are no secrets that change from day to day, and numbers are none at all.
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Kept:
    """What a successful step left under a key. `outputs` maps each declared path to what was at and below it."""

    key: str
    run_id: int
    step: str
    created: float
    outputs: Mapping[str, Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class Restored:
    """`files` were put in place; `aside` of them stood in the way with other content and were moved to a directory
    of the run."""

    files: int
    aside: int


class Cache:
    """One process's view of the store; not for several threads. Several processes may use one store."""

    def __init__(self, state: Path) -> None:
        self.directory = state / "cache"
        self._objects = self.directory / "objects"
        for directory in (state, self.directory, self._objects):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = _open(self.directory / "cache.db")
        self.hashes = FileHashes(self._database)
        self.images = ImageDigests(self._database)
        self._new: dict[str, Kept] = {}
        self._used: set[str] = set()
        self._saved = time.monotonic()

    def key(self, step: PlannedStep, project: Project, root: Path) -> str:
        """All of the key but what the executor adds (`keyed`). RunFailed when an input does not exist; OSError when
        one cannot be read."""
        secrets = {value for value in project.secrets if len(value) >= _SHORTEST_SECRET and not value.isdecimal()}
        declared = {name: "" if value in secrets else value for name, value in {**project.env, **step.env}.items()}
        parts = [
            FORMAT,
            step.command,
            self._inputs(step, root),
            sorted(declared.items()),
            sorted(step.outputs),
            step.spec.executor,
            "",
            project.mlflow.tracking_uri,
            project.mlflow.experiment,
        ]
        return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()

    def _inputs(self, step: PlannedStep, root: Path) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        top = str(root)
        for pattern in step.inputs:
            paths = matching(top, pattern)
            if not paths:
                hint = "write it, or have an earlier step that this one `needs` put it into `outputs`"
                raise RunFailed(f"input {pattern!r} does not exist", hint=hint)
            found.extend((path, summary(scan(f"{top}/{path}", self.hashes))) for path in paths)
        return found

    def find(self, key: str) -> Kept | None:
        kept = self._new.get(key)
        if kept is not None:
            return kept
        row = self._database.execute("SELECT run, step, created, outputs FROM entries WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        outputs = {path: [Entry(*fields) for fields in entries] for path, entries in json.loads(row[3]).items()}
        return Kept(key, row[0], row[1], row[2], outputs)

    def keep(self, key: str, run_id: int, step: PlannedStep, root: Path) -> list[str]:
        """Keep the step's outputs under `key`. Returns the files that differ from what was kept under the same key
        before: then the step is not deterministic. RunFailed when a declared output is not there; OSError when the
        disk is full."""
        outputs = {path: self._collect(root, path) for path in step.outputs}
        before = self.find(key)
        self._new[key] = Kept(key, run_id, step.name, time.time(), outputs)
        if time.monotonic() - self._saved > _SAVE_EVERY:
            self.save()
        return _differences(before.outputs, outputs) if before else []

    def _collect(self, root: Path, path: str) -> list[Entry]:
        full = Path(locate(str(root), path, "output"))
        entries = scan(str(full), self.hashes)
        for entry in entries:
            if entry.kind == "file":
                target = self._object(entry.digest)
                if not target.exists():
                    target.parent.mkdir(mode=0o700, exist_ok=True)
                    place(full / entry.path if entry.path else full, target, link=False, mode=0o600)
        return entries

    def restore(self, kept: Kept, root: Path, aside: Path, *, link: bool) -> Restored | None:
        """Bring the outputs under `root` to what they were; None when the store no longer holds all of it undamaged.
        `link` allows hard links, which is right only where nobody edits the files by hand (a run's own worktree)."""
        stale = [
            path
            for path, entries in kept.outputs.items()
            if summary(self._present(root, path)) != summary(list(entries))
        ]
        wanted = [entry for path in stale for entry in kept.outputs[path] if entry.kind == "file"]
        if not all(self._intact(entry) for entry in wanted):
            self._forget(kept.key)
            return None
        files = moved = 0
        for path in stale:
            changed, displaced = self._restore_path(root, path, kept.outputs[path], aside, link)
            files, moved = files + changed, moved + displaced
        self._used.add(kept.key)
        return Restored(files, moved)

    def _present(self, root: Path, path: str) -> list[Entry]:
        try:
            return scan(locate(str(root), path, "output"), self.hashes)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _restore_path(
        self, root: Path, path: str, entries: Sequence[Entry], aside: Path, link: bool
    ) -> tuple[int, int]:
        full = Path(locate(str(root), path, "output"))
        present = {entry.path: entry for entry in self._present(root, path)}
        files = moved = 0
        wanted = {entry.path for entry in entries}
        for relative, entry in present.items():
            if relative not in wanted and entry.kind != "directory":
                moved += self._displace(root, full / relative if relative else full, entry, aside)
        for entry in entries:
            target = full / entry.path if entry.path else full
            now = present.get(entry.path)
            if now is not None and (now.kind, now.digest, now.mode & 0o100) == (
                entry.kind,
                entry.digest,
                entry.mode & 0o100,
            ):
                continue
            moved += self._displace(root, target, now, aside)
            moved += self._clear_parents(root, target, aside)
            self._put(entry, target, link)
            files += 1
        if not entries:
            full.mkdir(parents=True, exist_ok=True)
        for relative in present.keys() - wanted:
            _remove_empty(full / relative, below=full)
        return files, moved

    def _put(self, entry: Entry, target: Path, link: bool) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "directory":
            target.mkdir(exist_ok=True)
        elif entry.kind == "link":
            target.symlink_to(entry.digest)
        else:
            # A link has the mode of the object, which nobody may execute.
            place(self._object(entry.digest), target, link=link and not entry.mode & 0o111, mode=entry.mode)

    def _displace(self, root: Path, target: Path, now: Entry | None, aside: Path) -> int:
        """Take away what stands at `target`; whether it had to be moved aside because nothing else holds it."""
        if not os.path.lexists(target):
            return 0
        if target.is_symlink() or (now is not None and now.kind == "file" and self._object(now.digest).exists()):
            target.unlink()
            return 0
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
            return 0
        place_for = aside / target.relative_to(root)
        place_for.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        import shutil  # late, like everything that an unchanged run does not need

        shutil.move(target, place_for)
        return 1

    def _clear_parents(self, root: Path, target: Path, aside: Path) -> int:
        """A file where a directory has to be."""
        for parent in reversed(target.parents):
            if root in parent.parents and os.path.lexists(parent) and not parent.is_dir():
                return self._displace(root, parent, None, aside)
        return 0

    def detach(self, root: Path, outputs: Sequence[str]) -> None:
        """Before a step writes its outputs: give files that share their content with the store (hard links) a life
        of their own."""
        for path in outputs:
            full = Path(locate(str(root), path, "output"))
            files = (
                (Path(parent) / name for parent, _, names in os.walk(full) for name in names)
                if full.is_dir()
                else (full,)
            )
            for file in files:
                with suppress(FileNotFoundError):
                    status = file.lstat()
                    if status.st_nlink > 1 and not file.is_symlink():
                        place(file, file, link=False, mode=status.st_mode & 0o777)

    def save(self) -> None:
        """Write down what was learnt since the last time. A store that cannot be written only costs time later."""
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
        self._database.close()

    def _object(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest[2:]

    def _intact(self, entry: Entry) -> bool:
        """An object that was damaged, or changed through a hard link, is thrown away rather than restored."""
        target = self._object(entry.digest)
        try:
            if self.hashes.digest(str(target), target.stat()) == entry.digest:
                return True
        except OSError:
            return False
        target.unlink(missing_ok=True)
        return False

    def _forget(self, key: str) -> None:
        self._new.pop(key, None)
        with suppress(sqlite3.Error):
            self._database.execute("DELETE FROM entries WHERE key = ?", (key,))


def _remove_empty(path: Path, *, below: Path) -> None:
    """The directories, up to `below`, in which nothing is left once what was at `path` has gone."""
    for directory in (path, *path.parents):
        if directory == below or below not in directory.parents:
            return
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return


def keyed(base: str, fingerprint: str) -> str:
    """The whole key: `base` with the executor's part, where there is one."""
    return step_key(base, fingerprint) if fingerprint else base


def _row(kept: Kept) -> tuple[object, ...]:
    outputs = {path: [astuple(entry) for entry in entries] for path, entries in kept.outputs.items()}
    return (kept.key, kept.run_id, kept.step, kept.created, time.time(), json.dumps(outputs))


def _differences(before: Mapping[str, Sequence[Entry]], after: Mapping[str, Sequence[Entry]]) -> list[str]:
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
    """A damaged database is thrown away: it is only a memory of what could be computed again."""
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
