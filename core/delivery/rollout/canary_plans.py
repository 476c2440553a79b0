"""What a request to the running canary will do: pause, resume, all traffic, abort."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from ...domain.delivery import CanaryRequest, CanaryState, CanaryStatus, no_canary
from ...domain.frozen import Frozen
from ...domain.plans import Change, Plan
from ...domain.project import Environment, Project
from ...domain.text.format import when
from ...domain.verdicts import Verdict
from ...errors import Refused
from ...journal import Journal
from . import canary


class _RequestWording(Frozen):
    """How one request is worded. `title` has the environment as `{0}` and the canary's version as `{1}`, `command`
    the environment as `{0}`."""

    action: str
    title: str
    command: str
    changes: Callable[[CanaryStatus], tuple[Change, ...]]


def plan_pause(project: Project, journal: Journal, target: str) -> Plan:
    return plan(project, journal, target, CanaryRequest.PAUSE)


def plan_resume(project: Project, journal: Journal, target: str) -> Plan:
    return plan(project, journal, target, CanaryRequest.RESUME)


def plan_full(project: Project, journal: Journal, target: str) -> Plan:
    return plan(project, journal, target, CanaryRequest.FULL)


def plan_abort(project: Project, journal: Journal, target: str) -> Plan:
    return plan(project, journal, target, CanaryRequest.ABORT)


def plan(project: Project, journal: Journal, target: str, request: CanaryRequest) -> Plan:
    """Returns what the request would do. NotFound without the environment, Refused without a canary in it."""
    environment = project.environment(target)
    now = canary.status(journal, target)
    if now is None:
        raise Refused(no_canary(target), hint=f"podium status -e {target} says what is running")
    return planned(environment, now, request)


def planned(environment: Environment, now: CanaryStatus, request: CanaryRequest) -> Plan:
    """Returns the plan for a canary that stands like this."""
    target, kind = environment.name, _KINDS[request]
    # Whoever sends a canary back must not be held up; whoever gives it all traffic unjudged must mean it.
    guarded = request is CanaryRequest.FULL
    return Plan(
        target=target,
        verb=request.value,
        title=kind.title.format(target, f"v{now.version}"),
        action=kind.action,
        command=kind.command.format(shlex.quote(target)),
        changes=kind.changes(now),
        warnings=_warnings(now, request),
        refusal=now.why_not(request),
        hint=f"podium {'promote --full' if now.state is CanaryState.RUNNING else 'resume'} -e {shlex.quote(target)}",
        type_to_confirm=target if guarded and environment.protected else "",
        guarded=guarded,
        kept_in="audit",
    )


def _warnings(now: CanaryStatus, request: CanaryRequest) -> tuple[str, ...]:
    bad = [result for result in now.results if result.verdict is not Verdict.PASS]
    if request in (CanaryRequest.FULL, CanaryRequest.RESUME) and bad:
        return tuple(f"{result.name} is {result.verdict}: {result.message}" for result in bad)
    if request is CanaryRequest.FULL and now.stage < len(now.shares) - 2:
        return (f"the stages after {now.share} % are left out and not analysed",)
    return ()


def _pause(now: CanaryStatus) -> tuple[Change, ...]:
    due = "when a person decides" if now.until is None else f"at {when(now.until, now.until)}"
    here = f"{now.share} %"
    return Change(f"v{now.version} keeps", here, here), Change("next judgement", due, "none until it is resumed")


def _resume(now: CanaryStatus) -> tuple[Change, ...]:
    waits = now.state.waits
    after = now.shares[min(now.stage + 1, len(now.shares) - 1)] if waits else now.share
    return (Change(f"v{now.version} gets", f"{now.share} %", f"{after} %"),)


def _full(now: CanaryStatus) -> tuple[Change, ...]:
    return _moved(now, "100 %", "nothing; kept warm")


def _abort(now: CanaryStatus) -> tuple[Change, ...]:
    return _moved(now, "nothing; it is stopped", "100 %")


def _moved(now: CanaryStatus, new: str, old: str) -> tuple[Change, ...]:
    before = "nothing" if now.from_version is None else f"v{now.from_version}"
    return (
        Change(f"v{now.version} gets", f"{now.share} %", new),
        Change(f"{before} gets", f"{100 - now.share} %", old),
    )


_KINDS = {
    CanaryRequest.PAUSE: _RequestWording("Pause", "Pause the canary of {0}", "podium pause -e {0}", _pause),
    CanaryRequest.RESUME: _RequestWording("Resume", "Resume the canary of {0}", "podium resume -e {0}", _resume),
    CanaryRequest.FULL: _RequestWording(
        "Give all traffic", "Give {1} all traffic of {0}", "podium promote --full -e {0}", _full
    ),
    CanaryRequest.ABORT: _RequestWording("Abort", "Abort the canary of {0}", "podium abort -e {0}", _abort),
}
