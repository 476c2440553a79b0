"""Reading Prometheus' text format: only what Podium's own replicas write (counters, gauges, histograms).

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Point:
    name: str
    labels: Mapping[str, str]
    value: float


def parse(text: str) -> list[Point]:
    """Every sample of `text`; lines that are not samples are passed over."""
    points: list[Point] = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        points.append(Point(match[1], dict(_LABEL.findall(match[2] or "")), value))
    return points


Buckets = dict[float, float]


def histogram(points: list[Point], name: str) -> Buckets:
    """Upper bound (seconds) -> cumulative count, summed over all other labels."""
    buckets: Buckets = {}
    for point in points:
        if point.name == f"{name}_bucket":
            bound = float(point.labels.get("le", "nan").replace("+Inf", "inf"))
            buckets[bound] = buckets.get(bound, 0.0) + point.value
    return buckets


def difference(now: Buckets, before: Buckets) -> Buckets:
    """What was counted between two scrapes. A counter that went backwards was reset: what it has now is then all
    new."""
    if any(now.get(bound, 0.0) < count for bound, count in before.items()):
        return now
    return {bound: count - before.get(bound, 0.0) for bound, count in now.items()}


def add(one: Buckets, other: Buckets) -> Buckets:
    return {bound: one.get(bound, 0.0) + other.get(bound, 0.0) for bound in one.keys() | other.keys()}


def quantile(buckets: Buckets, q: float) -> float | None:
    """The q-quantile (0..1) by linear interpolation inside its bucket, as PromQL's histogram_quantile does; None
    when nothing was counted.

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
