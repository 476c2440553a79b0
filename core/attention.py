"""What needs a person, gathered: reads what the rules in `domain/attention.py` judge."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from . import plugins
from .alerts.standing import statuses
from .domain.attention import Need, needs
from .domain.containers import EngineSnapshot
from .domain.delivery import EnvironmentStatus
from .domain.models import CHALLENGER
from .domain.monitoring import LoopState
from .domain.project import Project
from .domain.text import format as fmt
from .domain.watching import AgentStatus, Trouble
from .errors import Problem
from .journal import Journal

MAX_RUNS = 50
"""How many of the newest runs are looked at; older ones that are not over are looked at as well."""
MIN_SPACE_BYTES = 100_000_000
"""Less than this and the journal, a log or a model may not be written any more."""
MIN_FILES = 100


def gather(
    project: Project,
    journal: Journal,
    environments: Iterable[EnvironmentStatus],
    *,
    problems: Sequence[Problem] = (),
) -> list[Need]:
    """Returns what a person should know or do about the project, the worst first. `problems` are those of
    podium.yaml."""
    now = time.time()
    runs = {run.id: run for run in (*journal.runs.page(limit=MAX_RUNS), *journal.runs.active())}
    challengers = [
        found for model in project.models if (found := journal.versions.named(model, CHALLENGER)) is not None
    ]
    return needs(
        runs=sorted(runs.values(), key=lambda run: -run.id),
        environments=environments,
        alerts=statuses(project, journal, now),
        proposals=journal.loops.in_state((LoopState.PROPOSED,)),
        agent=agent_status(project.state, journal),
        versions=challengers,
        verdicts={(each.model, each.version): journal.verdicts.of(each.model, each.version) for each in challengers},
        now=now,
        snapshots=snapshots(project, journal),
        problems=[str(each) for each in problems],
        removed=removed(project, journal),
    )


def agent_status(state: Path, journal: Journal) -> AgentStatus:
    """Returns what the journal says of the agent, and whether the disk is full: then the agent cannot say it."""
    status, full = journal.agent.status(), full_disk(state)
    return replace(status, troubles=(*status.troubles, Trouble("disk", full))) if full else status


def full_disk(state: Path) -> str:
    """Returns in words that the disk of the state directory has no room; empty if it has, and if that cannot be told.
    Without figures, so that it stays the same while it does."""
    try:
        disk = os.statvfs(state)
    except OSError:
        return ""
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < MIN_SPACE_BYTES:
        free = f"less than {fmt.size(MIN_SPACE_BYTES)} are free on the disk of {state}"
        return f"{free}: remove something, or nothing can be written"
    if disk.f_files and disk.f_favail < MIN_FILES:
        return f"the disk of {state} has no room for more files: remove some, or nothing can be written"
    return ""


def removed(project: Project, journal: Journal) -> dict[str, int]:
    """Returns, by environment, how many replicas the journal has of those that podium.yaml has no more."""
    return {name: number for name, number in journal.replicas.counts().items() if name not in project.environments}


def snapshots(project: Project, journal: Journal) -> list[EngineSnapshot]:
    """Returns what was last seen of each environment that an engine serves."""
    names = [each.name for each in project.environments.values() if plugins.driver_capabilities(each.driver).engine]
    return [found for name in names if (found := journal.snapshots.get(name)) is not None]
