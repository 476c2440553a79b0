"""What the screens ask the façade for. Each query runs in a pool thread and gives an immutable value; screens name
queries, nothing else.

`every` is the shortest time between two readings, in seconds: what is dear to read and changes seldom is read
seldom, however busy the journal is. `holds` is the longest one, however quiet the journal is: what processes,
engines and the clock say is not in there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from ..core.cockpit import Cockpit
from ..core.domain.frozen import Frozen
from ..core.domain.models import Version
from ..core.domain.monitoring import MonitorStatus
from ..core.domain.monitors.courses import Course
from ..core.domain.verdicts import VersionVerdict
from ..core.domain.watching import SIGNALS
from .pool import FAST, SLOW

# Kept short of what the journal does for a page of 50 among 100,000 (20 ms), so that a refresh never holds the
# interpreter for long.
RUNS_PAGE = 200
AUDIT_PAGE = 500
SIGNAL_SECONDS = 900
USAGE_POINTS = 60
USAGE_SECONDS = 120
MONITOR_SECONDS = 30 * 86_400
MONITOR_POINTS = 200


class Query(Frozen):
    key: str
    read: Callable[[Cockpit], Any]
    every: float = 0.0
    lane: str = FAST
    holds: float = math.inf

    def answer(self, cockpit: Cockpit) -> Any:
        """Reads it; once more where a module was not there yet. Of two threads that are the first to use a package, the
        one that begins with a part of it may see that part half made, as neither can wait for the other."""
        try:
            return self.read(cockpit)
        except ImportError:
            return self.read(cockpit)


class ProjectView(Frozen):
    """What the frame says about the project. `environments` maps names to whether they are protected;
    `with_containers` are those that an engine serves."""

    name: str
    model: str
    models: tuple[str, ...]
    """Those that environments serve, the project's own first."""
    tracking_uri: str
    embedded: bool
    registry: str
    """The address of the server that has the models; empty where none has."""
    pipelines: tuple[str, ...]
    environments: Mapping[str, bool]
    with_containers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """What is wrong with podium.yaml now; the rest is from its last good content."""
    copy_of: str = ""
    removed: Mapping[str, int] = field(default_factory=dict[str, int])
    """The replicas of environments that podium.yaml has no more."""


class RunsView(Frozen):
    runs: tuple[Any, ...]
    total: int


class MonitorView(Frozen):
    """A monitor with its course."""

    status: MonitorStatus
    course: Course = field(default=Course())


def _project(cockpit: Cockpit) -> ProjectView:
    project = cockpit.project.config
    return ProjectView(
        project.name,
        project.mlflow.model,
        project.served_models,
        project.mlflow.tracking_uri,
        project.mlflow.embedded,
        "" if project.mlflow.registry.embedded else project.mlflow.registry.tracking_uri,
        tuple(project.pipelines),
        {name: environment.protected for name, environment in project.environments.items()},
        cockpit.containers.environments(),
        tuple(map(str, cockpit.project.problems)),
        cockpit.project.copy_of,
        cockpit.project.removed(),
    )


def _runs(cockpit: Cockpit, limit: int) -> RunsView:
    runs = cockpit.runs.list(limit=limit)
    # A run whose worker died says "running" for ever unless somebody looks; it is cheap while nothing runs.
    if any(not run.state.finished for run in runs) and cockpit.runs.recover():
        runs = cockpit.runs.list(limit=limit)
    return RunsView(tuple(runs), len(runs) if len(runs) < limit else cockpit.runs.count())


def _versions(cockpit: Cockpit) -> tuple[Version, ...]:
    models = cockpit.project.config.served_models
    return tuple(version for model in models for version in cockpit.models.versions(model))


def _verdicts(cockpit: Cockpit) -> Mapping[tuple[str, int], Sequence[VersionVerdict]]:
    models = cockpit.project.config.served_models
    return {(model, number): each for model in models for number, each in cockpit.models.verdicts(model).items()}


