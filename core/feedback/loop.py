"""The agent's job: what fires starts its pipelines, and what was started is followed to its end.

A firing of an alert starts a pipeline at most once: the run and the loop's entry of it are one transaction, and there
can be one entry only. A brake that holds is an entry too; while the alert goes on firing it is looked at again, and
lets the pipeline go once it is released.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..domain.delivery import Deployment, DeploymentState, How
from ..domain.monitoring import LoopEntry, LoopState
from ..domain.project import Project
from ..domain.runs import Run, RunState, Trigger
from ..errors import PodiumError, Refused
from ..journal import Journal
from .brakes import Case, case, cases, held
from .look_back import judged

WHO = "podium watch"
Say = Callable[[str], None]
# What has not led to anything yet: a brake may be released, a person may decide.
_OPEN = (LoopState.REFUSED, LoopState.PROPOSED)


def look(project: Project, journal: Journal, now: float, say: Say) -> None:
    """Does what is due; `now` is in seconds since the epoch, and `say` is told each thing once."""
    for found in cases(project, journal, now):
        _begin(found, say)
    for entry in journal.loops.in_state((LoopState.PROPOSED,)):
        _withdraw(journal, entry, now, say)
    for entry in journal.loops.in_state((LoopState.RUNNING,)):
        _follow(project, journal, entry, now, say)
    for entry in journal.loops.in_state((LoopState.DELIVERED,)):
        after = judged(project, journal, entry, now)
        if after != entry:
            _note(journal, after, say)


def mode_of(project: Project, found: Case) -> str:
    """Returns what an alert may do with the pipeline: what podium.yaml says, else `propose` where the alert's
    environment is protected, or one that the pipeline delivers to, and `run`."""
    if found.pipeline.on.alert.mode:
        return found.pipeline.on.alert.mode
    named = {str(step.options.get("environment", "")) for step in found.pipeline.steps.values()}
    touched = named | {found.standing.status.environment}
    protected = any(each.protected for name, each in project.environments.items() if name in touched)
    return "propose" if protected else "run"


def _begin(found: Case, say: Say) -> None:
    """Starts the pipeline, proposes it, or notes what holds it."""
    status = found.standing.status
    entry = found.journal.loops.of(status.episode, found.pipeline.name)
    if entry is not None and entry.state is not LoopState.REFUSED:
        return
    mode = mode_of(found.project, found)
    new = LoopEntry(
        0, status.name, status.environment, found.pipeline.name, status.episode, found.now, LoopState.REFUSED
    )
    entry = replace(entry or new, mode=mode)
    why = held(found)
    if why:
        if why != entry.why:
            _note(found.journal, replace(entry, why=why), say)
    elif mode == "propose":
        _note(found.journal, replace(entry, at=found.now, state=LoopState.PROPOSED, why=""), say)
    else:
        try:
            start(found, entry, who=WHO)
        except PodiumError as error:
            why = f"it cannot be started: {error.message}"
            if why != entry.why:
                _note(found.journal, replace(entry, why=why), say)
            return
        _say(found.journal, found.journal.loops.of(status.episode, found.pipeline.name), say)


def start(found: Case, entry: LoopEntry, *, who: str, why: str = "") -> LoopEntry:
    """Starts the pipeline for an entry that has no run; returns the entry with its run. Raises Refused if it has one by
    now, and what keeps the run from starting."""
    from ..engine.submit import submit_pipeline

    journal, status = found.journal, found.standing.status

    def along(run: Run) -> None:
        now = journal.loops.of(entry.episode, entry.pipeline)
        if now is not None and now.state not in _OPEN:
            raise Refused(f"{entry.pipeline} was started for this alert already", hint="`podium feedback` shows it")
        started = replace(entry, at=found.now, state=LoopState.RUNNING, run=run.id, why=why)
        journal.loops.put(replace(started, id=now.id if now is not None else 0))
        journal.loops.keep_cause(run.id, entry.mode, found.standing.values)

    words = (
        f"alert {status.name} on {status.environment}: {found.standing.values.get('shown', '')} ({status.threshold})"
    )
    submit_pipeline(
        found.project,
        journal,
        entry.pipeline,
        trigger=Trigger.ALERT,
        who=who,
        why="; ".join(filter(None, (words, why))),
        alert=found.standing.values,
        along=along,
    )
    return journal.loops.of(entry.episode, entry.pipeline) or entry


def _withdraw(journal: Journal, entry: LoopEntry, now: float, say: Say) -> None:
    """Ends a proposal whose alert is over."""
    standing = journal.alert_states.get(entry.alert)
    if standing is None or standing.status.episode != entry.episode:
        over = replace(entry, state=LoopState.ENDED, ended=now, why="the alert was over before anybody decided")
        _note(journal, over, say)


def _follow(project: Project, journal: Journal, entry: LoopEntry, now: float, say: Say) -> None:
    """Notes how a run ended, and starts one whose starter was killed before it could."""
    try:
        run = journal.runs.get(entry.run or 0)
    except PodiumError:
        _note(journal, replace(entry, state=LoopState.ENDED, ended=now, why="its run is not kept any more"), say)
        return
    if run.state in (RunState.QUEUED, RunState.INTERRUPTED) and run.started is None and run.worker_pid is None:
        from ..engine.submit import start_again

        start_again(project, journal, run, WHO)
        say(f"feedback: run {run.id} had no worker yet; started")
    elif run.state.finished and run.state is not RunState.INTERRUPTED:
        _note(journal, _ended(journal, entry, run, now), say)


def _ended(journal: Journal, entry: LoopEntry, run: Run, now: float) -> LoopEntry:
    delivered = _delivered(journal, entry)
    if delivered is not None:
        ended = delivered.ended or now
        return replace(entry, state=LoopState.DELIVERED, version=delivered.to_version, ended=ended, why="")
    words = f"run {run.id} {run.state} and delivered nothing to {entry.environment}"
    why = f"{words}: {run.message}" if run.message else words
    return replace(entry, state=LoopState.ENDED, ended=run.ended or now, why=why)


def _delivered(journal: Journal, entry: LoopEntry) -> Deployment | None:
    """Returns the last deployment to the alert's environment that the entry's run made and that succeeded."""
    found = [
        each
        for each in journal.ledger.of_run(entry.run or 0)
        if each.environment == entry.environment
        and each.state is DeploymentState.SUCCEEDED
        and each.how in (How.DEPLOY, How.PROMOTE)
    ]
    return found[-1] if found else None


def _note(journal: Journal, entry: LoopEntry, say: Say) -> None:
    """Stores an entry, and says what became of it."""
    with journal.transaction():
        stored = journal.loops.put(entry)
        journal.audit.add(WHO, f"feedback {stored.state}", stored.pipeline, words(stored))
    _say(journal, stored, say)


def _say(journal: Journal, entry: LoopEntry | None, say: Say) -> None:
    if entry is not None:
        say(f"feedback: {words(entry)}")


_WORDS: Mapping[LoopState, str] = {
    LoopState.REFUSED: "is held",
    LoopState.PROPOSED: "waits for a person",
    LoopState.RUNNING: "was started",
    LoopState.ENDED: "is over",
    LoopState.DELIVERED: "has delivered",
    LoopState.HELPED: "helped",
    LoopState.DID_NOT_HELP: "did not help",
}


def words(entry: LoopEntry) -> str:
    """Returns an entry in words: `release for alert drift on production was started, run 7`."""
    parts = [
        f"{entry.pipeline} for alert {entry.alert} on {entry.environment} {_WORDS[entry.state]}",
        *([f"run {entry.run}"] if entry.run is not None else []),
        *([f"version {entry.version}"] if entry.version is not None else []),
    ]
    return ", ".join(parts) + (f": {entry.why}" if entry.why else "")


def case_of(project: Project, journal: Journal, entry: LoopEntry, now: float) -> Case:
    """Returns the firing that an entry is about. Raises Refused if the alert or the pipeline is not there any more, or
    the alert is over."""
    standing, pipeline = journal.alert_states.get(entry.alert), project.pipelines.get(entry.pipeline)
    if pipeline is None:
        raise Refused(f"podium.yaml has no pipeline {entry.pipeline} any more")
    if standing is None or standing.status.episode != entry.episode:
        raise Refused(f"the alert {entry.alert} is over", hint=f"start it by hand: podium run {entry.pipeline}")
    return case(project, journal, pipeline, standing, now)
