"""The journal's snapshot of the registry: read from MLflow only when the store has changed, and shown from then on
without MLflow. A SQLite store shows by its file whether anything was written, and by its tables (tables.py) whether
that affects the registry. Servers and other databases do not: they are read on demand, and regularly by the agent."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..child import run_main
from ..clock import elapsed
from ..domain.models import Version
from ..domain.project import Mlflow, Project
from ..errors import PodiumError, Unreachable
from . import tables
from .store import sqlite_file

if TYPE_CHECKING:
    from ..journal import Journal
    from .store import Registry

ABSENT = "absent"
CHILD_TIMEOUT = 120.0
SERVER_INTERVAL = 10.0
EMBEDDED_INTERVAL = 60.0
MAX_MODELS = 50
_CHECKED = "registry.checked"
_TABLES = "registry.tables"


def fingerprint(mlflow: Mlflow) -> str | None:
    """Returns a value that changes whenever the store is written to; None if only a request can find that out. Where
    versions are in a store of their own, both count: what a version's run logged is in the other one."""
    if not mlflow.registry_uri:
        return _fingerprint(mlflow.tracking_uri)
    registry, tracking = _fingerprint(mlflow.registry_uri), _fingerprint(mlflow.tracking_uri)
    if registry is None or tracking is None:
        return None
    return ABSENT if registry == ABSENT else f"{registry}|{tracking}"


def _fingerprint(uri: str) -> str | None:
    """Returns the fingerprint of one store.

    SQLite counts its writes in bytes 24 to 27 of the file's header; in WAL mode the write-ahead log grows instead.
    """
    path = sqlite_file(uri)
    if path is None:
        return None
    try:
        with path.open("rb") as stream:
            counter = stream.read(28)[24:28].hex()
        marks = [counter]
        for name in (path, path.with_name(f"{path.name}-wal")):
            if name.exists():
                status = name.stat()
                marks.append(f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}")
    except FileNotFoundError:
        return ABSENT
    except OSError as error:
        raise Unreachable(
            f"the MLflow store {path} cannot be read: {error.strerror}", hint="check its permissions and its disk"
        ) from error
    return "|".join(marks)


def stale(project: Project, journal: Journal) -> bool:
    """Tells whether refresh() would ask MLflow. Cheap: it stats two files and reads one row, and hashes some tables
    if the file has changed."""
    mark = fingerprint(project.mlflow)
    return mark is None or not _current(project, journal, mark)


def _current(project: Project, journal: Journal, mark: str) -> bool:
    """Tells whether the snapshot shows the state of the store that `mark` stands for."""
    model = project.mlflow.model
    shown = journal.versions.fingerprint(model)
    if shown == mark:
        return True
    if shown is None or mark == ABSENT:
        return False
    found = tables.digest(project.mlflow)
    if found is None or found != journal.values.get(_TABLES):
        return False
    journal.versions.seen(
        model, mark
    )  # something was written, such as a training's figures, that the snapshot does not show
    return True


def refresh(project: Project, journal: Journal, *, force: bool = False) -> bool:
    """Brings the journal's versions up to date; returns True if they changed. `force` also reads the figures of all
    known MLflow runs again.

    Raises Unreachable if the store does not answer; the journal then keeps its snapshot.
    """
    if journal.borrowed:
        return False
    # Taken before reading: a write in between then causes another read instead of being missed.
    mark = fingerprint(project.mlflow)
    if not force and mark is not None and _current(project, journal, mark):
        return False
    found = tables.digest(project.mlflow)
    if mark == ABSENT:
        return _store(journal, project.mlflow.model, journal.versions.of(project.mlflow.model), [], ABSENT)
    from . import open_registry

    registry = open_registry(project.mlflow, project.state)
    try:
        changed = False
        for name in _names(project, journal, registry):
            before = journal.versions.of(name)
            changed |= _store(
                journal, name, before, registry.versions(name, known=() if force else before), mark or "asked"
            )
    finally:
        registry.close()
    journal.values.set(_CHECKED, repr(time.time()))
    journal.values.set(_TABLES, found)
    return changed


def refresh_here(project: Project, journal: Journal) -> None:
    """Refreshes the snapshot in a step that has just written to the registry: MLflow is already imported there, and
    the agent need not import it to see the change.

    Never fails: the step has done its work, and the agent will refresh later.
    """
    if project.mlflow.by_client:
        with suppress(PodiumError):
            refresh(project, journal)


def refresh_apart(project: Project, journal: Journal) -> bool:
    """Calls refresh() for callers that must stay light: a child process imports MLflow if it is needed. Returns True
    if something was read.

    A server, or a database without a fingerprint, is asked only once in a while.
    """
    if journal.borrowed or not stale(project, journal):
        return False
    if fingerprint(project.mlflow) is None:
        pause = EMBEDDED_INTERVAL if project.mlflow.by_client else SERVER_INTERVAL
        if elapsed(float(journal.values.get(_CHECKED) or 0.0), time.time()) < pause:
            return False
        journal.values.set(
            _CHECKED, repr(time.time())
        )  # also after a failure: a dead server is not asked twice a second
    if not project.mlflow.by_client or fingerprint(project.mlflow) == ABSENT:
        refresh(project, journal)
        return True
    _child(project)
    return True


def _child(project: Project) -> None:
    import subprocess

    from ..preload.piped import run
    from .naming import require_server

    require_server(project.mlflow, project.state)  # a child could say no more than that it failed
    try:
        code, _, err = run(project.state, __name__, [str(project.home)], cwd=project.home, timeout=CHILD_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise Unreachable(
            f"reading the MLflow store took more than {CHILD_TIMEOUT:.0f} s",
            hint="try again when the machine is less loaded",
        ) from error
    if code:
        words = err.strip().splitlines()
        raise Unreachable(
            words[0] if words else "the MLflow store could not be read",
            hint=words[1] if len(words) > 1 else "run `podium doctor`",
        )


def _names(project: Project, journal: Journal, registry: Registry) -> list[str]:
    """Returns the project's models, and every other model if the whole store belongs to the project. A server is
    shared with others."""
    names = dict.fromkeys(project.models)
    if project.mlflow.registry.embedded:
        present = [model.name for model in registry.models()[:MAX_MODELS]]
        names.update(dict.fromkeys(present))
        for gone in journal.versions.models():
            if gone.name not in names:
                journal.versions.remove(gone.name)
    return list(names)


def _store(journal: Journal, model: str, before: list[Version], versions: list[Version], mark: str) -> bool:
    # repr as well, because a metric may be NaN, which equals nothing.
    same = before == versions or repr(before) == repr(versions)
    if not same or journal.versions.fingerprint(model) != mark:
        journal.versions.replace(model, versions, mark)
    return not same


def main(arguments: list[str]) -> int:
    """Reads the store in a child process and returns its exit code."""
    return run_main(lambda: _read(Path(arguments[0])))


def _read(home: Path) -> None:
    from ..config import load
    from ..journal import Journal

    project = load(home)
    with Journal.open(project.state / "journal.db") as journal:
        refresh(project, journal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
