"""What changes while a person does something else: one line for each change."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...core.domain.delivery import EnvironmentStatus
from ...core.domain.monitoring import AlertStatus
from ...core.domain.runs import Run, RunDetail, StepState
from ...core.domain.watching import AgentStatus
from .. import queries
from ..queries import ProjectView, Query, RunsView
from ..store import Store
from .spoken import plain

_MOST = 12  # lines at once


class News:
    def __init__(self) -> None:
        self._known: dict[str, str] | None = None
        self._followed: frozenset[int] = frozenset()
        self._first = 0
        """The first run that began after the first look: of older ones only what goes on is told."""

    def queries(self, store: Store) -> Iterable[Query]:
        """Returns what has to be read: runs with the steps of those that go on, environments, alerts."""
        yield from (queries.runs(), queries.ENVIRONMENTS, queries.ALERTS)
        view: RunsView | None = store.value("runs")
        active = frozenset(run.id for run in view.runs if not run.state.finished) if view is not None else frozenset()
        yield from (queries.run(number) for number in sorted(active | self._followed)[-8:])
        self._followed = active

    def look(self, store: Store, now: float) -> Sequence[str]:
        """Returns a line for each change since the last look. The first look knows nothing that would be new."""
        if any(store.get(key).loading for key in ("project", "runs", "environments", "alerts")):
            return ()
        if self._known is None:
            view: RunsView = store.value("runs")
            self._first = max((run.id for run in view.runs), default=0) + 1
        facts = {**(self._known or {}), **dict(_facts(store, self._first))}
        known, self._known = self._known, facts
        if known is None:
            return ()
        at = time.strftime("%H:%M:%S", time.localtime(now))
        lines = [f"{at} {plain(name)}: {plain(words)}" for name, words in facts.items() if _is_news(name, words, known)]
        more = len(lines) - _MOST
        return [*lines[:_MOST], f"{at} and {more} more changes"] if more > 0 else lines


def _is_news(name: str, words: str, known: Mapping[str, str]) -> bool:
    return known.get(name) != words and (name in known or not words.startswith(StepState.PENDING))


def _facts(store: Store, first: int) -> Iterable[tuple[str, str]]:
    """Returns what there is to know, in words that stay the same while it does."""
    view: RunsView | None = store.value("runs")
    runs: tuple[Run, ...] = view.runs if view is not None else ()
    for run in reversed(runs):
        yield f"run {run.id}, {run.title}", f"{run.state}{f', {run.message}' if run.message else ''}"
        detail: RunDetail | None = store.value(f"run:{run.id}")
        going = run.id >= first or not run.state.finished
        for step in detail.steps if detail is not None and going else ():
            cached = ", from the cache" if step.cached else ""
            message = f", {step.message}" if step.message and step.state is StepState.FAILED else ""
            yield f"run {run.id}, step {step.name}", f"{step.state}{cached}{message}"
    statuses: tuple[EnvironmentStatus, ...] = store.value("environments", ())
    for status in statuses:
        serves = f"serves v{status.serving}" if status.serving is not None else "serves nothing"
        yield f"environment {status.name}", f"{serves}, {status.health.words}"
    alerts: tuple[AlertStatus, ...] = store.value("alerts", ())
    for alert in alerts:
        yield f"alert {alert.name}", f"{alert.state}{f', {alert.message}' if alert.firing and alert.message else ''}"
    yield from _of_project(store)


def _of_project(store: Store) -> Iterable[tuple[str, str]]:
    agent: AgentStatus | None = store.value("agent")
    if agent is not None:
        yield "agent", "running" if agent.alive else "not running"
    project: ProjectView | Any = store.value("project")
    if project is not None:
        yield "podium.yaml", project.problems[0] if project.problems else "can be used"
