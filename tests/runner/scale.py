"""How long tests wait: every time-out in a test is written for a quiet machine of two cores, and multiplied by one factor
that is measured once, when the tests start.

The factor is generous. A wait that comes true costs no more time for it, and a machine may get slower while tests run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

VARIABLE = "PODIUM_TEST_SCALE"
# On a quiet two-core machine, in seconds.
QUIET_START = 0.035
QUIET_LOOP = 0.020
MARGIN = 2.0
MAX_SLOWNESS = 10.0
_ROUNDS = 3


def scaled(seconds: float) -> float:
    """Returns how long a wait of `seconds` may take on this machine, today."""
    return seconds * factor()


def factor() -> float:
    """Returns what the session has measured; 1 where nobody has (a benchmark)."""
    return float(os.environ.get(VARIABLE) or 1.0)


def settle() -> float:
    """Measures the factor, unless a session around this one or a person has set it, and hands it to every process that
    starts from here."""
    if not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = f"{MARGIN * min(MAX_SLOWNESS, slowness()):.2f}"
    return factor()


def slowness() -> float:
    """Returns how many times slower than a quiet one this machine is now: in starting a Python, in computing, and by what
    waits for its cores."""
    start = _middle(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True, stdin=subprocess.DEVNULL))
    loop = _middle(lambda: sum(number * number for number in range(400_000)))
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return max(1.0, start / QUIET_START, loop / QUIET_LOOP, waiting)


def _middle(work: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
