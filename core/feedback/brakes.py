"""What keeps an alert from starting a pipeline. Each brake is a function that returns why it holds, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..alerts.standing import silencing
from ..domain.frozen import Frozen
from ..domain.monitoring import LoopEntry, LoopState, MonitorKind, Standing
from ..domain.project import Pipeline, Project
from ..domain.text.format import duration
from ..errors import NotFound, PodiumError
from ..journal import Journal

_DAY = 86_400.0
# Entries of a pipeline that are looked at.
_LOOKED_AT = 200


class Case(Frozen):
    """One firing of an alert, and a pipeline that it may start."""

    project: Project
    journal: Journal
    pipeline: Pipeline
    standing: Standing
    now: float
    """Seconds since the epoch."""
    earlier: tuple[LoopEntry, ...]
    """What the loop did with the pipeline before this firing, newest first."""


def case(project: Project, journal: Journal, pipeline: Pipeline, standing: Standing, now: float) -> Case:
    """Returns a firing alert and a pipeline with what the loop did before."""
    earlier = journal.loops.recent(_LOOKED_AT, pipeline=pipeline.name)
    others = tuple(each for each in earlier if each.episode != standing.status.episode)
    return Case(project, journal, pipeline, standing, now, others)


def held(found: Case) -> str:
    """Returns why the pipeline is not started now, in words; empty if nothing holds it."""
    return "; ".join(filter(None, (brake(found) for brake in BRAKES)))


def _bad_data(found: Case) -> str:
    """Bad data must not be learned: not of this alert, nor while another one says so of the same environment."""
    mine = found.standing.status
    bad = [
        each.status.name
        for each in found.journal.alert_states.all().values()
        if each.status.firing and each.status.environment == mine.environment and _of_data(found, each.status.monitor)
    ]
    return f"the data is in doubt ({', '.join(bad)}): bad data must not be learned" if bad else ""


def _of_data(found: Case, monitor: str) -> bool:
    measured = found.journal.measurements.latest(monitor)
    return measured is not None and measured.kind is MonitorKind.DATA


def _silenced(found: Case) -> str:
    status = found.standing.status
    silence = silencing(status, found.journal.silences.active(found.now))
    return f"the alert is silenced by {silence.who}: {silence.why}" if silence is not None else ""


def _running(found: Case) -> str:
    for run in found.journal.runs.active():
        if not run.is_operation and run.name == found.pipeline.name:
            return f"run {run.id} of it {'waits for approval' if run.state == 'waiting' else 'is not over'}"
    return ""


def _started(found: Case) -> Iterable[LoopEntry]:
    return (each for each in found.earlier if each.run is not None)


def _cooldown(found: Case) -> str:
    wait = found.pipeline.on.alert.cooldown
    for each in _started(found):
        # One from the future was started by a clock that has been put back since: it holds nothing for longer.
        if 0 <= found.now - each.at < wait:
            return f"it was started {duration(found.now - each.at)} ago, and its cooldown is {duration(wait)}"
    return ""


def _at_most(found: Case) -> str:
    most = found.pipeline.on.alert.at_most
    today = [each for each in _started(found) if 0 <= found.now - each.at < _DAY]
    return f"it was started {len(today)} times in a day, and {most} is the most" if len(today) >= most else ""


def _did_not_help(found: Case) -> str:
    """Another retraining of the same would not help either, until one did or a person says that it might."""
    judged = (LoopState.HELPED, LoopState.DID_NOT_HELP)
    last = next((each for each in found.earlier if each.state in judged), None)
    if last is None or last.state is LoopState.HELPED:
        return ""
    return f"the last retraining, of version {last.version}, did not help: {last.why}"


def _quarantined(found: Case) -> str:
    from ..scm import Repository

    if not found.journal.quarantine.all():  # most of the time; git is not asked for that
        return ""
    try:
        repository = Repository.find(found.project.home)
        commit = repository.head().sha if repository is not None else ""
    except NotFound:  # a repository without a commit
        return ""
    except PodiumError as error:
        return f"nobody knows whether its commit is quarantined: {error.message}"
    if not commit:
        return ""
    entry = found.journal.quarantine.of_commit(found.project.models_of(found.pipeline), commit)
    return f"commit {commit[:9]} is quarantined ({entry.why or 'no reason given'})" if entry is not None else ""


Brake = Callable[[Case], str]
BRAKES: tuple[Brake, ...] = (_bad_data, _silenced, _running, _cooldown, _at_most, _did_not_help, _quarantined)


def cases(project: Project, journal: Journal, now: float) -> Iterator[Case]:
    """Yields every alert that fires with each pipeline that it starts."""
    wanting = [pipeline for pipeline in project.pipelines.values() if pipeline.on.alert.names]
    if not wanting:
        return
    for name, standing in journal.alert_states.all().items():
        if standing.status.firing and standing.status.episode and name in project.alerts:
            for pipeline in wanting:
                if name in pipeline.on.alert.names:
                    yield case(project, journal, pipeline, standing, now)
