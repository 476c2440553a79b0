"""Finds out whether a SQLite store's registry has changed, without MLflow.

A training script writes to the store many times a second, and hardly any of that concerns a registered version.
Loading MLflow just to find that out takes seconds; a hash over the rows of the snapshot takes milliseconds.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing

from ..domain.project import Mlflow
from .store import sqlite_file

# The registry whole, and of the tracking tables what belongs to the MLflow runs that were registered last. Columns are
# not named: which there are differs between versions of MLflow, and only a change matters.
_REGISTRY_TABLES = (
    "registered_models",
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
)
_RUN_TABLES = ("runs", "latest_metrics", "params", "tags")
# Figures of older versions are read once (records.py), so the snapshot would not show a change to them.
_MAX_NEWEST = 100
_BUSY_TIMEOUT = 1.0


def digest(mlflow: Mlflow) -> str | None:
    """Returns a hash that differs whenever the snapshot could. None if the store is not SQLite, does not exist,
    has an unknown layout or is two stores; MLflow then has to be asked."""
    path = sqlite_file(mlflow.tracking_uri) if not mlflow.registry_uri else None
    if path is None or not path.exists():
        return None
    found = hashlib.blake2b(f"{mlflow.tracking_uri}\0{mlflow.model}".encode(), digest_size=16)
    queries = [f"SELECT * FROM {table} ORDER BY rowid" for table in _REGISTRY_TABLES]  # noqa: S608 - constant names
    registered = f"run_uuid IN (SELECT run_id FROM model_versions ORDER BY creation_time DESC LIMIT {_MAX_NEWEST})"  # noqa: S608 - a constant
    queries += [f"SELECT * FROM {table} WHERE {registered} ORDER BY rowid" for table in _RUN_TABLES]  # noqa: S608 - constant names
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT)
        ) as connection:
            connection.execute("BEGIN")  # all of it as of one moment
            for query in queries:
                found.update(f"{query} {connection.execute(query).fetchall()!r}".encode("utf-8", "surrogateescape"))
    except (sqlite3.Error, UnicodeError):
        return None
    return found.hexdigest()
