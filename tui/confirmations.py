"""What is asked before a run is changed, and what is then done. A change of what serves is shown as a plan instead."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.domain.frozen import Frozen
from ..core.domain.hosts import CiApproval, CiRow, Workflow
from ..core.domain.monitoring import AlertStatus, LoopEntry, LoopState
from ..core.domain.runs import Run
from ..core.domain.scm import CommitRow
from ..core.errors import PodiumError
from .context import Context

if TYPE_CHECKING:
    from ..core.cockpit import Cockpit
    from ..core.cockpit.ci import Ci


T = TypeVar("T")


class Confirmation(Frozen):
    """A question, and what is done after a yes. A run that comes of it is shown."""

    question: str
    lines: tuple[str, ...]
    yes: str
    """The answer that does it."""
    no: str
    what: str
    """What is being done, for the footer while it lasts."""
    work: Callable[[Cockpit, str], Any]
    """Called in the pool with the façade and the reason that was given."""
    command: str = ""
    """The same from a shell."""
    said: str = ""
    """What the footer says when it is done."""
    needs_reason: bool = False


def _run(context: Context) -> Run:
    run = context.find(Run)
    assert run is not None
    return run


def _each(things: Sequence[T], act: Callable[[T], object], name: Callable[[T], str]) -> None:
    """Does something to each; raises one error that says of which it failed, when all were tried."""
    failed: list[str] = []
    for each in things:
        try:
            act(each)
        except PodiumError as error:
            failed.append(f"{name(each)}: {error.message}")
    if failed:
        raise PodiumError(f"{len(things) - len(failed)} of {len(things)} done; {'; '.join(failed)}")


def _cancel_several(runs: Sequence[Run]) -> Confirmation:
    chosen = [run for run in runs if not run.why_not_cancel()]
    left = [f"Left out: {run.why_not_cancel()}." for run in runs if run.why_not_cancel()]
    return Confirmation(
        f"Cancel {len(chosen)} runs?" if len(chosen) > 1 else f"Cancel run {chosen[0].id}?",
        (
            *(f"run {run.id}, {run.title}, {run.state}" for run in chosen),
            *left,
            "What their steps have finished is kept; U resumes each later.",
        ),
        "Cancel them",
        "Let them run",
        f"cancel {len(chosen)} runs",
        lambda cockpit, why: _each(
            chosen, lambda run: cockpit.runs.cancel(run.id, why=why), lambda run: f"run {run.id}"
        ),
        " && ".join(f"podium cancel {run.id}" for run in chosen),
        f"{len(chosen)} runs were asked to stop",
    )


def cancel(context: Context) -> Confirmation:
    if len(context.all(Run)) > 1:
        return _cancel_several(context.all(Run))
    run = context.all(Run)[0]
    return Confirmation(
        f"Cancel run {run.id}, {run.title}?",
        ("What its steps have finished is kept; U resumes it later.",),
        "Cancel the run",
        "Let it run",
        f"cancel run {run.id}",
        lambda cockpit, why: cockpit.runs.cancel(run.id, why=why),
        f"podium cancel {run.id}",
        f"run {run.id} was asked to stop",
    )


def again(context: Context) -> Confirmation:
    run = _run(context)
    flags = "".join(f" -p {shlex.quote(f'{name}={value}')}" for name, value in run.params.items())
    return Confirmation(
        f"Run {run.name} again?",
        (
            "With the working tree as it is now; steps whose inputs did not change come from the cache.",
            *(f"{name} = {value}" for name, value in run.params.items()),
        ),
        "Run again",
        "Do not",
        f"run {run.name}",
        lambda cockpit, why: cockpit.runs.start(
            run.name, params=dict(run.params), jobs=run.jobs, why=why or f"run {run.id} again"
        ),
        f"podium run {shlex.quote(run.name)}{flags}",
    )


def run_commit(row: CommitRow, pipeline: str) -> Confirmation:
    commit = row.commit
    held = [f"v{each.version} of it is quarantined: {each.quarantined}" for each in row.versions if each.quarantined]
    before = (f"Run {row.run.id} of {row.run.name} ran it: {row.run.state}.",) if row.run is not None else ()
    return Confirmation(
        f"Run {pipeline} on commit {commit.short}?",
        (
            f"{commit.subject} ({commit.author})",
            "In a worktree of that commit, by the podium.yaml that it has; your working tree stays as it is.",
            *before,
            *held,
        ),
        "Run the commit",
        "Do not",
        f"run {pipeline} on {commit.short}",
        lambda cockpit, why: cockpit.runs.start(pipeline, commit=commit.sha, why=why),
        f"podium run {shlex.quote(pipeline)} --commit {commit.short}",
    )


def _in_repo(row: CiRow) -> str:
    """Returns the option that names the repository of a CI run, where that is not the project's own."""
    return "" if row.host.endswith(f"/{row.run.repo}") else f" --repo {shlex.quote(row.run.repo)}"


