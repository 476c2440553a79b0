"""Cron schedules, in UTC. Any number of times missed while the agent was not running is made up for by one run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ..domain.project import Pipeline, Project
from ..domain.runs import Trigger
from ..errors import PodiumError
from ..journal import Journal

WHO = "podium watch"


def next_time(line: str, after: float) -> float:
    """Returns the first time (seconds since the epoch) after `after` that the cron line matches."""
    from cronsim import CronSim

    return next(CronSim(line, datetime.fromtimestamp(after, UTC))).timestamp()


def last(journal: Journal, pipeline: Pipeline, now: float) -> float:
    """Returns when the pipeline's schedule was last handled; a new or changed schedule counts from now."""
    kept = journal.values.get(_key(pipeline)) or ""
    at, _, line = kept.partition(" ")
    if line != pipeline.on.schedule:
        _deal_with(journal, pipeline, now)
        return now
    return float(at)


def due(project: Project, journal: Journal, now: float) -> list[Pipeline]:
    scheduled = [pipeline for pipeline in project.pipelines.values() if pipeline.on.schedule]
    for pipeline in project.pipelines.values():
        # One that is taken out for a while has missed nothing when it is put back.
        if not pipeline.on.schedule and journal.values.get(_key(pipeline)):
            journal.values.set(_key(pipeline), "")
    return [pipeline for pipeline in scheduled if next_time(pipeline.on.schedule, last(journal, pipeline, now)) <= now]


def start(project: Project, journal: Journal, pipeline: Pipeline, now: float, say: Callable[[str], None]) -> int | None:
    """Starts the scheduled run; returns its id. While another run of the pipeline is running this time is skipped,
    and `say` reports it."""
    from ..engine.submit import submit_pipeline

    _deal_with(journal, pipeline, now)
    if any(not run.is_operation and run.name == pipeline.name for run in journal.runs.active()):
        say(f"schedule of {pipeline.name}: skipped, because a run is still running")
        return None
    try:
        run = submit_pipeline(
            project, journal, pipeline.name, trigger=Trigger.SCHEDULE, who=WHO, why=f"schedule {pipeline.on.schedule}"
        )
    except PodiumError as error:
        say(f"schedule of {pipeline.name}: {error.message}")
        return None
    say(f"schedule of {pipeline.name}: run {run.id}")
    return run.id


def _deal_with(journal: Journal, pipeline: Pipeline, now: float) -> None:
    journal.values.set(_key(pipeline), f"{now} {pipeline.on.schedule}")


def _key(pipeline: Pipeline) -> str:
    return f"schedule:{pipeline.name}"
