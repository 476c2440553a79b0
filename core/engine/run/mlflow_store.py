"""Makes the MLflow store ready before the first training script: once, not by four scripts at the same time. A server
that will not accept the run is found out before hours of training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...domain.project import Project
from ...domain.runs import Run, RunState
from ...errors import RunFailed
from ...journal import Journal
from ...registry.naming import require_server
from .. import paths
from ..graph import PlannedStep

if TYPE_CHECKING:
    from ...preload.client import Process

PREPARE_TIMEOUT = 180.0
KILL_TIMEOUT = 5.0
POLL_INTERVAL = 0.1


def prepare_store(
    project: Project, journal: Journal, run: Run, steps: Sequence[PlannedStep], *, cancelled: Callable[[], bool]
) -> None:
    """Prepares the store where a step will need it: an embedded one that is not ready in a child process, on a server
    its experiment. Raises NotNamed for a server that would get a credential from the steps and that nobody on this
    machine named, Unreachable for one that does not answer us."""
    registers = any(step.spec.uses == "register" for step in steps)
    if registers or any(step.spec.run for step in steps):
        require_server(project.mlflow, project.state)
    if not registers:
        return
    registry = project.mlflow.registry
    if project.mlflow.registry_uri and not registry.embedded:
        from ...registry.asking import ask_registry

        ask_registry(registry, project.state)
    if not project.mlflow.embedded:
        from ...registry.asking import make_experiment

        make_experiment(project.mlflow, project.state)
        return
    from ...registry.prepare import ready

    if ready(project.mlflow, project.state):
        return
    from ...preload.client import Process
    from ...preload.protocol import Child

    journal.runs.set_state(run.id, RunState.RUNNING, message="making the MLflow store ready")
    home = str(project.home)
    child = Child("podium.core.registry.prepare", (home,), dict(os.environ), home, (0, 1, 2))
    with Path(os.devnull).open("rb") as nothing:
        process = Process(project.state, child, (nothing.fileno(), 1, 2))
    try:
        code = _wait_for(process, cancelled)
    finally:
        process.end(KILL_TIMEOUT)
    if code:
        log = paths.worker_log(project.state, run.id)
        raise RunFailed("the MLflow store cannot be made ready", hint=f"{log} says why")
    journal.runs.set_state(run.id, RunState.RUNNING)


def _wait_for(child: Process, cancelled: Callable[[], bool]) -> int:
    """Returns its exit code; 0 when the run is cancelled meanwhile, which the runner will see."""
    import subprocess

    for _ in range(int(PREPARE_TIMEOUT / POLL_INTERVAL)):
        with suppress(subprocess.TimeoutExpired):
            return child.wait(POLL_INTERVAL)
        if cancelled():
            return 0
    raise RunFailed(
        f"the MLflow store was not ready after {PREPARE_TIMEOUT:g} s",
        hint="is its disk slow, or its database locked?",
    )