def ci_rerun(row: CiRow) -> Confirmation:
    run = row.run
    held = [
        f"v{each.version} of its commit is quarantined: {each.quarantined}" for each in row.versions if each.quarantined
    ]
    return Confirmation(
        f"Run again what failed in {run.name} {run.id}?",
        (f"{run.title} ({run.branch}, {run.sha[:9]})", f"On {row.host}; what succeeded is not run again.", *held),
        "Run again",
        "Do not",
        f"re-run CI run {run.id}",
        lambda cockpit, why: _asked(cockpit, row.project, lambda ci: ci.rerun(run.id, why=why, repo=run.repo)),
        f"podium ci rerun {run.id}{_in_repo(row)}{in_project(row)}",
        f"CI run {run.id} runs again",
    )


def ci_cancel(row: CiRow) -> Confirmation:
    run = row.run
    return Confirmation(
        f"Cancel CI run {run.id}, {run.name}?",
        (f"{run.title} ({run.branch}, {run.sha[:9]})", f"On {row.host}."),
        "Cancel the CI run",
        "Let it run",
        f"cancel CI run {run.id}",
        lambda cockpit, why: _asked(cockpit, row.project, lambda ci: ci.cancel(run.id, why=why, repo=run.repo)),
        f"podium ci cancel {run.id}{_in_repo(row)}{in_project(row)}",
        f"CI run {run.id} was asked to stop",
    )


def ci_approve(row: CiRow, approval: CiApproval) -> Confirmation:
    run, name = row.run, approval.environment
    held = [
        f"v{each.version} of its commit is quarantined: {each.quarantined}" for each in row.versions if each.quarantined
    ]
    return Confirmation(
        f"Let CI run {run.id} go on to {name}?",
        (f"{run.name}: {run.title} ({run.branch}, {run.sha[:9]})", f"As your account on {row.host}.", *held),
        f"Approve {name}",
        "Do not",
        f"approve {name}",
        lambda cockpit, why: _asked(cockpit, row.project, lambda ci: ci.approve(run.id, name, why=why, repo=run.repo)),
        f"podium ci approve {run.id} {shlex.quote(name)}{_in_repo(row)}{in_project(row)}",
        f"CI run {run.id} goes on to {name}",
    )


def ci_start(workflow: Workflow, inputs: Mapping[str, str], project: str = "") -> Confirmation:
    flags = "".join(f" -p {shlex.quote(f'{name}={value}')}" for name, value in inputs.items())
    return Confirmation(
        f"Start the workflow {workflow.name}?",
        (
            f"At the branch that releases come from{f', in {project}' if project else ''}.",
            *(f"{name} = {value}" for name, value in inputs.items()),
        ),
        "Start it",
        "Do not",
        f"start {workflow.name}",
        lambda cockpit, why: _asked(cockpit, project, lambda ci: ci.start(workflow.id, inputs=inputs, why=why)),
        f"podium ci start {shlex.quote(workflow.name)}{flags}{f' --project {shlex.quote(project)}' if project else ''}",
        f"{workflow.name} was started",
    )


