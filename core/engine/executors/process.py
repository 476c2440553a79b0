"""Steps as processes of this machine: each in a session of its own, so that a signal reaches all of it and no
terminal reaches it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ... import control_groups, priority
from ...child import adopt_orphans
from .. import orphans
from . import ExecutorContext, Task

if TYPE_CHECKING:
    from ..graph import PlannedStep


class ProcessExecutor:
    def __init__(self) -> None:
        adopt_orphans()

    def start(self, task: Task) -> ProcessExecution:
        return ProcessExecution(task)

    def fingerprint(self, step: PlannedStep, setting: ExecutorContext) -> str:
        return ""


class ProcessExecution:
    grouped = True  # in a control group of its own, where there are any

    def __init__(self, task: Task) -> None:
        self._contained = task.contained
        self._marks = tuple(
            os.fsencode(f"{name}={task.env.get(name, '')}") for name in ("PODIUM_RUN", "PODIUM_HOME", "PODIUM_STEP")
        )
        self._group = _group(task) if self.grouped else None
        self._memory = task.memory
        self.stdout, out = os.pipe()
        self.stderr, err = os.pipe()
        try:
            self._process = priority.starters.start(lambda: self._start(task, out, err), task.nice)
        except BaseException:
            os.close(self.stdout)
            os.close(self.stderr)
            raise
        finally:
            os.close(out)
            os.close(err)
        self.pid = self._process.pid
        orphans.leaders.add(self.pid)
        self._code: int | None = None

    def _start(self, task: Task, out: int, err: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            _command(task, self._group),
            env=task.env,
            cwd=task.cwd,
            stdin=subprocess.DEVNULL if task.stdin is None else task.stdin,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._process.poll()
            if self._code is not None:
                orphans.leaders.remove(self.pid)
        return self._code

    def leftovers(self) -> int:
        strays = len(self._strays())
        return strays or (1 if self._contained and orphans.group_alive(self.pid) else 0)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def findings(self) -> Mapping[str, Any]:
        group = self._group
        if group is None:
            return {}
        killed = group.out_of_memory() and self._code != 0
        group.remove()
        return _out_of_memory(self._memory) if killed and self._memory else {}

    def _signal(self, number: int) -> None:
        roots = self._strays()
        if self._contained and self._code is None:
            roots.append(self.pid)
        # Collected before the first signal: a child whose parent has just ended is no longer below it.
        known = orphans.tree(roots)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
        orphans.send(known - {self.pid}, number)

    def _strays(self) -> list[int]:
        if not self._contained:
            return []
        return [pid for pid in orphans.adopted() if orphans.belongs(pid, self.pid, self._marks)]


def _group(task: Task) -> control_groups.ControlGroup | None:
    if task.project is None:
        return None
    name = f"{task.run_id}-{task.step}-{task.attempt}"
    return control_groups.make("steps", task.project.home, name, cpus=task.cpus, memory=task.memory, nice=task.nice)


def _command(task: Task, group: control_groups.ControlGroup | None) -> list[str]:
    if group is None:
        return list(task.argv)
    return ["/bin/sh", "-c", control_groups.ENTER, "sh", str(group.processes), *task.argv]


def _out_of_memory(limit: int) -> Mapping[str, Any]:
    return {
        "error": f"out of memory: the step needed more than its limit of {limit >> 20} MiB",
        "hint": "raise `memory` of the step, or have it use less",
    }
