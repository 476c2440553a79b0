"""What a monitor measured over time, with its intervals, and the versions that began to serve meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from ..delivery import Deployment, How
from ..frozen import Frozen
from ..monitoring import Measurement


class Mark(Frozen):
    """A version began to serve."""

    at: float
    """When its traffic had moved, in seconds since the epoch."""
    version: int
    how: How


class Course(Frozen):
    """What was measured, oldest first, and the deployments that ended meanwhile."""

    past: tuple[Measurement, ...] = ()
    marks: tuple[Mark, ...] = ()

    @property
    def start(self) -> float:
        """Returns when it was measured first, in seconds since the epoch; 0 if it never was."""
        return self.past[0].at if self.past else 0.0

    @property
    def end(self) -> float:
        """Returns when it was measured last, in seconds since the epoch; 0 if it never was."""
        return self.past[-1].at if self.past else 0.0

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Returns the lowest and the highest of all values, interval ends and values when promoted; None without a
        value."""
        found = [
            amount
            for each in self.past
            if each.value is not None
            for amount in (each.value, each.low, each.high, each.baseline)
            if amount is not None
        ]
        return (min(found), max(found)) if found else None

    def place(self, at: float, cells: int) -> int:
        """Returns which of so many cells of equal time a moment falls into; the first or last one beyond the ends."""
        length = self.end - self.start
        share = (at - self.start) / length if length > 0 else 1.0
        return max(0, min(cells - 1, int(share * cells)))

    def cells(self, number: int) -> list[Measurement | None]:
        """Returns the last measurement with a value in each of so many cells of equal time; None for a cell without
        one."""
        found: list[Measurement | None] = [None] * number
        for each in self.past:
            if each.value is not None:
                found[self.place(each.at, number)] = each
        return found

    def marked(self, number: int) -> dict[int, Mark]:
        """Returns the last version that began to serve in each of so many cells of equal time."""
        return {self.place(each.at, number): each for each in self.marks}


def course(past: Iterable[Measurement], deployments: Iterable[Deployment], points: int) -> Course:
    """Returns the course of measurements (oldest first), thinned out to at most `points`, with the deployments that
    succeeded meanwhile."""
    whole = Course(tuple(past))
    if len(whole.past) > points:
        kept = {whole.place(each.at, points): each for each in whole.past if each.value is not None}
        whole = Course(tuple(sorted(kept.values(), key=lambda each: each.at)) or whole.past[-points:])
    marks = [Mark(each.ended or each.at, each.to_version, each.how) for each in deployments]
    inside = sorted((each for each in marks if whole.start <= each.at <= whole.end), key=lambda each: each.at)
    return Course(whole.past, tuple(inside))
