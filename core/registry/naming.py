"""Says which credentials the MLflow server of a project would get, and lets it have them only if a person named it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..config.variables import looks_secret
from ..domain.project import Mlflow
from ..named_hosts import require_named


def credentials(mlflow: Mlflow, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Returns, in words, what of this machine goes to the server: MLflow's own variables, and those in its address."""
    words = [f"the variable {name}" for name in mlflow.variables]
    if not mlflow.embedded:
        if environ.get("MLFLOW_TRACKING_USERNAME"):
            words.insert(0, "MLFLOW_TRACKING_USERNAME with its password")
        elif environ.get("MLFLOW_TRACKING_TOKEN"):
            words.insert(0, "MLFLOW_TRACKING_TOKEN")
    return tuple(words)


def require_server(mlflow: Mlflow, state: Path, environ: Mapping[str, str] | None = None) -> None:
    """Raises NotNamed if the store, of runs or of models, is a server that no person named and that would get a
    credential."""
    environ = os.environ if environ is None else environ
    if mlflow.registry_uri:
        require_server(mlflow.registry, state, environ)
    given = credentials(mlflow, environ)
    if given and not mlflow.named and "://" in mlflow.tracking_uri:
        secret = len(given) > len(mlflow.variables) or any(map(looks_secret, mlflow.variables))
        require_named(state.parent, mlflow.tracking_uri, given, environ, secret=secret)
