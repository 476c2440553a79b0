"""What the cockpit holds of one project while it is open: the façade, what was read, the way that was taken."""

from __future__ import annotations

from collections.abc import Callable

from ...core.cockpit import Cockpit
from ...core.errors import PodiumError
from ..places.trail import Trail
from ..queries import Query
from ..ringing import Ringer
from ..store import Store


class Session:
    """`number` tells the sessions of one app apart; its screens are modes of their own."""

    def __init__(
        self, number: int, cockpit: Cockpit, clock: Callable[[], float], on_change: Callable[[], None]
    ) -> None:
        self.number = number
        self.cockpit = cockpit
        self.store = Store(clock, on_change)
        self.read_at: dict[str, float] = {}
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
