"""Notes which variables stand in the addresses of servers and in their tokens, and whether a variable gave the whole
host: what podium.yaml itself says is the word of whoever wrote it, a variable is the word of who runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..domain.project import Project
from ..named_hosts import by_variable
from . import variables
from .reader import Record


def with_origins(project: Project, record: Record, environ: Mapping[str, str]) -> Project:
    """Returns the project with the origins of its MLflow server's and its Git host's addresses."""
    address, registry = (_written(record, "mlflow", key) for key in ("tracking_uri", "registry_uri"))
    mlflow = replace(
        project.mlflow,
        variables=_set(address, environ),
        named=by_variable(address, project.mlflow.tracking_uri, environ),
        registry_variables=_set(registry, environ),
        registry_named=by_variable(registry, project.mlflow.registry_uri, environ),
    )
    if project.git.host is None:
        return replace(project, mlflow=mlflow)
    url, token = (_written(record, "git", "host", key) for key in ("url", "token"))
    host = replace(
        project.git.host,
        variables=tuple(dict.fromkeys((*_set(url, environ), *_set(token, environ)))),
        named=by_variable(url, project.git.host.url, environ),
    )
    return replace(project, mlflow=mlflow, git=replace(project.git, host=host))


def _written(record: Record | None, *path: str) -> str:
    """Returns a key's text as it stands in the file; empty where it does not."""
    for name in path[:-1]:
        record = record.get(name) if record is not None else None
    node = record.nodes.get(path[-1]) if record is not None else None
    return node.text if node is not None and node.kind == "text" else ""


def _set(text: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in variables.names(text) if environ.get(name))
