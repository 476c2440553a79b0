"""Paths of the old place in what a project has written: the journal, the embedded MLflow store, git's worktrees."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from ..config import load
from ..config.build import USUAL_STORES
from ..errors import PodiumError, Unreachable
from ..identity.home import STATE
from ..registry.store import sqlite_file
from ..scm.git import git

Moved = Callable[[str], str]
# The columns in which MLflow keeps places of files, in the schemas of its versions 2 and 3.
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


def renaming(old: Path, new: Path) -> Moved:
    """Returns a function that replaces `old` at the beginning of a path or `file:` address by `new`, and returns
    everything else as it is."""
    before, after = str(old), str(new)
    pairs = [(f"{scheme}{before}", f"{scheme}{after}") for scheme in ("", "file://", "file:")]
    pairs += [(f"{scheme}{quote(before)}", f"{scheme}{quote(after)}") for scheme in ("file://", "file:")]

    def moved(text: str) -> str:
        for one, other in pairs:
            if text == one or text.startswith(f"{one}/"):
                return other + text[len(one) :]
        return text

    return moved


def repath_store(home: Path, moved: Moved) -> None:
    """Changes the places of artifacts in the embedded MLflow stores, where they are SQLite files of the project. Raises
    Unreachable when one cannot be written."""
    for file in filter(Path.is_file, _stores(home)):
        _repath(file, moved)


def _repath(file: Path, moved: Moved) -> None:
    try:
        with closing(sqlite3.connect(file, timeout=10.0, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table, column in _PLACES:
                _repath_column(connection, table, column, moved)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise Unreachable(
            f"the MLflow store {file} cannot be brought to its new place: {error}",
            hint="end what uses it, and run the command again",
        ) from error


def _stores(home: Path) -> list[Path]:
    """Returns the files of the stores of runs and models, the usual ones where podium.yaml cannot say; none that is
    outside the project."""
    found: list[Path | None] = [home / name for name in USUAL_STORES]
    with suppress(PodiumError):
        found = list(map(sqlite_file, load(home).mlflow.stores))
    return [file for file in found if file is not None and file.is_relative_to(home)]


def _repath_column(connection: sqlite3.Connection, table: str, column: str, moved: Moved) -> None:
    if column not in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
        return
    for number, text in connection.execute(f"SELECT rowid, {column} FROM {table} WHERE {column} <> ''").fetchall():  # noqa: S608 - constant names
        fresh = moved(text)
        if fresh != text:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (fresh, number))  # noqa: S608


def relink_worktrees(home: Path) -> None:
    """Makes git know the runs' worktrees in their new place. One that git takes for another directory's (a copy within
    one repository), or does not know, is removed: `resume` makes it anew."""
    trees = [each for each in (home / STATE / "worktrees").glob("*") if (each / ".git").is_file()]
    if not trees:
        return
    with suppress(PodiumError):
        answer = git(home, "rev-parse", "--path-format=absolute", "--git-common-dir")
        admin = Path(answer.text) / "worktrees"
        for tree in trees:
            if answer.code or not _relink(tree, admin):
                shutil.rmtree(tree, ignore_errors=True)


def _relink(tree: Path, admin: Path) -> bool:
    own = tree / ".git"
    with suppress(OSError):
        entry = admin / _target(own).name
        back = entry / "gitdir"
        registered = Path(back.read_text(encoding="utf-8").strip())
        if registered.exists() and not registered.samefile(own) and _target(registered).samefile(entry):
            return False
        back.write_text(f"{own}\n")
        own.write_text(f"gitdir: {entry}\n")
        return True
    return False


def _target(link: Path) -> Path:
    """Returns the entry of the repository that a worktree's `.git` names."""
    return Path(link.read_text(encoding="utf-8").partition("gitdir: ")[2].strip())
