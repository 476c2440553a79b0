"""Removes step containers that are not needed any more, in a separate process that nothing waits for."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import Final

from ..child import Unattended
from ..domain.project import Project
from ..domain.runs import Run
from ..errors import PodiumError
from . import environment

_children: Final = Unattended()


def uses_containers(project: Project) -> bool:
    return any(
        step.container is not None for pipeline in project.pipelines.values() for step in pipeline.steps.values()
    )


def tidy(project: Project, run: Run | None = None) -> None:
    """Start it. With `run`, what that run has left goes, whatever its state is: its steps are over."""
    if not uses_containers(project) or (run is not None and run.is_operation):
        return
    from ..containers.engine.address import of_project

    _children.reap()
    with suppress(PodiumError, OSError):
        address = of_project(project)
        argv = [
            sys.executable,
            "-P",
            "-m",
            "podium.core.engine.executors.container.cleanup_main",
            str(address),
            address.tls,
            project.name,
            str(project.home),
            *([str(run.id)] if run is not None else []),
        ]
        _children.add(
            subprocess.Popen(
                argv,
                cwd="/",
                env=environment.for_builtin(project),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
