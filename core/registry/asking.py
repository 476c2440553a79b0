"""Asks an MLflow server whether it answers us, before anything is done that would need it: it may not be there, may not
be MLflow, or may not accept our credentials."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..domain.project import Mlflow
from ..errors import NotFound, Refused, Unreachable
from . import answers
from .http import TrackingServer
from .naming import require_server

_API = "/api/2.0/mlflow/experiments"


def ask(mlflow: Mlflow, state: Path) -> str:
    """Returns the server's name if it answers with our credentials. Raises what `open_registry` and its requests do."""
    return _asked(mlflow, state, f"{_API}/search")


def ask_registry(mlflow: Mlflow, state: Path) -> str:
    """Does the same for a server that has models and versions, and maybe nothing else."""
    return _asked(mlflow, state, "/api/2.0/mlflow/registered-models/search")


def _asked(mlflow: Mlflow, state: Path, path: str) -> str:
    require_server(mlflow, state)
    server = TrackingServer(mlflow.tracking_uri)
    try:
        server.get(path, {"max_results": 1})
        return server.name
    finally:
        server.close()


def make_experiment(mlflow: Mlflow, state: Path) -> None:
    """Makes the project's experiment on the server where it is missing: several training scripts that start at once
    would each try to, and all but one of them fail. Raises Unreachable if it was deleted."""
    require_server(mlflow, state)
    server = TrackingServer(mlflow.tracking_uri)
    try:
        try:
            found = server.get(f"{_API}/get-by-name", {"experiment_name": mlflow.experiment})
        except NotFound:
            with suppress(Refused):  # another one was faster
                server.post(f"{_API}/create", {"name": mlflow.experiment})
            return
        if answers.text(answers.part(found, "experiment"), "lifecycle_stage") == "deleted":
            raise Unreachable(
                f"the MLflow experiment {mlflow.experiment!r} was deleted",
                hint="restore it, or name another under mlflow.experiment in podium.yaml",
            )
    finally:
        server.close()
