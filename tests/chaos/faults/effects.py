"""What a fault did: in words, how it is ended, and which requests it may cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.runner.scale import scaled

# A request may have been underway for so long when something happened: the client waits no longer.
UNDERWAY = 5.5


@dataclass(frozen=True)
class Excuse:
    """Requests that nobody could have saved: those begun from `UNDERWAY` before the fault until `after` seconds after it had
    struck, which failed with words like `pattern`, `most` of them."""

    cause: str
    after: float
    most: int
    pattern: str = ""

    def covers(self, begun: float, fault: tuple[float, float], words: str) -> bool:
        in_time = fault[0] - UNDERWAY <= begun <= fault[1] + scaled(self.after)
        return in_time and re.search(self.pattern, words) is not None


@dataclass
class Effect:
    """`undo` ends it, once; a fault that ends by itself has none."""

    words: str
    undo: Callable[[], object] | None = None
    excuses: tuple[Excuse, ...] = ()
    at: tuple[float, float] = (0.0, 0.0)
    """Between which moments it struck, in seconds since the epoch; filled in by whoever begins it. To find whom it is meant for
    takes its time on a busy machine."""
    until: float = 0.0
    """When it has to be ended, on the monotonic clock."""
