"""Tells whether the MLflow runs of a step are gone, without MLflow: before a step is not done again because its result
is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ..domain.models import TAG_KEY
from ..domain.project import Mlflow
from ..errors import PodiumError
from .store import sqlite_file

_BUSY_TIMEOUT = 1.0
_FINISHED = (
    "SELECT 1 FROM tags JOIN runs ON runs.run_uuid = tags.run_uuid WHERE tags.key = ? AND tags.value = ?"
    " AND runs.lifecycle_stage = 'active' AND runs.status = 'FINISHED' LIMIT 1"
)


def runs_gone(mlflow: Mlflow, state: Path, key: str) -> bool:
    """Returns True if no finished MLflow run with that key is left; False also where that cannot be found out (a store
    that does not answer, a database other than SQLite)."""
    if not mlflow.embedded:
        return _gone_from_server(mlflow, state, key)
    path = sqlite_file(mlflow.tracking_uri)
    if path is None:
        return False
    if not path.exists():
        return True
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT)
        ) as connection:
            return connection.execute(_FINISHED, (TAG_KEY, key)).fetchone() is None
    except sqlite3.Error:
        return False


def _gone_from_server(mlflow: Mlflow, state: Path, key: str) -> bool:
    from . import open_registry

    try:
        with closing(open_registry(mlflow, state)) as registry:
            return not registry.find_runs(mlflow.experiment, [key])
    except PodiumError:
        return False
