"""Reads Prometheus' text format: only what Podium's own replicas write (counters, gauges, histograms).

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..domain.frozen import Frozen

_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(?<!\w)(\w+)="((?:[^"\\]|\\.)*)"')


class Point(Frozen):
    """One sample line. `value` may be NaN or infinite, which the format allows."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse(text: str) -> list[Point]:
    """Returns every sample of `text`; lines that are not samples are skipped.

    A series that is written twice counts once, with its first value, as for Prometheus.
    """
    points: dict[tuple[str, frozenset[tuple[str, str]]], Point] = {}
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
        labels = dict(_LABEL.findall(match[2] or ""))
        points.setdefault((match[1], frozenset(labels.items())), Point(match[1], labels, value))
    return list(points.values())
