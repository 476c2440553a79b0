"""Live signals. They are kept at 1 Hz for an hour, then every 10 s for a day, every
minute for two weeks, every ten minutes for 90 days and every hour for a year.

That bounds each signal of an environment to 3,600 + 8,280 + 18,720 + 10,944 + 6,600 rows of about 30 bytes: 1.5 MB, or
10 MB for an environment's seven signals. Signals of containers, of which each version brings new ones, are kept for a
day: 0.4 MB each. The table as a whole is bounded too, whatever the number of environments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

from ..domain.containers import of_container
from ..domain.watching import Sample, Series
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

# (seconds of a row, age in seconds up to which such rows are kept)
LEVELS = ((1, 3600), (10, 86_400), (60, 14 * 86_400), (600, 90 * 86_400), (3600, 365 * 86_400))
# Of series that domain.containers.usage_series names.
CONTAINER_LEVELS = LEVELS[:2]
Levels: TypeAlias = tuple[tuple[int, float], ...]
MAX_ROWS = 2_000_000
# Samples that are stored by one statement: SQLite takes at least 999 values.
AT_ONCE = 200
# Series that are compacted at once: others that write wait for no more of them.
COMPACTED_AT_ONCE = 50
_DAY = 86_400


def _up_to(keep: float, levels: Levels) -> Levels:
    """Returns the levels that rows pass through until they are `keep` seconds old; the last one ends there."""
    needed = [level for level, (_, kept) in enumerate(levels) if kept < keep]
    last = levels[min(len(needed), len(levels) - 1)]
    return (*(levels[level] for level in needed if levels[level] != last), (last[0], min(keep, last[1])))


@names_damage("the sample of", numbers=(0, 1, 2))
def _sample(row: Row) -> tuple[int, int, float]:
    """Returns when it was, how many are in it, and their sum."""
    at, number, total = row
    return int(at), int(number), float(total)


class Samples:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, samples: Iterable[Sample]) -> None:
        """Stores samples. Several samples of one second become their mean. Values that are not finite numbers were
        not measured and are left out."""
        measured = [sample for sample in samples if math.isfinite(sample.value) and math.isfinite(sample.at)]
        if not measured:
            return
        for begin in range(0, len(measured), AT_ONCE):
            with self._database.transaction():
                self._put(measured[begin : begin + AT_ONCE])

    def _put(self, measured: Sequence[Sample]) -> None:
        """Stores samples with two statements. After each statement this thread waits for its turn among all others of
        the process: with one for each sample, the agent of thousands of containers would hold the journal for
        minutes."""
        named = [value for each in measured for value in (each.environment, each.signal)]
        rows = ",".join(["(?,?)"] * len(measured))
        self._database.run(f"INSERT OR IGNORE INTO sample_series (environment, signal) VALUES {rows}", named)  # noqa: S608
        values = [
            value
            for each in measured
            for value in (each.environment, each.signal, math.floor(each.at), float(each.value))
        ]
        rows = ",".join(["(?,?,?,?)"] * len(measured))
        self._database.run(
            f"WITH measured (environment, signal, at, value) AS (VALUES {rows}) INSERT INTO samples"  # noqa: S608
            " SELECT id, 1, at, 1, value FROM measured JOIN sample_series USING (environment, signal) WHERE true"
            " ON CONFLICT DO UPDATE SET number = number + 1, total = total + excluded.total",
            values,
        )

    def series(self, environment: str, signal: str, *, start: float, end: float, points: int) -> Series:
        """Returns at most `points` means over [start, end], oldest first, None where nothing was measured.

        Intervals are whole seconds and start at multiples of themselves, so that a chart that moves on does not
        change what it showed before.
        """
        points = max(1, points)
        step = max(1, math.ceil((end - start) / points))
        last = math.floor(end / step)
        first = max(math.floor(start / step), last - points + 1)
        sums = [[0.0, 0.0] for _ in range(max(0, last - first + 1))]
        key = self._known(environment, signal)
        for level, at, number, total in self._rows(key, first * step, (last + 1) * step) if key is not None else ():
            # A row that is longer than a step stands for each step that it covers.
            low, high = max(first, at // step), min(last, (at + level - 1) // step) if level > step else at // step
            for index in range(low - first, high - first + 1):
                if 0 <= index < len(sums):
                    sums[index][0] += number
                    sums[index][1] += total
        return Series(
            environment,
            signal,
            float(first * step),
            float(step),
            tuple(total / number if number else None for number, total in sums),
        )

    def compact(self, now: float, keep: float = LEVELS[-1][1]) -> None:
        """Merges old samples into coarser rows and drops those older than `keep` seconds. Cheap if there is little to
        do: call it every minute or so."""
        series = self._database.all("SELECT id, environment FROM sample_series")
        for begin in range(0, len(series), COMPACTED_AT_ONCE):
            with self._database.transaction():
                for key, name in series[begin : begin + COMPACTED_AT_ONCE]:
                    self._compact(key, _up_to(keep, CONTAINER_LEVELS if of_container(name) else LEVELS), now)
        with self._database.transaction():
            self._bound()
            self._database.run("DELETE FROM sample_series WHERE NOT EXISTS (SELECT 1 FROM samples WHERE series = id)")

    def _compact(self, key: int, levels: Levels, now: float) -> None:
        for (fine, kept), (coarse, _) in pairwise(levels):
            self._fold(key, fine, coarse, math.floor((now - kept) / coarse) * coarse)
        step, kept = levels[-1]
        for coarse, _ in LEVELS:
            if coarse >= step:  # also what a longer `keep` has left
                self._database.run(
                    "DELETE FROM samples WHERE series = ? AND step = ? AND at < ?", (key, coarse, now - kept)
                )
        # A clock that was set wrong must not leave rows that never grow old.
        self._database.run("DELETE FROM samples WHERE series = ? AND step = 1 AND at > ?", (key, now + _DAY))

    def rows(self) -> int:
        row = self._database.one("SELECT count(*) FROM samples")
        return int(row[0]) if row else 0

    def _fold(self, key: int, fine: int, coarse: int, until: int) -> None:
        self._database.run(
            "INSERT INTO samples SELECT series, ?1, at - ((at % ?1) + ?1) % ?1 AS bucket, sum(number), sum(total) FROM"
            " samples WHERE series = ?2 AND step = ?3 AND at < ?4 GROUP BY series, bucket ON CONFLICT DO UPDATE SET"
            " number = number + excluded.number, total = total + excluded.total",
            (coarse, key, fine, until),
        )
        self._database.run("DELETE FROM samples WHERE series = ? AND step = ? AND at < ?", (key, fine, until))

    def _bound(self) -> None:
        over = self.rows() - MAX_ROWS
        if over > 0:
            self._database.run(
                "DELETE FROM samples WHERE (series, step, at) IN (SELECT series, step, at FROM samples ORDER BY at"
                " LIMIT ?)",
                (over,),
            )

    def _rows(self, key: int, start: int, end: int) -> Iterable[tuple[int, int, int, float]]:
        for level, _ in LEVELS:
            yield from (
                (level, *_sample(row))
                for row in self._database.all(
                    "SELECT at, number, total FROM samples WHERE series = ? AND step = ? AND at > ? AND at < ? ORDER"
                    " BY at",
                    (key, level, start - level, end),
                )
            )

    def _known(self, environment: str, signal: str) -> int | None:
        row = self._database.one(
            "SELECT id FROM sample_series WHERE environment = ? AND signal = ?", (environment, signal)
        )
        return int(row[0]) if row else None
