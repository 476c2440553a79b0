"""Cron schedules, in UTC. Any number of times missed while the agent was not running is made up for by one run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ..clock import elapsed
from ..domain.project import Pipeline, Project
from ..domain.runs import RunState, Trigger
from ..domain.watching import ScheduleStatus
from ..errors import PodiumError
from ..journal import Journal

WHO = "podium watch"


def next_time(line: str, after: float) -> float:
    """Returns the first time (seconds since the epoch) after `after` that the cron line matches."""
    from cronsim import CronSim

    return next(CronSim(line, datetime.fromtimestamp(after, UTC))).timestamp()


def last(journal: Journal, pipeline: Pipeline, now: float) -> float:
    """Returns when the pipeline's schedule was last handled. A new or changed schedule counts from now, and so does one
    that was handled while the clock was ahead: it would be silent until that time comes."""
    kept = journal.values.get(_key(pipeline)) or ""
    at, _, line = kept.partition(" ")
    if line != pipeline.on.schedule or elapsed(float(at), now) == math.inf:
        _deal_with(journal, pipeline, now)
        return now
    return float(at)


def due(project: Project, journal: Journal, now: float) -> list[Pipeline]:
    scheduled = [pipeline for pipeline in project.pipelines.values() if pipeline.on.schedule]
    journal.agent.forget("schedule of ", {trouble_of(pipeline) for pipeline in scheduled})
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
        journal.audit.add(WHO, "schedule failed", pipeline.name, error.message)
        journal.agent.note(trouble_of(pipeline), f"no run was started: {error.message}", lasting=True)
        return None
    journal.agent.over(trouble_of(pipeline))
    say(f"schedule of {pipeline.name}: run {run.id}")
    return run.id


def trouble_of(pipeline: Pipeline) -> str:
    """Returns under which name it is noted that the schedule could not start its run."""
    return f"schedule of {pipeline.name}"


def statuses(project: Project, journal: Journal, now: float, *, broken: bool = False) -> list[ScheduleStatus]:
    """Returns every schedule, the next one first; writes nothing. `broken`: podium.yaml cannot be used now."""
    agent = journal.agent.status()
    troubles = {each.subject: each.words for each in agent.troubles}
    held = [
        *(["the agent is not running: `podium watch --daemon` starts it"] if not agent.alive else []),
        *(["podium.yaml cannot be used: `podium validate`"] if broken else []),
    ]
    found = [
        ScheduleStatus(
            pipeline.name,
            pipeline.on.schedule,
            next_time(pipeline.on.schedule, now),
            _missed(journal, pipeline, now),
            journal.runs.newest(pipeline.name, Trigger.SCHEDULE),
            (
                *held,
                *_busy(journal, pipeline),
                *([troubles[name]] if (name := trouble_of(pipeline)) in troubles else []),
            ),
        )
        for pipeline in project.pipelines.values()
        if pipeline.on.schedule
    ]
    return sorted(found, key=lambda each: each.next)


def _missed(journal: Journal, pipeline: Pipeline, now: float) -> float | None:
    """Returns the first time that has come and was not handled; a schedule that no agent has seen has missed none."""
    at, _, line = (journal.values.get(_key(pipeline)) or "").partition(" ")
    if line != pipeline.on.schedule or elapsed(float(at), now) == math.inf:
        return None
    first = next_time(line, float(at))
    return first if first <= now else None


def _busy(journal: Journal, pipeline: Pipeline) -> Sequence[str]:
    """Returns the runs during which a time of the schedule is skipped, in words."""
    does = {RunState.WAITING: "waits for approval", RunState.QUEUED: "is queued"}
    return [
        f"run {run.id} {does.get(run.state, 'is still running')}: a time that comes meanwhile is skipped"
        for run in journal.runs.active()
        if not run.is_operation and run.name == pipeline.name
    ]


def _deal_with(journal: Journal, pipeline: Pipeline, now: float) -> None:
    journal.values.set(_key(pipeline), f"{now} {pipeline.on.schedule}")


def _key(pipeline: Pipeline) -> str:
    return f"schedule:{pipeline.name}"
