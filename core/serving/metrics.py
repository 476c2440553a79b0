"""Counters of one replica, as Prometheus text. Written by hand: it is a page of code, and a client library costs
more than the routing."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

# Upper bounds in seconds, a factor of 1.25 apart from 0.1 ms to about a minute: a quantile interpolated inside one of
# these is at most 12 % off.
BUCKETS = tuple(float(f"{0.0001 * 1.25**power:.3g}") for power in range(60))
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_EVENTS = {
    "batches": "Predictions of several requests together.",
    "batched": "Requests that were predicted together with others.",
    "answered_apart": "Requests over which a process may have ended, answered by a child.",
    "died_apart": "Children that died over such a request.",
    "refused": "Requests refused because two processes ended over them.",
}


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def labels(pairs: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in pairs.items()) + "}"


class Metrics:
    """Counts only /invocations: health checks and scrapes would hide what matters. Belongs to the event loop's
    thread."""

    def __init__(self, info: Mapping[str, str]) -> None:
        self.info = labels(info)
        self.started = time.time()
        self.codes: dict[int, int] = {}
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self.rows = 0
        self.in_flight = 0
        self.loaded = False
        # Each is written by one thread only (predicting.py).
        self.events = dict.fromkeys(_EVENTS, 0)

    def observe(self, code: int, seconds: float, rows: int) -> None:
        self.codes[code] = self.codes.get(code, 0) + 1
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds
        self.rows += rows

    def text(self, captured: Mapping[str, int]) -> str:
        out: list[str] = []

        def family(name: str, kind: str, help_text: str, *lines: str) -> None:
            out.append(f"# HELP {name} {help_text}\n# TYPE {name} {kind}")
            out.extend(f"{name}{line}" for line in lines)

        family("podium_model_info", "gauge", "What this replica serves.", f"{self.info} 1")
        family("podium_model_loaded", "gauge", "1 once the model can predict.", f" {int(self.loaded)}")
        family(
            "podium_requests_total",
            "counter",
            "Answers by status.",
            *(f'{{code="{code}"}} {n}' for code, n in sorted(self.codes.items())),
        )
        total = sum(self.counts)
        bounds = [*map(repr, BUCKETS), "+Inf"]
        buckets = [
            f'_bucket{{le="{bound}"}} {count}' for bound, count in zip(bounds, accumulate(self.counts), strict=True)
        ]
        help_text = "From the whole request read to the answer handed to the socket."
        family("podium_request_seconds", "histogram", help_text, *buckets, f"_sum {self.seconds!r}", f"_count {total}")
        family("podium_rows_total", "counter", "Rows predicted.", f" {self.rows}")
        family("podium_in_flight", "gauge", "Requests being answered.", f" {self.in_flight}")
        for name, text in _EVENTS.items():
            family(f"podium_{name}_total", "counter", text, f" {self.events[name]}")
        for name, value in captured.items():
            family(f"podium_{name}_total", "counter", "Records for the capture directory.", f" {value}")
        cpu = os.times()
        family("process_cpu_seconds_total", "counter", "User and system time.", f" {cpu.user + cpu.system:.2f}")
        family("process_resident_memory_bytes", "gauge", "Resident memory.", f" {resident()}")
        family("process_start_time_seconds", "gauge", "Start, since the epoch.", f" {self.started:.3f}")
        return "\n".join(out) + "\n"


def resident() -> int:
    """Returns the resident bytes of this process; 0 if /proc does not say."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
