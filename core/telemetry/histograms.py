"""Latency histograms: parsed from an exposition, subtracted between two scrapes, and reduced to quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .exposition import Point

# Upper bound in seconds -> cumulative count.
Buckets = dict[float, float]


def histogram(points: Iterable[Point], name: str) -> Buckets:
    """Returns the histogram `name`, summed over all labels but its bounds. Counts and bounds that are no numbers are
    left out."""
    buckets: Buckets = {}
    for point in points:
        if point.name != f"{name}_bucket" or not math.isfinite(point.value) or point.value < 0:
            continue
        bound = _bound(point.labels.get("le", ""))
        if bound is not None:
            buckets[bound] = buckets.get(bound, 0.0) + point.value
    return buckets


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def difference(now: Buckets, before: Buckets) -> Buckets:
    """Returns what was counted between two scrapes. A count that went backwards was reset by a restart: all that the
    replica has counted now is new."""
    if any(now.get(bound, 0.0) < count for bound, count in before.items()):
        return now
    return {bound: count - before.get(bound, 0.0) for bound, count in now.items()}


def add(one: Buckets, other: Buckets) -> Buckets:
    """Returns the histogram of both together."""
    return {bound: one.get(bound, 0.0) + other.get(bound, 0.0) for bound in one.keys() | other.keys()}


def quantile(buckets: Buckets, q: float) -> float | None:
    """Returns the q-quantile (0..1) by linear interpolation inside its bucket, as PromQL's histogram_quantile does;
    None when nothing was counted.

    In the last, unbounded bucket the answer is the highest finite bound: it is at least that.
    """
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return None
    rank = q * buckets[bounds[-1]]
    lower, below = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * ((rank - below) / (count - below) if count > below else 1.0)
        lower, below = bound, count
    return lower
