"""Steps that run elsewhere (in a container, on a cluster), each looked after by a child process of the worker, so that
the worker loads no client library.

To the worker the child looks like the step itself: it prints what the step prints and ends with its exit code. It gets
its spec in memory, so that no secret touches a disk or a command line; it obeys TERM (have the step end) and USR2 (end
it now); and it leaves what it found out besides in a file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ... import handover
from ...domain.project import Project
from .. import environment, paths
from . import Task
from .process import ProcessExecution

# The child needs whatever runs the step to end it. When it has not done so by then, the child itself is killed, and
# what it leaves is found by the next worker.
KILL_TIMEOUT = 15.0

Facts = Mapping[str, Any]


def result_file(task: Task, what: str) -> Path:
    """Returns where the child of a step leaves its answer, empty for now; `what` names the executor."""
    assert task.directory is not None
    result = task.directory / f"{paths.safe_name(task.step)}.{what}.json"
    result.unlink(missing_ok=True)
    return result


def supervise(
    task: Task, project: Project, module: str, spec: object, result: Path, *, learn: Callable[[Facts], None]
) -> SupervisedExecution:
    """Starts `python -m module` with `spec` on its standard input (`handover.unpack` reads it there). `learn` gets what
    the child found out, once the step has ended."""
    # The names by which what a run left behind is found belong to the child; what the command itself sees is in the
    # spec.
    env = {
        **environment.for_builtin(project),
        "PODIUM_RUN": str(task.run_id),
        "PODIUM_HOME": str(project.home),
        "PODIUM_STEP": task.step,
    }
    packed = handover.pack(spec)
    try:
        child = replace(task, argv=(sys.executable, "-P", "-m", module), env=env, stdin=packed)
        return SupervisedExecution(child, result, learn)
    finally:
        os.close(packed)


def write_result(result: Path, facts: Facts) -> None:
    """Leaves the child's answer for `findings`: whole, or not at all."""
    scratch = result.with_suffix(".part")
    scratch.touch(mode=0o600)
    scratch.write_text(json.dumps(facts))
    scratch.replace(result)


class SupervisedExecution(ProcessExecution):
    """The child of one step. Everything that it is asked goes to it alone: what it has started (an ssh) is what it
    reaches the step by."""

    grouped = False  # what it looks after is elsewhere
    adds_lines = True  # of its own to the command's standard output

    def __init__(self, task: Task, result: Path, learn: Callable[[Facts], None]) -> None:
        super().__init__(task)
        self._result = result
        self._learn = learn
        self._kill_by: float | None = None

    def terminate(self) -> None:
        if self._code is None:
            self._ask(signal.SIGTERM)
        else:
            super().terminate()

    def kill(self) -> None:
        now = time.monotonic()
        if self._code is not None or (self._kill_by is not None and now > self._kill_by):
            super().kill()
        elif self._kill_by is None:
            self._kill_by = now + KILL_TIMEOUT
            self._ask(signal.SIGUSR2)

    def findings(self) -> Facts:
        try:
            found = json.loads(self._result.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        self._result.unlink(missing_ok=True)
        facts = cast(dict[str, Any], found) if isinstance(found, dict) else {}
        self._learn(facts)
        return facts

    def _ask(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, number)
