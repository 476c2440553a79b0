"""The course of a monitor as SVG: values with their intervals, and the versions that began to serve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise

from ...domain.monitoring import Measurement
from ...domain.monitors.courses import Course
from ...domain.text.format import moment

_WIDTH, _HEIGHT = 960, 220
_LEFT, _RIGHT, _TOP, _BASE = 70, 950, 24, 190
# Two measurements that are further apart than so many usual distances are not joined: nothing is known between them.
_GAP = 3.0

Place = Callable[[float], float]


def drawing(course: Course, written: Callable[[float], str]) -> str:
    """Returns the course as a drawing; `written` says a value in its unit. Empty before the second value."""
    known = [each for each in course.past if each.value is not None]
    if course.bounds is None or len(known) < 2 or course.end <= course.start:
        return ""
    low, high = course.bounds
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    low, high = low - room, high + room

    def x(at: float) -> float:
        return _LEFT + (at - course.start) / (course.end - course.start) * (_RIGHT - _LEFT)

    def y(amount: float) -> float:
        return _BASE - (amount - low) / (high - low) * (_BASE - _TOP)

    ends = "".join(
        f'<text x="{_LEFT - 6}" y="{y(each) + 3:.1f}" text-anchor="end">{escape(written(each))}</text>'
        for each in course.bounds
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="its course">'
        f'<line x1="{_LEFT}" y1="{_BASE}" x2="{_RIGHT}" y2="{_BASE}" class="base"/>{ends}'
        f"{''.join(_lines(known, x, y))}{''.join(_points(known, x, y, written))}{''.join(_marks(course, x))}"
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">{escape(moment(course.start) or "")}</text>'
        f'<text x="{_RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{escape(moment(course.end) or "")}</text></svg>'
    )


def _lines(known: Sequence[Measurement], x: Place, y: Place) -> Iterator[str]:
    """Yields the band of the intervals, the values and what they were when promoted, one of each for every stretch."""
    for stretch in _stretches(known):
        whole = [each for each in stretch if each.low is not None and each.high is not None]
        if len(whole) > 1:
            ends = [(each.at, each.high) for each in whole] + [(each.at, each.low) for each in reversed(whole)]
            yield f'<polygon class="band" points="{_path(ends, x, y)}"/>'
        yield f'<polyline class="course" points="{_path([(each.at, each.value) for each in stretch], x, y)}"/>'
        promoted = [(each.at, each.baseline) for each in stretch if each.baseline is not None]
        if promoted:
            yield f'<polyline class="promoted" points="{_path(promoted, x, y)}"/>'


def _path(points: Sequence[tuple[float, float | None]], x: Place, y: Place) -> str:
    return " ".join(f"{x(at):.1f},{y(amount):.1f}" for at, amount in points if amount is not None)


def _stretches(known: Sequence[Measurement]) -> Iterator[list[Measurement]]:
    """Yields what was measured without a gap."""
    apart = sorted(later.at - earlier.at for earlier, later in pairwise(known))
    most = apart[len(apart) // 2] * _GAP
    stretch = [known[0]]
    for each in known[1:]:
        if each.at - stretch[-1].at > most:
            yield stretch
            stretch = []
        stretch.append(each)
    yield stretch


def _points(known: Sequence[Measurement], x: Place, y: Place, written: Callable[[float], str]) -> Iterator[str]:
    """Yields a point for each value: it says its figures when it is pointed at, and its interval stands on it."""
    for each in known:
        value = each.value or 0.0
        spread = ""
        if each.low is not None and each.high is not None:
            at = f"{x(each.at):.1f}"
            spread = f" ({written(each.low)} … {written(each.high)})"
            yield f'<line class="spread" x1="{at}" x2="{at}" y1="{y(each.low):.1f}" y2="{y(each.high):.1f}"/>'
        version = f", v{each.version}" if each.version is not None else ""
        told = escape(f"{moment(each.at)}: {written(value)}{spread}{version}")
        yield (f'<circle class="now" cx="{x(each.at):.1f}" cy="{y(value):.1f}" r="2.5"><title>{told}</title></circle>')


def _marks(course: Course, x: Place) -> Iterator[str]:
    """Yields a line where a version began to serve; of names that would stand on each other the later ones alone."""
    told: list[float] = []
    for mark in reversed(course.marks):
        at = x(mark.at)
        words = escape(f"{moment(mark.at)}: {mark.how} v{mark.version}")
        line = f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 8}" y2="{_BASE}">'
        yield f"{line}<title>{words}</title></line>"
        if all(abs(at - other) > 26 for other in told):
            told.append(at)
            yield f'<text x="{at:.1f}" y="{_TOP - 12}" text-anchor="middle">v{mark.version}</text>'
