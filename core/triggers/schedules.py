"""Cron lines, in UTC. A time that passed while the agent was away is made up for once, whatever the number of times
missed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ..domain.project import Pipeline, Project
from ..domain.runs import Trigger
from ..errors import PodiumError
from ..journal import Journal

WHO = "podium watch"


def next_time(line: str, after: float) -> float:
    """The first time (seconds since the epoch) after `after` that the cron line names."""
    from cronsim import CronSim

    return next(CronSim(line, datetime.fromtimestamp(after, UTC))).timestamp()


def last(journal: Journal, pipeline: Pipeline, now: float) -> float:
    """When the pipeline's schedule was last dealt with; a schedule seen for the first time, or changed, starts
    counting now."""
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
    """Start the scheduled run, unless one of the pipeline is under way: then this time is passed over and said so."""
    from ..engine.submit import submit_pipeline

    _deal_with(journal, pipeline, now)
    if any(not run.is_operation and run.name == pipeline.name for run in journal.runs.active()):
        say(f"schedule of {pipeline.name}: a run is still under way, this time is passed over")
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
