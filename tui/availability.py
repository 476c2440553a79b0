"""Why an action cannot be done now, in words; empty where it can. What depends on a thing itself is said by the thing
(`why_not_…` in `core/domain/`), so that a command refuses in the same words."""

from __future__ import annotations

from collections.abc import Callable

from ..core.domain.containers import Container
from ..core.domain.delivery import CanaryRequest, EnvironmentStatus
from ..core.domain.hosts import CiRow, HostFeature, HostLimits
from ..core.domain.infra.plan import InfraStatus
from ..core.domain.models import Version
from ..core.domain.monitoring import AlertStatus, LoopEntry, LoopState, MonitorStatus
from ..core.domain.runs import Run, RunDetail, Step
from ..core.domain.scm import CommitRow
from .context import Context

NO_ALERT = "no alert is under the cursor"
NO_CI_RUN = "no CI run is under the cursor"
NO_COMMIT = "no commit is under the cursor"
NO_CONTAINER = "no container is under the cursor"
NO_ENVIRONMENT = "no environment is under the cursor"
NO_INFRA = "no infrastructure is under the cursor"
NO_PROJECT = "podium.yaml cannot be used; see Overview"
NO_RUN = "no run is under the cursor"
NO_VERSION = "no version is under the cursor"


def _in(*panes: str, otherwise: str) -> Callable[[Context], str]:
    return lambda context: "" if context.pane in panes else otherwise


in_list = _in("table", "graph", otherwise="only in a list")
in_table = _in("table", otherwise="only in a list with columns")
in_log = _in("log", otherwise="only in a log; press l to go there")
wrappable = _in("log", "text", otherwise="only in a log or in details; tab goes there")
searchable = _in("table", "graph", "log", "text", otherwise="there is nothing to search here")
filterable = _in("table", "graph", "log", otherwise="only in a list or a log; / searches here")
copyable = _in("table", "graph", "log", "text", "chart", otherwise="there is nothing to copy here")


def anything(context: Context) -> str:
    """Refuses nothing: for a screen where an action has no condition, unlike elsewhere."""
    return ""


def openable(context: Context) -> str:
    return "" if context.rows or context.pane == "log" else "nothing is under the cursor"


def off_the_agent(context: Context) -> str:
    return "it is on screen" if context.screen == "agent" else ""


def off_the_board(context: Context) -> str:
    return "it is on screen" if context.screen == "board" else ""


def off_the_projects(context: Context) -> str:
    return "it is on screen" if context.screen == "projects" else ""


def project(context: Context) -> str:
    return "" if context.project else NO_PROJECT


def run(context: Context) -> str:
    return "" if context.find(Run) is not None else NO_RUN


def explained(context: Context) -> str:
    known = any(context.find(kind) is not None for kind in (Run, Version, EnvironmentStatus))
    return "" if known else "nothing is under the cursor that there is a reason for"


def version(context: Context) -> str:
    return "" if context.find(Version) is not None else NO_VERSION


def container(context: Context) -> str:
    return "" if context.find(Container) is not None else NO_CONTAINER


def comparable(context: Context) -> str:
    return "" if context.marked >= 2 else f"mark two versions or more with space first ({context.marked} marked)"


def comparable_runs(context: Context) -> str:
    return "" if context.marked >= 2 else f"mark two runs or more with space first ({context.marked} marked)"


def two_runs(context: Context) -> str:
    return "" if context.marked == 2 else f"mark two runs with space first ({context.marked} marked)"


def matrix(context: Context) -> str:
    found = context.find(RunDetail)
    if found is None:
        return NO_RUN
    return "" if any("[" in step.name for step in found.steps) else f"run {found.run.id} has no matrix"


def two_versions(context: Context) -> str:
    return "" if context.marked == 2 else f"mark two versions with space first ({context.marked} marked)"


# Commits


def commit(context: Context) -> str:
    return "" if context.find(CommitRow) is not None else NO_COMMIT


def runnable_commit(context: Context) -> str:
    return commit(context) or ("" if context.project else NO_PROJECT)


# CI runs of the Git host


def ci_run(context: Context) -> str:
    return "" if context.find(CiRow) is not None else NO_CI_RUN


def _ci(feature: HostFeature, why_not: Callable[[CiRow], str]) -> Callable[[Context], str]:
    """What the host cannot do comes first: it is so for every run."""

    def refuse(context: Context) -> str:
        row, limits = context.find(CiRow), context.find(HostLimits) or HostLimits()
        return NO_CI_RUN if row is None else limits.why_not(feature) or why_not(row)

    return refuse


ci_rerun = _ci(HostFeature.RERUN_FAILED, CiRow.why_not_rerun)
ci_cancel = _ci(HostFeature.CANCEL, CiRow.why_not_cancel)
ci_approve = _ci(HostFeature.APPROVE, CiRow.why_not_approve)


def ci_start(context: Context) -> str:
    limits = context.find(HostLimits) or HostLimits()
    return limits.why_not(HostFeature.START) if limits.configured else "podium.yaml names no Git host"


# Monitors, alerts and the feedback loop


