"""What a run's steps claim of this machine, and what they wait for (`host_queue/`).

Commands claim what they ask for, a CPU if they ask for nothing, and so do built-in steps, unless they change what
serves: those wait for nobody. What runs elsewhere (another machine's engine, a cluster with a queue of its own) claims
nothing here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from ... import plugins
from ...domain.project import ANY, Project
from ...domain.runs import Run
from ...errors import RunFailed
from ...host_queue.queue import CLAIM, Given, HostQueue, directory
from ...host_queue.resources import Wanted
from ..graph import PlannedStep

# How often a step that waits looks again, and how often the GPUs of those that run are looked at (seconds).
LOOK_INTERVAL = 0.25
GPU_INTERVAL = 5.0


class Admission:
    """The claims of one run. To be closed, which gives all of them back."""

    def __init__(self, project: Project, run: Run) -> None:
        self._project, self._operation = project, run.is_operation
        self._queue = HostQueue(directory(), project.name, run.id)
        self._given: dict[str, Given] = {}
        self._watch: GpuWatch | None = None

    def impossible(self, step: PlannedStep) -> str:
        """Returns why this machine can never run the step; empty if it can."""
        wanted = self._wanted(step)
        return self._queue.impossible(wanted) if wanted is not None else ""

    def take(self, step: PlannedStep) -> str:
        """Claims what the step asks for; returns what it waits for, empty on success."""
        wanted = self._wanted(step)
        if wanted is None:
            return ""
        found = self._queue.take(step.name, wanted)
        if isinstance(found, str):
            return found
        self._given[step.name] = found
        if found.gpus:
            self._watch = self._watch or GpuWatch()
        return ""

    def release(self, step: str) -> None:
        """Gives back what the step has, or no longer waits for."""
        self._given.pop(step, None)
        self._queue.release(step)

    def variables(self, step: str) -> dict[str, str]:
        """Returns the variables by which a process of this machine knows what it has."""
        given = self._given.get(step)
        if given is None or not given.claim:
            return {}
        # The numbers are those of nvidia-smi, which counts by the bus; CUDA itself would count by speed.
        return {CLAIM: given.claim, **({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if given.gpus else {})}

    def gpus(self, step: PlannedStep) -> tuple[str, ...]:
        """Returns the GPUs that the step is to see, with those that it was given. Raises RunFailed if none were:
        there is no queue."""
        named = step.spec.gpus
        if ANY not in named:
            return named
        given = self._given.get(step.name)
        if given is None or not given.gpus:
            raise RunFailed("no GPU can be handed out: the queue of this machine is off or cannot be written")
        return given.gpus

    def gpu_words(self) -> Mapping[str, str]:
        """Returns step -> how busy its GPUs are, of the steps that have some."""
        seen = self._watch.seen if self._watch is not None else {}
        return {
            step: "; ".join(seen.get(number, f"GPU {number}") for number in given.gpus)
            for step, given in self._given.items()
            if given.gpus
        }

    def close(self) -> None:
        """Gives everything back."""
        if self._watch is not None:
            self._watch.close()
        self._given.clear()
        self._queue.close()

    def _wanted(self, step: PlannedStep) -> Wanted | None:
        """Returns what the step claims; None for one that claims nothing of this machine."""
        spec = step.spec
        if spec.uses:
            return self._of_builtin(step)
        if plugins.executor_capabilities(spec.executor).elsewhere or not self._here(step):
            return None
        container = spec.container
        if container is None:
            return Wanted(
                spec.cpus or min(1.0, self._queue.cpus()), spec.memory or 0, spec.gpus.count(ANY), _named(spec.gpus)
            )
        # Of more CPUs than the engine has, a container gets all of them.
        cpus = min(container.cpus or 1.0, self._queue.cpus())
        return Wanted(cpus, container.memory or 0, named=_named(container.gpus))

    def _of_builtin(self, step: PlannedStep) -> Wanted | None:
        can = plugins.step_capabilities(step.spec.uses)
        if can.delivers or (self._operation and not can.parallel):
            return None
        there = self._queue.cpus()
        asked = step.options.get("parallel") if can.parallel else 1
        return Wanted(min(float(asked or there), there))

    def _here(self, step: PlannedStep) -> bool:
        """Whether the step runs on this machine."""
        if step.container is None:
            return True
        from ...containers.engine.address import of_project

        return of_project(self._project).local


def _named(gpus: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(gpu for gpu in gpus if gpu not in (ANY, "none"))


class GpuWatch:
    """Looks at the GPUs every few seconds, in a thread of its own: an answer takes a moment. `seen` is number ->
    words."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self._over = threading.Event()
        threading.Thread(target=self._look, name="gpus", daemon=True).start()

    def close(self) -> None:
        self._over.set()

    def _look(self) -> None:
        from ...host_queue.gpus import gpus

        while True:
            self.seen = {gpu.index: gpu.words for gpu in gpus()}
            if self._over.wait(GPU_INTERVAL):
                return
