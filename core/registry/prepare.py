"""Prepares an embedded MLflow store before the first step writes to it: migrates the database, and creates the
experiment with a location for artifacts. Otherwise parallel training scripts would all migrate the same new database
at the same time, and artifacts would be written to the directory in which a script happens to run. The worker runs
`python -m podium.core.registry.prepare HOME`."""

from __future__ import annotations

import glob
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..child import run_main
from ..domain.project import ARTIFACT_ROOT, Mlflow, Project
from ..errors import Unreachable
from ..identity.processes import started_at
from .store import sqlite_file

MARKER = "mlflow.ready"
_UNFINISHED = ".unfinished"


def ready(mlflow: Mlflow, state: Path) -> bool:
    """Tells whether prepare() has nothing to do. Reads one small file; a server needs no preparation."""
    if not mlflow.embedded:
        return True
    path = sqlite_file(mlflow.tracking_uri)
    try:
        note = json.loads((state / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(note == _note(mlflow)) and (path is None or path.exists())


def prepare(mlflow: Mlflow, state: Path) -> bool:
    """Prepares the store; returns True if there was something to do. Several processes may call it at the same time:
    MLflow migrates under its own lock."""
    if ready(mlflow, state):
        return False
    from .embedded import connected, translated  # late: ready() is asked by every worker

    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = os.umask(0o077)
    path, artifacts = sqlite_file(mlflow.tracking_uri), mlflow.artifact_directory(state)
    try:
        with translated(mlflow.tracking_uri), _artifact_root(artifacts):
            artifacts.mkdir(parents=True, exist_ok=True, mode=0o700)  # a container sees what is there when it starts
            if path is not None and not path.exists():
                _make(path)
            client = connected(mlflow.tracking_uri)
            found = client.get_experiment_by_name(mlflow.experiment)
            if found is None:
                _create(client, mlflow.experiment, artifacts)
            elif found.lifecycle_stage != "active":
                raise Unreachable(
                    f"the MLflow experiment {mlflow.experiment!r} was deleted",
                    hint="restore it, or name another under mlflow.experiment in podium.yaml",
                )
        scratch = state / f"{MARKER}.{os.getpid()}"
        scratch.write_text(json.dumps(_note(mlflow)))
        scratch.replace(state / MARKER)
    finally:
        os.umask(before)
    return True


def _make(path: Path) -> None:
    """Creates a new database and moves it into place when it is complete: MLflow cannot use one whose first
    migration was cut short."""
    from .embedded import connected

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_unfinished(path)
    scratch = path.with_name(f"{path.name}.{os.getpid()}{_UNFINISHED}")
    try:
        connected(f"sqlite:///{scratch}").search_experiments(max_results=1)
        with suppress(FileExistsError):  # another process was faster
            path.hardlink_to(scratch)
    finally:
        scratch.unlink(missing_ok=True)


def _remove_unfinished(path: Path) -> None:
    """Removes unfinished databases, and their rollback journals, of processes that are gone."""
    for scratch in path.parent.glob(f"{glob.escape(path.name)}.*{_UNFINISHED}*"):
        pid = scratch.name.removeprefix(f"{path.name}.").partition(".")[0]
        if not (pid.isdecimal() and started_at(int(pid))):
            scratch.unlink(missing_ok=True)


@contextmanager
def _artifact_root(directory: Path) -> Generator[None, None, None]:
    """Sets where the `Default` experiment of a new store keeps its artifacts. MLflow would use ./mlruns, and writes
    that path into SQL in a way that fails if it contains both kinds of quotes; a URI contains none."""
    name = ARTIFACT_ROOT
    given = name in os.environ
    os.environ.setdefault(name, directory.resolve().as_uri())
    try:
        yield
    finally:
        if not given:
            del os.environ[name]


def _create(client: object, experiment: str, artifacts: Path) -> None:
    try:
        client.create_experiment(experiment, artifact_location=artifacts.resolve().as_uri())  # type: ignore[attr-defined]
    except Exception as error:
        # Another process was faster.
        if str(getattr(error, "error_code", "")) != "RESOURCE_ALREADY_EXISTS":
            raise


def _note(mlflow: Mlflow) -> dict[str, str]:
    return {"tracking_uri": mlflow.tracking_uri, "experiment": mlflow.experiment}


def prepare_project(project: Project) -> bool:
    return prepare(project.mlflow, project.state)


def main(arguments: list[str]) -> int:
    """Makes the store ready in a child process and returns its exit code."""
    return run_main(lambda: _prepare(Path(arguments[0])))


def _prepare(home: Path) -> None:
    from ..config import load  # late: a test of prepare() needs no podium.yaml
    from ..journal import Journal
    from .snapshot import refresh_here

    project = load(home)
    if prepare_project(project):
        print("The MLflow store is ready.")
        with Journal.open(project.state / "journal.db") as journal:
            refresh_here(project, journal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
