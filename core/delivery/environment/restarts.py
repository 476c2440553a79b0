"""How often each replica of an environment had to be started again in the last hour: a small file of its directory."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

from ...replacing import replace_file

WINDOW_SECONDS = 3600.0
_FILE = "restarts.json"
MAX_RESTARTS = 1_000  # of one replica


def note(directory: Path, replica: str) -> int:
    """Notes a restart now; returns how many there were in the last hour, this one included. The caller holds the
    environment. A disk that is full keeps nothing from being started: then they are not counted."""
    now = time.time()
    known = {name: [at for at in times if 0.0 <= now - at < WINDOW_SECONDS] for name, times in _read(directory).items()}
    times = [*known.get(replica, []), now][-MAX_RESTARTS:]
    kept = {name: each for name, each in {**known, replica: times}.items() if each}
    with suppress(OSError):
        replace_file(directory / _FILE, json.dumps(kept))
    return len(times)


def number(directory: Path, since: float, now: float) -> int:
    """Returns how many restarts there were from `since` to `now`, of all replicas; what is older than an hour is not
    known."""
    return sum(since <= at <= now for times in _read(directory).values() for at in times)


def _read(directory: Path) -> dict[str, list[float]]:
    try:
        value = json.loads((directory / _FILE).read_text(encoding="utf-8"))
        return {str(name): [float(at) for at in times] for name, times in value.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
