"""MLflow as Podium uses it: versions, aliases, lineage tags, metric histories and comparisons."""

from __future__ import annotations

from pathlib import Path

from ..domain.project import Mlflow
from .naming import require_server
from .store import Registry, TrackedRun

__all__ = ["Registry", "TrackedRun", "open_registry"]


def open_registry(mlflow: Mlflow, state: Path) -> Registry:
    """Returns the registry of a project, without talking to it yet. `state` is the project's `.podium` directory.
    Raises NotNamed if it is a server that would get credentials and that nobody on this machine named."""
    require_server(mlflow, state)
    if mlflow.by_client:
        from .embedded import EmbeddedRegistry

        return EmbeddedRegistry(mlflow, state)
    from .rest import RestRegistry

    return RestRegistry(mlflow, state)
