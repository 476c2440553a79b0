"""This machine at one moment, as its queue has it: what steps may have of it, who has it, and what waits."""

from __future__ import annotations

from ..frozen import Frozen
from ..text.format import count
from .cluster import Share, whose


class MachineClaim(Frozen):
    """What one step of any project has of this machine, or waits for."""

    place: int
    """Its place in the order of all, which no other has."""
    project: str
    run: int
    step: str
    user: str
    """The account that its worker belongs to."""
    asks: str
    """What it asks for, in words."""
    running: bool
    gpus: tuple[str, ...] = ()
    """The numbers of the GPUs that it has."""
    since: float = 0.0
    """When it began to wait, or to run (seconds since the epoch)."""
    waits: str = ""
    """What it waits for, and for whom; empty for one that runs."""

    @property
    def whose(self) -> str:
        return whose(self.project, self.run, self.step)

    @property
    def state(self) -> str:
        return "running" if self.running else "waiting"


class MachineGpu(Frozen):
    """A GPU of this machine, and who has it."""

    number: str
    words: str
    """How busy, full and warm it is, as the driver says."""
    whose: str = ""
    """The step that has it, in words; empty if none has."""


class MachineStatus(Frozen):
    """All of it."""

    host: str
    cpus: Share
    memory: Share
    """In bytes, as far as steps ask for memory."""
    gpus: tuple[MachineGpu, ...] = ()
    claims: tuple[MachineClaim, ...] = ()
    """Those that run, then those that wait, in the order in which they will be admitted."""
    off: bool = False
    """Whether the queue is switched off, so that steps start without it."""

    @property
    def words(self) -> str:
        """Returns how much of it steps have, in a sentence."""
        if self.off:
            return f"{self.host}: the queue is off (PODIUM_QUEUE), so that steps start without waiting for room"
        memory = f", {self.memory.gib} of memory" if self.memory.used else ""
        gpus = f", {sum(bool(gpu.whose) for gpu in self.gpus)} of {count(len(self.gpus), 'GPU')}" if self.gpus else ""
        return f"{self.host}: steps have {self.cpus.words} CPUs{memory}{gpus}"
