"""Does something for every environment, again and again: for those of several engines side by side. Most of it is
waiting for an answer from another machine, and an engine that is silent keeps nobody waiting but its own
environments."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import Empty, SimpleQueue

from ... import plugins
from ...domain.project import Environment, Project
from ...journal import Journal

# Engines that are asked at the same time. Where so many are silent, a round still gets a few.
MAX_PARALLEL, MIN_PARALLEL = 16, 4
# Seconds after which a round ends without the engines that are not through.
PATIENCE = 2.0

Work = Callable[[Project, Journal, Environment], None]
_Groups = Mapping[str, Sequence[Environment]]


class ByEngine:
    """Calls `work` for each environment in each round, for those of one engine one after the other. It is called from
    other threads than the round's, with a journal of their own, unless there is one engine only. An engine that is
    still being asked is left out of the next round; those that waited longest come first. The first error that `work`
    lets out is raised at the end of the round."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._last: dict[str, float] = {}

    def __call__(self, project: Project, journal: Journal) -> None:
        groups = grouped(project, project.environments.values())
        if len(groups) < 2 and not self._asked:
            for environment in project.environments.values():
                self._work(project, journal, environment)
            return
        self._last = {key: self._last.get(key, 0.0) for key in groups}
        waiting = SimpleQueue[str]()
        for key in sorted(groups.keys() - self._asked, key=self._last.__getitem__):
            waiting.put(key)
        errors: list[Exception] = []
        threads = [
            # Not a pool of threads: the end of a process waits for those.
            threading.Thread(target=self._each, args=(project, journal, groups, waiting, errors), daemon=True)
            for _ in range(min(max(MIN_PARALLEL, MAX_PARALLEL - len(self._asked)), waiting.qsize()))
        ]
        for thread in threads:
            thread.start()
        until = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        while not waiting.empty() and _next(waiting):
            pass  # its turn is in the next round
        if errors:
            raise errors[0]

    def _each(
        self, project: Project, journal: Journal, groups: _Groups, waiting: SimpleQueue[str], errors: list[Exception]
    ) -> None:
        try:
            with Journal.open(journal.path) as own:
                while key := _next(waiting):
                    self._one(project, own, groups, key)
        except Exception as error:  # raised where the round is
            errors.append(error)

    def _one(self, project: Project, journal: Journal, groups: _Groups, key: str) -> None:
        with self._lock:
            if key in self._asked:
                return
            self._asked.add(key)
            self._last[key] = time.monotonic()
        try:
            for environment in groups[key]:
                self._work(project, journal, environment)
        finally:
            with self._lock:
                self._asked.discard(key)


def _next(waiting: SimpleQueue[str]) -> str:
    try:
        return waiting.get_nowait()
    except Empty:
        return ""


def grouped(project: Project, environments: Iterable[Environment]) -> _Groups:
    """Returns the environments by what they are served from."""
    groups: dict[str, list[Environment]] = {}
    for environment in environments:
        groups.setdefault(_engines(project, environment), []).append(environment)
    return groups


def _engines(project: Project, environment: Environment) -> str:
    if not plugins.driver_capabilities(environment.driver).engine:
        return "this machine"
    return " ".join(each.engine for each in environment.hosts) or environment.host or project.docker.host or "an engine"
