"""What the cockpit holds of one project while it is open: the façade, what was read, the way that was taken."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...core.cockpit import Cockpit
from ...core.errors import PodiumError
from .. import queries
from ..places.trail import Trail
from ..pool import Pool
from ..queries import Query
from ..ringing import Ringer
from ..store import Store

# What a screen shows first, where one read of the journal has it: podium.yaml and what serves take longer to be read.
_FIRST: Mapping[str, Callable[[], Query]] = {"overview": queries.runs, "runs": queries.runs}
_REST = 20.0
"""How many times as long as it took to answer a query is not asked again while the journal is quiet."""


class Session:
    """`number` tells the sessions of one app apart; its screens are modes of their own."""

    def __init__(
        self, number: int, cockpit: Cockpit, clock: Callable[[], float], on_change: Callable[[], None] | None = None
    ) -> None:
        self.number = number
        self.cockpit = cockpit
        self.store = Store(clock, on_change)
        self.read_at: dict[str, float] = {}
        self.answers: dict[str, tuple[float, float]] = {}
        """When each query was answered last, and how many seconds that took."""
        self.due: dict[str, Query] = {}
        self.trail = Trail()
        self.ringer = Ringer()
        self.screen = ""
        """The screen that was shown last."""
        # The journal, which is asked now and then whether it has changed.
        self.seen: int | None = None
        self.poll_asked: float | None = None
        self.poll_error: PodiumError | None = None
        self.polled: float | None = None

    def mode(self, screen: str) -> str:
        """Returns the app's name of one of its screens."""
        return f"{self.number}/{screen}"

    def read_first(self, screen: str, pool: Pool) -> None:
        """Has read what a screen shows first, while what draws it is still being imported: the first picture has it
        then."""
        if screen in _FIRST:
            self.submit(_FIRST[screen](), pool)

    def submit(self, query: Query, pool: Pool) -> None:
        """Has a query read in the pool, into the store."""
        cockpit, store = self.cockpit, self.store

        def done(value: Any, error: BaseException | None) -> None:
            now = time.monotonic()
            self.answers[query.key] = (now, now - self.read_at[query.key])
            if error is None:
                store.put(query.key, value)
            else:
                store.fail(query.key, as_podium_error(error))

        self.read_at[query.key] = time.monotonic()
        pool.submit(query.key, lambda _job: query.answer(cockpit), done, lane=query.lane)

    def expired(self, query: Query) -> bool:
        """Whether an answer is so old that it may not be true any more, though the journal has not changed. What takes
        long to answer is asked less often, so that looking stays cheap."""
        at, took = self.answers.get(query.key, (math.inf, 0.0))
        waits = self.read_at.get(query.key, 0.0) > at
        return not waits and time.monotonic() - at >= max(query.holds, _REST * took)


def as_podium_error(error: BaseException) -> PodiumError:
    """Whatever a query raised, as something that can be shown."""
    if isinstance(error, PodiumError):
        return error
    return PodiumError(
        f"{type(error).__name__}: {error}", hint="this is a fault of Podium's; `podium doctor` may say more"
    )
