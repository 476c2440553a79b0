"""The signed statements that are kept of a version: in the state directory, and on the MLflow run that logged it, where
other machines find them.

A statement is not believed because it is here: whoever reads one judges its signature (`required.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..domain.frozen import Frozen
from ..domain.models import Version
from ..domain.project import Project
from ..errors import PodiumError
from ..registry import open_registry
from ..registry.files import directory
from ..replacing import replace_file

# Beyond these nothing is read: a statement has a line for each file of a model.
MOST_BYTES = 32 << 20
MOST_STATEMENTS = 50
_DIGITS = 16
FOLDER = "podium"
_NAME = re.compile(r"signed-v\d+-[0-9a-f]{16}\.json")


class Kept(Frozen):
    """A statement and its signature, as they are on the disk."""

    path: Path
    statement: bytes
    signature: Path


def place(state: Path, model: str, version: int) -> Path:
    """Returns the directory of a version's statements."""
    named = directory(state, model, version)
    return state / "statements" / named.parent.name / named.name


def keep(state: Path, model: str, version: int, statement: str, signature: str) -> Path:
    """Keeps a statement and its signature; returns the statement's path. OSError if it cannot be written."""
    where = place(state, model, version)
    where.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = where / f"{_stem(version, statement, signature)}.json"
    replace_file(path.with_name(f"{path.name}.sig"), signature)  # first, so that no statement is seen without one
    replace_file(path, statement)
    return path


def read(state: Path, model: str, version: int) -> Iterator[Kept]:
    """Yields the version's statements that have a signature, the newest first."""
    where = place(state, model, version)
    with suppress(OSError):
        found = sorted(
            (each for each in where.iterdir() if each.suffix == ".json" and not each.is_symlink()),
            key=lambda each: (each.stat().st_mtime_ns, each.name),
            reverse=True,
        )
        for path in found[:MOST_STATEMENTS]:
            signature = path.with_name(f"{path.name}.sig")
            if path.stat().st_size <= MOST_BYTES and signature.is_file() and not signature.is_symlink():
                yield Kept(path, path.read_bytes(), signature)


def share(project: Project, version: Version, statement: str, signature: str) -> str:
    """Logs both on the MLflow run of the version; returns why not, empty if they are there."""
    if not version.mlflow_run:
        return "the version has no MLflow run"
    stem = f"{FOLDER}/{_stem(version.version, statement, signature)}.json"
    try:
        registry = open_registry(project.mlflow, project.state)
        try:
            registry.log_report(version.mlflow_run, stem, statement)
            registry.log_report(version.mlflow_run, f"{stem}.sig", signature)
        finally:
            registry.close()
    except PodiumError as error:
        return error.message
    return ""


def bring(project: Project, version: Version) -> str:
    """Fetches the statements that are on the version's MLflow run and not here. Returns why they cannot be read; empty
    if they are here now, or there are none."""
    if not version.mlflow_run:
        return ""
    try:
        _bring(project, version)
    except PodiumError as error:
        return f"the statements on its MLflow run cannot be read: {error.message}"
    except OSError as error:
        return f"the statements on its MLflow run cannot be kept: {error.strerror or error}"
    return ""


def _bring(project: Project, version: Version) -> None:
    from ..registry import artifacts

    registry = open_registry(project.mlflow, project.state)
    try:
        run = registry.run(version.mlflow_run)
    finally:
        registry.close()
    names = {each.path for each in artifacts.below(project.mlflow, project.state, run, FOLDER)}
    where = place(project.state, version.model, version.version)
    wanted = [name for name in sorted(names) if _NAME.fullmatch(name) and not (where / name).exists()]
    for name in wanted[:MOST_STATEMENTS]:
        if f"{name}.sig" not in names:
            continue
        both = [
            artifacts.content(project.mlflow, project.state, run, f"{FOLDER}/{each}", MOST_BYTES)
            for each in (name, f"{name}.sig")
        ]
        with suppress(ValueError):  # one that is too large, or no text
            statement, signature = (each.decode() for each in both if each is not None)
            keep(project.state, version.model, version.version, statement, signature)


def _stem(version: int, statement: str, signature: str) -> str:
    digest = hashlib.sha256(f"{statement}\0{signature}".encode()).hexdigest()
    return f"signed-v{version}-{digest[:_DIGITS]}"
