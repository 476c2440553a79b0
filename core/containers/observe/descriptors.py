"""How many files and connections a process gives to following containers, each of which needs some for as long as it
runs. The rest is left for what has to go on whatever the number of containers: healing, the journal, starting runs."""

from __future__ import annotations

import resource
import threading
from typing import Final

# Of the process's own limit, as it is at that moment.
SHARE = 0.6


class Descriptors:
    """Counts those that are taken. May be used from several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def take(self, number: int) -> bool:
        """Takes so many; returns False, and takes none, if they are not left."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        with self._lock:
            if limit != resource.RLIM_INFINITY and self._taken + number > limit * SHARE:
                return False
            self._taken += number
            return True

    def give(self, number: int) -> None:
        with self._lock:
            self._taken -= number


descriptors: Final = Descriptors()