def monitor(context: Context) -> str:
    return "" if context.find(MonitorStatus) is not None else "no monitor is under the cursor"


def listed_alert(context: Context) -> str:
    return "" if context.find(AlertStatus) is not None else NO_ALERT


def acknowledge(context: Context) -> str:
    entry, alert = context.find(LoopEntry), context.find(AlertStatus)
    if entry is not None:
        waits = entry.state in (LoopState.PROPOSED, LoopState.REFUSED)
        return "" if waits else f"it is {entry.state}: nothing waits for a person"
    if alert is None:
        return NO_ALERT
    if len(context.all(AlertStatus)) > 1:
        some = any(each.firing and not each.acknowledged for each in context.all(AlertStatus))
        return "" if some else "none that is marked fires without somebody knowing of it"
    return f"{alert.name} does not fire" if not alert.firing else "somebody knows of it" if alert.acknowledged else ""


def silence(context: Context) -> str:
    alerts = context.all(AlertStatus)
    return NO_ALERT if not alerts else "it is silenced already" if all(each.silenced for each in alerts) else ""


# Infrastructure


def infra(context: Context) -> str:
    return "" if context.find(InfraStatus) is not None else NO_INFRA


def infra_plan(context: Context) -> str:
    found = context.find(InfraStatus)
    return found.why_not_apply() if found is not None else NO_INFRA


def infra_approve(context: Context) -> str:
    found = context.find(InfraStatus)
    return found.why_not_approve() if found is not None else NO_INFRA


# Runs


def cancel(context: Context) -> str:
    why = [run.why_not_cancel() for run in context.all(Run)]
    return NO_RUN if not why else "" if not all(why) else why[0] if len(why) == 1 else "all that are marked are over"


def again(context: Context) -> str:
    found = context.find(Run)
    if found is None:
        return NO_RUN
    return found.why_not_again() or ("" if context.project else NO_PROJECT)


def resume(context: Context) -> str:
    found = context.find(Run)
    return found.why_not_resume() if found is not None else NO_RUN


def approve(context: Context) -> str:
    step, found = context.find(Step), context.find(Run)
    if step is not None and not step.why_not_approve():
        return ""
    return found.why_not_approve() if found is not None else NO_RUN


def step_shell(context: Context) -> str:
    step = context.find(Step)
    return "no step is under the cursor; enter goes to the steps of a run" if step is None else step.why_no_shell()


# Environments


def environment(context: Context) -> str:
    return "" if context.find(EnvironmentStatus) is not None else NO_ENVIRONMENT


def canary(context: Context) -> str:
    status = context.find(EnvironmentStatus)
    return status.why_no_canary() if status is not None else NO_ENVIRONMENT


def pause(context: Context) -> str:
    return canary(context) or _request(context, CanaryRequest.PAUSE)


def resume_canary(context: Context) -> str:
    return canary(context) or _request(context, CanaryRequest.RESUME)


def _request(context: Context, request: CanaryRequest) -> str:
    status = context.find(EnvironmentStatus)
    return status.canary.why_not(request) if status is not None and status.canary is not None else ""


def promote(context: Context) -> str:
    status = context.find(EnvironmentStatus)
    if not context.project:
        return NO_PROJECT
    return _no_canary(status, "F gives it all traffic, X") or ("" if status is not None else NO_ENVIRONMENT)


def promote_version(context: Context) -> str:
    found = context.find(Version)
    if not context.project:
        return NO_PROJECT
    if found is not None and context.models and found.model not in context.models:
        return f"{found.model} is another model: the environments of podium.yaml serve {', '.join(context.models)}"
    return "" if found is not None else NO_VERSION


def rollback(context: Context) -> str:
    status = context.find(EnvironmentStatus)
    if not context.project:
        return NO_PROJECT
    if status is None:
        return NO_ENVIRONMENT
    return _no_canary(status, "X") or status.why_not_rollback()


def _no_canary(status: EnvironmentStatus | None, keys: str) -> str:
    if status is None or status.canary is None:
        return ""
    return f"a canary is running in {status.name}; on Environments {keys} puts everything back"


def stop(context: Context) -> str:
    status = context.find(EnvironmentStatus)
    if not context.project:
        return NO_PROJECT
    return _no_canary(status, "X") or (status.why_not_stop() if status is not None else NO_ENVIRONMENT)


def start(context: Context) -> str:
    status = context.find(EnvironmentStatus)
    if not context.project:
        return NO_PROJECT
    return status.why_not_start() if status is not None else NO_ENVIRONMENT


def repair(context: Context) -> str:
    status = context.find(EnvironmentStatus)
    if not context.project:
        return NO_PROJECT
    return status.why_not_repair() if status is not None else NO_ENVIRONMENT


# Containers


def restart(context: Context) -> str:
    found, status = context.find(Container), context.find(EnvironmentStatus)
    if found is None:
        return NO_CONTAINER
    return found.why_not_restart() or (status.why_not_change() if status is not None else "")


def container_shell(context: Context) -> str:
    found = context.find(Container)
    return found.why_no_shell() if found is not None else NO_CONTAINER
