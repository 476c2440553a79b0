"""Actions that the runner's one thread carries out later."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class Timers:
    """A queue of actions by time, on the monotonic clock."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        # Two actions of the same moment keep their order, and functions are never compared.
        self._number = itertools.count()

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Schedules the action once, `delay` seconds from now."""
        heapq.heappush(self._queue, (time.monotonic() + delay, next(self._number), action))

    def wake_after(self, delay: float) -> None:
        """Ends the runner's wait in `delay` seconds, without an action of its own: the runner then checks everything
        that may have changed."""
        self.after(delay, lambda: None)

    def next_at(self) -> float | None:
        """Returns when the next action is due; None when there is none."""
        return self._queue[0][0] if self._queue else None

    def run_due(self) -> None:
        """Carries out the actions that are due."""
        now = time.monotonic()
        while self._queue and self._queue[0][0] <= now:
            heapq.heappop(self._queue)[2]()
