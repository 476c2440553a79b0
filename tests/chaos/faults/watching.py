"""What has to hold while things go wrong: the status can be read at any moment, on a disk that is full, and what it says of the
traffic is what the proxies do and what a client sees."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from podium.core.cockpit import Cockpit
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.domain.delivery import EnvironmentStatus
from podium.core.errors import PodiumError

from tests.chaos.world import ENVIRONMENT, Client, World
from tests.runner.scale import scaled

EVERY = 0.25
# Weights are set one instance and one row after another; what differs for longer than this is wrong.
LASTING = 6.0
# A request that was begun before a switch is answered after it; the client writes down what it saw four times a second.
AROUND = 6.0
# A version has to answer around so many looks in a row before the status has to know it.
LOOKS = 3


@dataclass(frozen=True)
class Seen:
    """`at` on the monotonic clock; `told` are the versions that have traffic by the status."""

    at: float
    told: frozenset[int]


class Watch:
    """As a context manager, watches in a thread of its own; `problems` grows meanwhile."""

    def __init__(self, world: World, client: Client, blind: Callable[[], bool] = lambda: False) -> None:
        """`blind` says that nothing can be read at the moment, by anybody."""
        self.problems: list[str] = []
        self.looks = 0
        self._world, self._client, self._blind = world, client, blind
        self._seen: deque[Seen] = deque()
        self._answers: deque[tuple[float, set[int]]] = deque()
        self._differs_since: float | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(scaled(15))

    def take(self) -> list[str]:
        """Returns what was wrong since this was last asked."""
        found, self.problems = self.problems, []
        return found

    def _watch(self) -> None:
        cockpit = Cockpit.open(self._world.home)
        try:
            before = self._client.look().answers
            while not self._end.wait(EVERY):
                self._look(cockpit)
                after = self._client.look().answers
                grown = {body for body, count in after.items() if count > before[body]}
                self._answers.append((time.monotonic(), _versions(grown)))
                before = after
                self._judge()
        except Exception as error:
            self.problems.append(f"the watch ended: {error!r}")
        finally:
            cockpit.close()

    def _look(self, cockpit: Cockpit) -> None:
        began = time.monotonic()
        blind = self._blind()
        try:
            status = cockpit.environments.get(ENVIRONMENT)
            cockpit.runs.list(limit=5)
        except Exception as error:
            if not blind and not self._blind():
                self._say(f"the status cannot be read: {error!r}")
            return
        self.looks += 1
        self._seen.append(Seen(began, frozenset(status.traffic)))
        self._compare(cockpit, status)

    def _compare(self, cockpit: Cockpit, status: EnvironmentStatus) -> None:
        """What each proxy does against what the status says, while no change is under way."""
        settled = status.rollout is None and not status.differences and not status.locked_by
        if not settled or (weighed := _weighed(cockpit)) is None or weighed == set(status.traffic):
            self._differs_since = None
            return
        now = time.monotonic()
        self._differs_since = self._differs_since or now
        if now - self._differs_since > scaled(LASTING):
            self._say(f"for {LASTING:g} s the proxies send to versions {weighed}, and the status says {status.traffic}")

    def _judge(self) -> None:
        """A version that answers must have been said to, around that moment."""
        now = time.monotonic()
        while len(self._answers) > LOOKS and self._answers[LOOKS - 1][0] < now - scaled(AROUND):
            at, versions = self._answers[0]
            # On a busy machine a look takes seconds: who answered before and after one did so while it was made.
            versions = versions.intersection(*(self._answers[each][1] for each in range(1, LOOKS)))
            self._answers.popleft()
            told = {version for seen in self._seen if abs(seen.at - at) <= scaled(AROUND) for version in seen.told}
            if told and versions - told:
                self._say(f"versions {versions - told} answered, and for {AROUND:g} s around the status said {told}")
        while self._seen and self._seen[0].at < now - scaled(4 * AROUND):
            self._seen.popleft()

    def _say(self, problem: str) -> None:
        if problem not in self.problems and len(self.problems) < 20:
            self.problems.append(problem)


def _versions(bodies: set[str]) -> set[int]:
    return {json.loads(body)["predictions"][0] for body in bodies}


def _weighed(cockpit: Cockpit) -> set[int] | None:
    """Returns the versions to which the instances send requests; None where they could not be asked."""
    project, journal = cockpit.project.config, cockpit.journal
    versions = {row.slot: row.version for row in journal.replicas.of(ENVIRONMENT)}
    runtime = EnvironmentRuntime(project, journal, project.environments[ENVIRONMENT])
    try:
        readings = runtime.proxy.readings()
    except PodiumError:
        return None
    found = {
        versions.get(stat.name, -1)
        for stats in readings.values()
        for stat in stats
        if stat.kind == "server" and stat.up and stat.weight and not stat.status.startswith("MAINT")
    }
    return found or None
