"""What a step asks for, and what this machine has."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ..domain.finite import finite
from ..domain.frozen import Frozen
from ..errors import UNREADABLE
from .gpus import Gpu

# A file in the queue's directory by which somebody says how much of the machine steps may have:
# {"cpus": 6, "memory": 17179869184, "gpus": ["0"]}.
LIMITS = "host.json"
# Sums of shares of CPUs are not exact.
_TINY = 1e-9


class Wanted(Frozen):
    """What a step asks for; who asks for nothing gets a CPU."""

    cpus: float = 1.0
    memory: int = 0
    gpus: int = 0
    """How many that are free, whichever."""
    named: tuple[str, ...] = ()
    """These GPUs, besides."""

    @property
    def words(self) -> str:
        """Returns `4 CPUs, 8.0 GiB and a GPU`."""
        parts = [words for _, words in self.parts()]
        return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else "nothing"

    def parts(self) -> Iterator[tuple[str, str]]:
        """Yields (field, its words) of what is asked for."""
        if self.cpus:
            yield "cpus", cpu_words(self.cpus)
        if self.memory:
            yield "memory", memory_words(self.memory)
        if self.gpus:
            yield "gpus", gpu_words(self.gpus)
        if self.named:
            yield "named", f"GPU {', '.join(self.named)}"


class Free(Frozen):
    """What there is of each: of the machine, or what is left of it."""

    cpus: float
    memory: int
    gpus: int

    def less(self, wanted: Wanted) -> Free:
        return Free(self.cpus - wanted.cpus, self.memory - wanted.memory, self.gpus - wanted.gpus)

    def lacking(self, wanted: Wanted) -> list[str]:
        """Returns the fields of which there is not enough."""
        return [
            name
            for name, _ in wanted.parts()
            if name != "named" and getattr(wanted, name) > getattr(self, name) + _TINY
        ]


class Capacity(Frozen):
    """What steps may have of this machine."""

    cpus: float
    memory: int
    gpus: tuple[str, ...] = ()
    """The numbers of its GPUs."""

    @property
    def free(self) -> Free:
        return Free(self.cpus, self.memory, len(self.gpus))

    def impossible(self, wanted: Wanted) -> str:
        """Returns why this can never be had here; empty if it can."""
        lacking = self.free.lacking(wanted)
        if not lacking:
            return ""
        words = dict(wanted.parts())
        here = {
            "cpus": cpu_words(self.cpus),
            "memory": memory_words(self.memory),
            "gpus": gpu_words(len(self.gpus)) if self.gpus else "no GPU that nvidia-smi finds",
        }
        return (
            f"it asks for {' and '.join(words[name] for name in lacking)}, and this machine has"
            f" {' and '.join(here[name] for name in lacking)}"
        )


def capacity(directory: Path, found: Sequence[Gpu] = ()) -> Capacity:
    """Returns what there is, by the system or by `host.json` in the directory; of GPUs, those of `found` that it lets
    steps have. To look for them takes a moment, so only who wants some does."""
    said = _said(directory)
    there = cpus_of_process()
    wanted = said.get("gpus")
    there_are = tuple(gpu.index for gpu in found)
    chosen = tuple(index for index in there_are if index in {str(each) for each in cast("list[Any]", wanted)}) \
        if isinstance(wanted, list) else there_are  # fmt: skip
    cpus, memory = finite(said.get("cpus")), finite(said.get("memory"))
    return Capacity(
        cpus if cpus is not None and cpus > 0 else float(there),
        int(memory) if memory is not None and memory > 0 else _memory(),
        chosen,
    )


def cpus_of_process() -> int:
    """Returns how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _said(directory: Path) -> dict[str, Any]:
    with suppress(OSError, *UNREADABLE):
        found: Any = json.loads((directory / LIMITS).read_text(encoding="utf-8"))
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    return {}


def _memory() -> int:
    """Returns the bytes of the machine's memory, or of what a container of it may use."""
    total = 1 << 62
    with suppress(OSError, ValueError, AttributeError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            total = min(total, int(Path(path).read_text()))
    return total


def cpu_words(value: float) -> str:
    return "1 CPU" if value == 1 else f"{value:g} CPUs"


def memory_words(value: int) -> str:
    return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def gpu_words(number: int) -> str:
    return "a GPU" if number == 1 else f"{number} GPUs"
