"""Adds the labels of a table to an environment: for `podium labels import` and for the built-in step `labels`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from ..domain.labels import AddedLabels, LabelTable
from ..domain.project import Environment, Project
from ..errors import UsageError
from .importing import read
from .salt import salt_of
from .store import LabelStore


def add_file(project: Project, environment: Environment, file: Path, table: LabelTable, *, source: str) -> AddedLabels:
    """Collects what replicas have written, then adds the labels of a CSV or Parquet file that `source` brings. Raises
    UsageError if the file cannot be read as `table` says, or if the environment keeps no keys."""
    if table.key and not environment.key:
        raise UsageError(
            f"{environment.name} keeps no keys, so labels cannot name requests by one",
            hint=f"set environments.{environment.name}.key to the column of requests that holds it, or give ids",
        )
    hidden = bool(table.key) and environment.key in environment.never_kept
    salt = salt_of(project.state, environment.name) if hidden else ""
    left = Counter[str]()
    with LabelStore.open(project.state, environment.name) as store:
        store.collect()
        added = store.add(read(file, table, salt, skipped=lambda: left.update(["skipped"])), source)
    return replace(added, skipped=left["skipped"])
