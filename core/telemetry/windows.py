"""Counts what happened between two readings: requests, errors and latencies of some servers together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from ..domain.frozen import Frozen
from .histograms import Buckets, add, difference, quantile

# The latency signals, and the quantile that each is.
QUANTILES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}


class Counts(Frozen):
    """Totals since a proxy instance started: its requests, those of them that failed, and those that were refused
    (4xx)."""

    requests: int
    errors: int
    refused: int = 0

    def since(self, before: Counts) -> Counts:
        """Returns what was counted since `before`. A count that went backwards shows a restart, which resets both:
        all that it has counted now is new."""
        if self.requests < before.requests or self.errors < before.errors or self.refused < before.refused:
            return self
        return Counts(self.requests - before.requests, self.errors - before.errors, self.refused - before.refused)


class Reading(Frozen):
    """Totals at one moment: counts by proxy instance and server slot, latencies by slot."""

    counts: Mapping[tuple[int, str], Counts] = field(default_factory=dict[tuple[int, str], Counts])
    latency: Mapping[str, Buckets] = field(default_factory=dict[str, Buckets])


class Window(Frozen):
    """What some servers, for example those of one version, did between two readings."""

    requests: int
    errors: int
    latency: Buckets
    refused: int = 0

    def value(self, signal: str) -> float | None:
        """Returns the signal's value (a share, or seconds); None where it was not measured, and for a signal that is
        not measured per server."""
        if signal in ("error_rate", "refused_rate"):
            number = self.errors if signal == "error_rate" else self.refused
            return min(1.0, number / self.requests) if self.requests else None
        return quantile(self.latency, QUANTILES[signal]) if signal in QUANTILES else None


def window(before: Reading, after: Reading, slots: Collection[str] | None = None) -> Window:
    """Returns what the servers in `slots` (None: all) did between the two readings.

    Whatever is missing in `before` is left out, since the start of its counting is unknown: a proxy instance that
    did not answer, the latencies of a replica that did not. A server that is new to a known instance counts from
    zero. A `before` without any counts compares with the start of everything.
    """
    known = {number for number, _ in before.counts} or {number for number, _ in after.counts}
    requests, errors, refused = 0, 0, 0
    for (number, slot), now in after.counts.items():
        if number in known and (slots is None or slot in slots):
            counted = now.since(before.counts.get((number, slot), Counts(0, 0)))
            requests, errors = requests + counted.requests, errors + counted.errors
            refused += counted.refused
    latency: Buckets = {}
    for slot in after.latency if slots is None else slots:
        if slot in before.latency:
            latency = add(latency, difference(after.latency.get(slot, {}), before.latency[slot]))
    return Window(requests, errors, latency, refused)
