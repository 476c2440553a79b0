"""What a soak looks at every minute, and the verdict at its end."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass

import psutil

from tests.chaos.world import Traffic

from .processes import of
from .project import Project

# The last third against the second: what grows by more is no noise.
MEMORY_GROWTH = 1.15
DISK_GROWTH = 1.25
WATCHED = ("agent", "proxy", "replica")


@dataclass(frozen=True)
class Minute:
    """`memory` is the largest process of a kind, in MiB; `disk` is what `.podium/` takes, in MiB."""

    memory: dict[str, float]
    processes: int
    disk: float
    asked: int
    failed: int
    serving: object

    def __str__(self) -> str:
        memory = ", ".join(f"{kind} {self.memory.get(kind, 0):.0f}" for kind in WATCHED)
        return (
            f"v{self.serving} serves; {self.asked} requests, {self.failed} lost; MiB: {memory}, disk {self.disk:.0f};"
            f" {self.processes} processes"
        )


def look(project: Project, seen: Traffic) -> Minute:
    memory: dict[str, float] = defaultdict(float)
    count = 0
    for kind, process in of(project.home):
        with contextlib.suppress(psutil.Error):
            memory[kind] = max(memory[kind], process.memory_full_info().uss / 2**20)
            count += 1
    serving = project.status()["serving"]
    return Minute(dict(memory), count, project.disk() / 2**20, seen.asked, seen.failed, serving)


def judge(project: Project, minutes: list[Minute]) -> list[str]:
    """Returns what is wrong after the whole time: memory or disk that grew, a journal that is not whole."""
    problems: list[str] = []
    third = len(minutes) // 3
    middle, last = minutes[third : 2 * third], minutes[2 * third :]
    if third >= 3:
        for kind in WATCHED:
            before = max(each.memory.get(kind, 0.0) for each in middle)
            after = max(each.memory.get(kind, 0.0) for each in last)
            if after > before * MEMORY_GROWTH + 2:
                problems.append(f"the memory of the {kind} grew from {before:.0f} to {after:.0f} MiB")
        before, after = (max(each.disk for each in part) for part in (middle, last))
        if after > before * DISK_GROWTH:
            problems.append(f".podium grew from {before:.0f} to {after:.0f} MiB")
    for words in (("audit", "--verify"), ("validate",)):
        try:
            project.podium(*words)
        except AssertionError as error:
            problems.append(str(error).strip())
    return problems
