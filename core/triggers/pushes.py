"""Pushes to the local repository: which pipelines the newest commit of a branch should start.

The last commit that was dealt with is kept in the journal per pipeline and branch, so nothing is started twice and a
push that came while the agent was away is found when it returns. Several pushes while a run is under way start one
run, of the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..domain.project import Project
from ..domain.runs import Trigger
from ..errors import PodiumError
from ..journal import Journal

WHO = "podium watch"


@dataclass(frozen=True, slots=True)
class Push:
    pipeline: str
    branch: str
    commit: str


def cursor(pipeline: str, branch: str) -> str:
    return f"push:{pipeline}:{branch}"


def watched(project: Project) -> list[tuple[str, str]]:
    """(pipeline, branch) pairs that pushes start."""
    return [(pipeline.name, branch) for pipeline in project.pipelines.values() for branch in pipeline.on.push]


def mark_seen(project: Project, journal: Journal, tips: Mapping[str, str]) -> None:
    """An agent that comes to a project for the first time starts nothing for what is already there."""
    for pipeline, branch in watched(project):
        key = cursor(pipeline, branch)
        if journal.values.get(key) is None:
            journal.values.set(key, tips.get(branch, ""))


def pending(project: Project, journal: Journal, tips: Mapping[str, str]) -> list[Push]:
    """Returns the branches whose tip has not been dealt with. A branch that does not exist has none."""
    pushes: list[Push] = []
    for pipeline, branch in watched(project):
        tip = tips.get(branch)
        if tip and tip != journal.values.get(cursor(pipeline, branch)):
            pushes.append(Push(pipeline, branch, tip))
    return pushes


def start(project: Project, journal: Journal, push: Push, say: Callable[[str], None]) -> int | None:
    """Start the run of one push; its id. None while a run of that pipeline is under way (ask again) or when the
    commit must not run."""
    from ..engine.submit import submit_pipeline

    if any(not run.is_operation and run.name == push.pipeline for run in journal.runs.active()):
        return None
    quarantined = journal.quarantine.find(project.mlflow.model, commit=push.commit)
    run_id: int | None = None
    if quarantined is not None:
        journal.audit.add(WHO, "push skipped", push.commit, "the commit is quarantined")
        say(f"push {push.commit[:9]} to {push.branch}: quarantined ({quarantined.why or 'no reason given'}), not run")
    else:
        try:
            run = submit_pipeline(
                project,
                journal,
                push.pipeline,
                trigger=Trigger.PUSH,
                who=WHO,
                why=f"push to {push.branch}",
                commit=push.commit,
                branch=push.branch,
            )
            run_id = run.id
            say(f"push {push.commit[:9]} to {push.branch}: run {run.id} of {push.pipeline}")
        except PodiumError as error:
            say(f"push {push.commit[:9]} to {push.branch}: {error.message}")
            journal.audit.add(WHO, "push failed", push.commit, error.message)
    journal.values.set(cursor(push.pipeline, push.branch), push.commit)
    return run_id
