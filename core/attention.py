"""What needs a person, gathered: reads what the rules in `domain/attention.py` judge."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from . import plugins
from .domain.attention import Need, needs
from .domain.containers import EngineSnapshot
from .domain.delivery import EnvironmentStatus
from .domain.models import CHALLENGER, Version
from .domain.project import Project
from .domain.verdicts import VersionVerdict
from .errors import Problem
from .journal import Journal

MAX_RUNS = 50
"""How many of the newest runs are looked at; older ones that are not over are looked at as well."""
MAX_ALERTS = 20


def gather(
    project: Project,
    journal: Journal,
    environments: Iterable[EnvironmentStatus],
    *,
    problems: Sequence[Problem] = (),
) -> list[Need]:
    """Returns what a person should know or do about the project, the worst first. `problems` are those of
    podium.yaml."""
    runs = {run.id: run for run in (*journal.runs.page(limit=MAX_RUNS), *journal.runs.active())}
    challenger = journal.versions.named(project.mlflow.model, CHALLENGER)
    return needs(
        runs=sorted(runs.values(), key=lambda run: -run.id),
        environments=environments,
        alerts=journal.alerts.recent(MAX_ALERTS),
        agent=journal.agent.status(),
        versions=() if challenger is None else (challenger,),
        verdicts={} if challenger is None else _verdicts(journal, challenger),
        now=time.time(),
        snapshots=snapshots(project, journal),
        problems=[str(each) for each in problems],
        removed=removed(project, journal),
    )


def removed(project: Project, journal: Journal) -> dict[str, int]:
    """Returns, by environment, how many replicas the journal has of those that podium.yaml has no more."""
    return dict(
        Counter(each.environment for each in journal.replicas.all() if each.environment not in project.environments)
    )


def _verdicts(journal: Journal, version: Version) -> dict[int, tuple[VersionVerdict, ...]]:
    return {version.version: journal.verdicts.of(version.model, version.version)}


def snapshots(project: Project, journal: Journal) -> list[EngineSnapshot]:
    """Returns what was last seen of each environment that an engine serves."""
    names = [each.name for each in project.environments.values() if plugins.driver_capabilities(each.driver).engine]
    return [found for name in names if (found := journal.snapshots.get(name)) is not None]