PROJECT = Query("project", _project, every=2.0)
AGENT = Query("agent", lambda cockpit: cockpit.agent.status(), every=0.5, holds=3.0)
# Those served from containers are asked of their engine, which may take its time to say that it is away.
ENVIRONMENTS = Query(
    "environments", lambda cockpit: tuple(cockpit.environments.list()), every=0.5, lane=SLOW, holds=3.0
)
VERSIONS = Query("versions", _versions, every=1.0)
MODELS = Query("models", lambda cockpit: tuple(cockpit.models.list()), every=1.0)
SCHEDULES = Query("schedules", lambda cockpit: tuple(cockpit.agent.schedules()), every=1.0)
# Engines are asked what runs.
BOARD = Query("board", lambda cockpit: tuple(cockpit.board.list()), every=2.0, lane=SLOW, holds=10.0)
INFRA = Query("infra", lambda cockpit: tuple(cockpit.infra.list()), every=1.0)
# GPUs and the cluster are asked, which may take their time.
MACHINE = Query("machine", lambda cockpit: cockpit.runs.machine(), every=1.0, lane=SLOW, holds=5.0)
CLUSTER = Query("cluster", lambda cockpit: cockpit.runs.cluster(), every=2.0, lane=SLOW, holds=5.0)
AUDIT = Query("audit", lambda cockpit: tuple(cockpit.project.audit(limit=AUDIT_PAGE)), every=1.0)
ALERTS = Query("alerts", lambda cockpit: tuple(cockpit.alerts.list()), every=1.0)
LOOPS = Query("loops", lambda cockpit: tuple(cockpit.feedback.list()), every=1.0)
PROPOSALS = Query("proposals", lambda cockpit: tuple(cockpit.feedback.proposed()), every=1.0)
SNAPSHOTS = Query("snapshots", lambda cockpit: tuple(cockpit.containers.snapshots()), every=0.25)
LOOKED_AT = Query("looked_at", lambda cockpit: cockpit.comparing.looked_at(), every=2.0)
VERDICTS = Query("verdicts", _verdicts, every=1.0)


def monitors(now: Callable[[], float]) -> Query:
    """Every monitor, with what it measured lately."""

    def read(cockpit: Cockpit) -> tuple[MonitorView, ...]:
        end = now()
        return tuple(
            MonitorView(each, cockpit.monitors.course(each.name, end - MONITOR_SECONDS, end, points=MONITOR_POINTS))
            for each in cockpit.monitors.list()
        )

    return Query("monitors", read, every=1.0, holds=60.0)


def infra_runs() -> Query:
    """The latest runs of infrastructure, the newest first."""
    return Query("infra_runs", lambda cockpit: tuple(cockpit.infra.runs()), every=1.0)


def runs(limit: int = RUNS_PAGE) -> Query:
    return Query("runs", lambda cockpit: _runs(cockpit, limit), holds=5.0)


def run(run_id: int) -> Query:
    return Query(f"run:{run_id}", lambda cockpit: cockpit.runs.get(run_id))


def times(run_id: int) -> Query:
    """How long the steps of a run took beside the last runs; what is on its critical path."""
    return Query(f"times:{run_id}", lambda cockpit: tuple(cockpit.why.times(run_id)), every=2.0)


def versions_of(model: str) -> Query:
    return Query(f"versions:{model}", lambda cockpit: tuple(cockpit.models.versions(model)), every=1.0)


def verdicts_of(model: str) -> Query:
    return Query(f"verdicts:{model}", lambda cockpit: cockpit.models.verdicts(model), every=1.0)


def reports(version: Any) -> Query:
    return Query(
        f"reports:{version.model}:{version.version}",
        lambda cockpit: tuple(cockpit.models.gate_reports(version)),
        every=0.5,
    )


def history(environment: str) -> Query:
    return Query(
        f"history:{environment}", lambda cockpit: tuple(cockpit.environments.history(environment, limit=50)), every=0.5
    )


def lineage(environment: str) -> Query:
    return Query(f"lineage:{environment}", lambda cockpit: tuple(cockpit.models.lineage(environment)), every=0.5)


def signals(
    environment: str, now: Callable[[], float], points: int, names: tuple[str, ...] = SIGNALS, *, key: str = "signals"
) -> Query:
    """The last quarter of an hour in `points` steps (whole seconds each), as {signal: Series}. Another question
    needs another `key`."""
    step = max(1, -(-SIGNAL_SECONDS // max(1, points)))

    def read(cockpit: Cockpit) -> dict[str, Any]:
        end = now()
        return {
            name: cockpit.environments.series(environment, name, start=end - step * points, end=end, points=points)
            for name in names
        }

    return Query(f"{key}:{environment}", read, every=0.9, holds=step)


def images(model: str) -> Query:
    return Query(f"images:{model}", lambda cockpit: tuple(cockpit.containers.images(model)), every=1.0)


def usage(environment: str, containers: tuple[str, ...], now: Callable[[], float]) -> Query:
    """What each container used in the last two minutes, as {container: {signal: Series}}."""

    def read(cockpit: Cockpit) -> dict[str, dict[str, Any]]:
        end = now()
        return cockpit.containers.usage(
            environment, containers, start=end - USAGE_SECONDS, end=end, points=USAGE_POINTS
        )

    step = USAGE_SECONDS / USAGE_POINTS
    return Query(f"usage:{environment}", read, every=step - 0.1, holds=step)
