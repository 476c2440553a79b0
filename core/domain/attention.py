"""The rules that decide what needs a person's attention. Every front end shows the same list."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from .containers import EngineSnapshot
from .delivery import CanaryState, Condition, EnvironmentStatus, How
from .frozen import Frozen
from .models import CHALLENGER, CHAMPION, Version
from .monitoring import AlertStatus, LoopEntry
from .runs import Run, RunState
from .text import format as fmt
from .verdicts import VersionVerdict, quarantine_of, taken_back
from .watching import AgentStatus

RECENT_SECONDS = 6 * 3600.0
"""Seconds after which a run that failed is history."""
WATCH_COMMAND = "podium watch --daemon"


class Reason(StrEnum):
    """Why something needs a person. Commands print the names, so names are only ever added."""

    DOWN = "down"  # an environment that should serve does not
    ENGINE = "engine"  # an engine does not answer
    DIFFERENCE = "difference"  # an environment is not what the ledger says
    ALERT = "alert"
    CANARY = "canary"  # a canary is paused, or waits for a decision
    APPROVAL = "approval"
    PROPOSAL = "proposal"  # an alert would start a pipeline
    AGENT = "agent"  # the agent is gone
    TROUBLE = "trouble"  # the agent cannot do something
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CONFIG = "config"  # podium.yaml cannot be used
    REMOVED = "removed"  # an environment serves that podium.yaml has no more
    CHALLENGER = "challenger"  # a version could be promoted


class Need(Frozen):
    """Something that waits for a person."""

    urgency: int
    """0 is the worst; the list is sorted by it."""
    reason: Reason
    subject: str
    """The thing that needs attention: an environment, `run 3`, `v4`, an alert, the agent."""
    words: str
    command: str = ""
    """The command that resolves it; empty if there is no single one."""
    environment: str = ""
    run_id: int | None = None
    version: int | None = None


def needs(
    *,
    runs: Iterable[Run],
    environments: Iterable[EnvironmentStatus],
    alerts: Iterable[AlertStatus],
    proposals: Iterable[LoopEntry] = (),
    agent: AgentStatus | None,
    versions: Iterable[Version],
    verdicts: Mapping[tuple[str, int], Sequence[VersionVerdict]] | None = None,
    now: float,
    snapshots: Iterable[EngineSnapshot] = (),
    problems: Sequence[str] = (),
    removed: Mapping[str, int] | None = None,
) -> list[Need]:
    """Returns everything that needs a person's attention, the most urgent first. `runs` have to be sorted newest
    first; `verdicts` are those about each of the versions, by model and number, the last word
    first. `problems` are those of podium.yaml;
    `removed` counts the replicas of environments that it has no more."""
    runs, environments = list(runs), list(environments)
    found: list[Need] = [*_of_config(problems, removed or {})]
    for status in environments:
        found += _of_environment(status, agent, now)
    found += _of_engines(snapshots)
    found += _of_runs(runs, now)
    found += _of_alerts(alerts, now)
    found += _of_proposals(proposals)
    found += _of_agent(agent, now)
    found += _of_troubles(agent, {need.environment for need in found if need.reason in (Reason.ENGINE, Reason.DOWN)})
    found += _of_versions(versions, verdicts or {}, _under_way(runs, environments), environments)
    return sorted(found, key=lambda need: need.urgency)


def who_heals(agent: AgentStatus | None) -> str:
    """Returns, in words, who brings back what is down."""
    return "the agent brings it back" if agent is not None and agent.alive else f"start the agent ({WATCH_COMMAND})"


def _of_environment(status: EnvironmentStatus, agent: AgentStatus | None, now: float) -> Iterator[Need]:
    name, health = status.name, status.health
    if health.condition is Condition.UNREACHABLE:
        yield Need(0, Reason.ENGINE, name, health.words, environment=name)
    if health.condition is Condition.DOWN:
        watched = agent is not None and agent.alive
        words = f"{health.words}; {who_heals(agent)}"
        yield Need(0, Reason.DOWN, name, words, "" if watched else WATCH_COMMAND, environment=name)
    for difference in status.differences:
        yield Need(1, Reason.DIFFERENCE, name, difference.words, f"podium repair -e {name}", environment=name)
    canary = status.canary
    if canary is not None and canary.state is not CanaryState.RUNNING:
        urgency = 1 if canary.state.waits else 2
        command = f"podium resume -e {name}"
        yield Need(urgency, Reason.CANARY, name, canary.headline(now), command, name, canary.run_id, canary.version)


def _of_config(problems: Sequence[str], removed: Mapping[str, int]) -> Iterator[Need]:
    if problems:
        more = f" (and {fmt.count(len(problems) - 1, 'more problem')})" if len(problems) > 1 else ""
        words = f"{problems[0]}{more}; the last good content stays in force"
        yield Need(0, Reason.CONFIG, "podium.yaml", words, "podium validate")
    for name, number in removed.items():
        words = f"podium.yaml has it no more, and {fmt.count(number, 'replica')} of it still run: nothing heals them"
        yield Need(1, Reason.REMOVED, name, f"{words}; put it back to change it", environment=name)


def _of_engines(snapshots: Iterable[EngineSnapshot]) -> Iterator[Need]:
    for snapshot in snapshots:
        if snapshot.message:
            yield Need(0, Reason.ENGINE, snapshot.environment, snapshot.message, environment=snapshot.environment)


def _of_runs(runs: Iterable[Run], now: float) -> Iterator[Need]:
    """Yields the failed runs. Of each pipeline and operation only the newest run counts."""
    seen: set[tuple[str, str]] = set()
    for run in runs:
        subject = f"run {run.id}"
        if run.state is RunState.WAITING:
            words = f"{run.title} waits for approval"
            yield Need(2, Reason.APPROVAL, subject, words, f"podium approve {run.id}", run_id=run.id)
        newest = (run.kind, run.name) not in seen
        seen.add((run.kind, run.name))
        if not newest or now - run.created >= RECENT_SECONDS:
            continue
        message = f": {run.message}" if run.message else ""
        if run.state is RunState.FAILED:
            words = f"{run.title} failed{message}"
            yield Need(3, Reason.FAILED, subject, words, f"podium logs {run.id}", run_id=run.id)
        elif run.state is RunState.INTERRUPTED:
            words = f"{run.title} was interrupted{message}"
            yield Need(3, Reason.INTERRUPTED, subject, words, f"podium resume {run.id}", run_id=run.id)


_ALERT_URGENCY = {"critical": 0, "warning": 1, "info": 3}


def _of_alerts(alerts: Iterable[AlertStatus], now: float) -> Iterator[Need]:
    """Yields what fires. What somebody has acknowledged comes last, and what is silenced not at all."""
    for alert in alerts:
        if not alert.firing or alert.silenced:
            continue
        urgency = _ALERT_URGENCY.get(alert.severity, 1)
        words = alert.words(now)
        if alert.acknowledged:
            urgency, words = 4, f"{words}; acknowledged {alert.acknowledged}"
        command = "" if alert.acknowledged else f"podium alerts ack {alert.name} --why …"
        yield Need(urgency, Reason.ALERT, alert.name, words, command, environment=alert.environment)


def _of_proposals(proposals: Iterable[LoopEntry]) -> Iterator[Need]:
    """Yields what an alert would start if somebody let it."""
    for each in proposals:
        words = f"would be started for alert {each.alert} on {each.environment}"
        yield Need(2, Reason.PROPOSAL, each.pipeline, words, f"podium feedback approve {each.id}", each.environment)


def _of_agent(agent: AgentStatus | None, now: float) -> Iterator[Need]:
    if agent is not None and not agent.alive and agent.pid:
        age = fmt.age(agent.heartbeat, now) if agent.heartbeat else ""
        seen = f", last seen {'just now' if age == 'now' else f'{age} ago'}" if age else ""
        yield Need(2, Reason.AGENT, "agent", f"is gone{seen}: nothing is healed or triggered", WATCH_COMMAND)


def _of_troubles(agent: AgentStatus | None, told: Collection[str]) -> Iterator[Need]:
    """Yields what the agent cannot do; of environments that are `told` already the cause is known."""
    for trouble in agent.troubles if agent is not None else ():
        if trouble.subject not in told:
            yield Need(1, Reason.TROUBLE, trouble.subject, trouble.words, "podium watch --status")


class _UnderWay(Frozen):
    """What goes on already: the versions that are being brought somewhere, and the runs that are not over."""

    versions: frozenset[tuple[str, int]]
    """By model and number; the model is empty where it is not known."""
    runs: frozenset[int]


def _under_way(runs: Sequence[Run], environments: Sequence[EnvironmentStatus]) -> _UnderWay:
    going = [run for run in runs if not run.state.finished]
    models = {status.name: status.model for status in environments}
    changes = [run.params for run in going if run.kind in set(How)]
    named = {(models.get(str(each.get("environment", "")), ""), str(each.get("version", ""))) for each in changes}
    found = {(model, int(text)) for model, text in named if text.isdecimal()}
    found |= {
        (status.model, each.version)
        for status in environments
        for each in (status.canary, status.rollout)
        if each is not None
    }
    return _UnderWay(frozenset(found), frozenset(run.id for run in going))


def _of_versions(
    versions: Iterable[Version],
    verdicts: Mapping[tuple[str, int], Sequence[VersionVerdict]],
    under_way: _UnderWay,
    environments: Sequence[EnvironmentStatus],
) -> Iterator[Need]:
    """Yields the challenger of each model, if nothing speaks against it and nobody brings it anywhere yet: the run that
    made it may do that itself, or wait for somebody to let it."""
    several = len({status.model for status in environments}) > 1
    for version in versions:
        going = {(version.model, version.version), ("", version.version)}
        if going & under_way.versions or version.run_id in under_way.runs:
            continue
        met = verdicts.get((version.model, version.version), ())
        if quarantine_of(met) is not None or taken_back(met) is not None:
            continue
        if CHALLENGER in version.aliases and CHAMPION not in version.aliases and version.verdict == "pass":
            words, command = "challenger passed its gate", f"podium promote {version.version}"
            if not several:
                yield Need(4, Reason.CHALLENGER, f"v{version.version}", words, command, version=version.version)
                continue
            named = f"{version.model} v{version.version}"
            for status in environments:
                if status.carries and status.model == version.model:
                    full = f"{command} -e {shlex.quote(status.name)}"
                    yield Need(4, Reason.CHALLENGER, named, words, full, status.name, version=version.version)