def _asked(cockpit: Cockpit, project: str, act: Callable[[Ci], object]) -> None:
    """Asks the host for something, and then how things stand; that may fail, for the agent asks again."""
    ci = cockpit.inbox.of(project)
    act(ci)
    with suppress(PodiumError):
        ci.refresh()


def in_project(row: CiRow) -> str:
    """Returns the words of a command that name the project of a CI run; none where there is one project."""
    return f" --project {shlex.quote(row.project)}" if row.project else ""


def acknowledge(alert: AlertStatus) -> Confirmation:
    return Confirmation(
        f"Say that you know of {alert.name}?",
        (alert.message, "Nobody is told of it again until it is over. The alert goes on."),
        "I know of it",
        "Not yet",
        f"acknowledge {alert.name}",
        lambda cockpit, why: cockpit.alerts.acknowledge(alert.name, why=why),
        f"podium alerts ack {shlex.quote(alert.name)}",
        f"{alert.name} is known to you",
        needs_reason=True,
    )


def acknowledge_several(alerts: Sequence[AlertStatus]) -> Confirmation:
    """Asks before it is said that a person knows of several alerts; those that do not fire, or are known, are left."""
    chosen = [each for each in alerts if each.firing and not each.acknowledged]
    left = [f"Left out: {each.name}." for each in alerts if each not in chosen]
    return Confirmation(
        f"Say that you know of {len(chosen)} alerts?",
        (
            *(f"{each.name}: {each.message}" for each in chosen),
            *left,
            "Nobody is told of them again until they are over. The alerts go on.",
        ),
        "I know of them",
        "Not yet",
        f"acknowledge {len(chosen)} alerts",
        lambda cockpit, why: _each(
            chosen, lambda each: cockpit.alerts.acknowledge(each.name, why=why), lambda each: each.name
        ),
        " && ".join(f"podium alerts ack {shlex.quote(each.name)}" for each in chosen),
        f"{len(chosen)} alerts are known to you",
        needs_reason=True,
    )


def silence_several(alerts: Sequence[AlertStatus], length: str, seconds: float) -> Confirmation:
    """Asks before several alerts are silenced for so many seconds, which were written as `length`."""
    chosen = [each for each in alerts if not each.silenced]
    return Confirmation(
        f"Silence {len(chosen)} alerts for {length}?",
        (*(each.name for each in chosen), "Nobody is told of them meanwhile. The alerts themselves go on."),
        "Silence them",
        "Do not",
        f"silence {len(chosen)} alerts",
        lambda cockpit, why: _each(
            chosen, lambda each: cockpit.alerts.silence(each.name, seconds=seconds, why=why), lambda each: each.name
        ),
        " && ".join(f"podium alerts silence {shlex.quote(each.name)} --for {length}" for each in chosen),
        f"{len(chosen)} alerts are silent for {length}",
        needs_reason=True,
    )


def silence(alert: AlertStatus, length: str, seconds: float) -> Confirmation:
    """Asks before an alert is silenced for so many seconds, which were written as `length`."""
    return Confirmation(
        f"Silence {alert.name} for {length}?",
        ("Nobody is told of it meanwhile. The alert itself goes on.",),
        "Silence it",
        "Do not",
        f"silence {alert.name}",
        lambda cockpit, why: cockpit.alerts.silence(alert.name, seconds=seconds, why=why),
        f"podium alerts silence {shlex.quote(alert.name)} --for {length}",
        f"{alert.name} is silent for {length}",
        needs_reason=True,
    )


def loop_approve(entry: LoopEntry) -> Confirmation:
    held = entry.state is LoopState.REFUSED
    return Confirmation(
        f"Let {entry.pipeline} run for {entry.alert}?",
        (f"It is {entry.state}: {entry.why}" if entry.why else f"It is {entry.state}.", f"Mode: {entry.mode}."),
        "Let it run",
        "Not now",
        f"start {entry.pipeline}",
        lambda cockpit, why: cockpit.feedback.approve(entry.id, why=why),
        f"podium feedback approve {entry.id}",
        f"{entry.pipeline} is started by the agent",
        needs_reason=held,
    )
