"""Rows drawn again: class by class, in whole groups, or in blocks of neighbouring times.

What belongs together is drawn together, so that an interval is as wide as the number of independent units says, not
that of rows: the rows of one query, one series or one customer (cluster bootstrap), and the rows of neighbouring times
(circular block bootstrap, Politis and Romano 1992). Without either, classes keep their share in every resample.

Above MAX_RESAMPLED_ROWS rows each resample draws only so many of them, and the deviations from the value on all rows
are scaled by sqrt(drawn / rows): the m-out-of-n bootstrap, which is consistent for all metrics here and bounds the cost
of a gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..domain.frozen import Frozen
from ..domain.metrics import BINARY, MULTICLASS
from .metrics import ModelAnswers

if TYPE_CHECKING:
    from numpy.random import Generator

    from .metrics.model import Rows

MAX_RESAMPLED_ROWS = 25_000
# With fewer blocks of times than this, series that are drawn whole tell more.
_LEAST_BLOCKS = 20
# More classes than this are drawn in one call: by then the calls cost more than the draws.
_MAX_STRATA = 20


class Draw(Frozen):
    """Rows with repetition, and the factor that scales what they deviate by."""

    rows: Rows
    shrink: float


def units_of(answers: ModelAnswers) -> int:
    """Returns how many independent units the rows have: blocks, groups, or rows."""
    blocks, groups = _blocks(answers), answers.units.groups
    if _by_time(answers):
        return blocks
    return answers.rows if groups is None else int(groups.max(initial=-1)) + 1


def least_units(answers: ModelAnswers) -> int:
    """Returns the number of units of the rarest kind: rows of the rarest class that occurs where classes are drawn one
    by one, else all units."""
    import numpy as np

    if not _by_class(answers):
        return units_of(answers)
    counts = np.unique(answers.truth, return_counts=True)[1]
    return int(counts.min(initial=answers.rows))


def draws(answers: ModelAnswers, resamples: int, seed: int) -> Iterator[Draw]:
    """Returns `resamples` draws of the rows, the same ones for the same seed and the same units."""
    import numpy as np

    generator = np.random.default_rng(seed)
    if _by_time(answers):
        return _in_blocks(answers, resamples, generator)
    if answers.units.groups is not None:
        return _in_groups(answers, resamples, generator)
    return _by_classes(answers, resamples, generator)


def _by_class(answers: ModelAnswers) -> bool:
    alone = answers.units.groups is None and answers.units.times is None
    return alone and answers.task in (BINARY, MULTICLASS)


def _blocks(answers: ModelAnswers) -> int:
    times = answers.units.times
    return 0 if times is None else -(-(int(times.max(initial=-1)) + 1) // answers.units.block)


def _by_time(answers: ModelAnswers) -> bool:
    """Tells whether times are drawn: where there are enough of them, or no more series than blocks."""
    blocks, groups = _blocks(answers), answers.units.groups
    if not blocks:
        return False
    return groups is None or blocks >= _LEAST_BLOCKS or blocks >= int(groups.max(initial=-1)) + 1


def _by_classes(answers: ModelAnswers, resamples: int, generator: Generator) -> Iterator[Draw]:
    import numpy as np

    strata: list[Any] = [np.arange(answers.rows)]
    if _by_class(answers):
        strata = [np.flatnonzero(answers.truth == value) for value in np.unique(answers.truth)]
    share = min(1.0, MAX_RESAMPLED_ROWS / answers.rows)
    sizes = [max(1, round(stratum.size * share)) for stratum in strata]
    # A rare class has a larger share drawn, at least one row: it decides by how much values are drawn too far apart.
    shrink = max(size / stratum.size for stratum, size in zip(strata, sizes, strict=True)) ** 0.5
    if len(strata) > _MAX_STRATA:
        together, within = np.concatenate(strata), np.asarray([stratum.size for stratum in strata])
        begins, highest = np.repeat(within.cumsum() - within, sizes), np.repeat(within, sizes)
        for _ in range(resamples):
            yield Draw(together[begins + generator.integers(0, highest)], shrink)
        return
    for _ in range(resamples):
        drawn = [
            stratum[generator.integers(0, stratum.size, size)] for stratum, size in zip(strata, sizes, strict=True)
        ]
        yield Draw(np.concatenate(drawn), shrink)


def _in_groups(answers: ModelAnswers, resamples: int, generator: Generator) -> Iterator[Draw]:
    assert answers.units.groups is not None
    units = _Members(answers.units.groups)
    share = min(1.0, MAX_RESAMPLED_ROWS / answers.rows)
    size = max(1, round(units.many * share))
    for _ in range(resamples):
        yield Draw(units.rows(generator.integers(0, units.many, size)), (size / units.many) ** 0.5)


def _in_blocks(answers: ModelAnswers, resamples: int, generator: Generator) -> Iterator[Draw]:
    """Draws blocks of neighbouring times, the first time following the last one, until there are as many times as
    before."""
    import numpy as np

    assert answers.units.times is not None
    units, block = _Members(answers.units.times), answers.units.block
    share = min(1.0, MAX_RESAMPLED_ROWS / answers.rows)
    size = max(1, round(units.many * share))
    within = np.arange(block)
    for _ in range(resamples):
        starts = generator.integers(0, units.many, -(-size // block))
        times = ((starts[:, None] + within) % units.many).ravel()[:size]
        yield Draw(units.rows(times), (size / units.many) ** 0.5)


class _Members:
    """The rows of each unit."""

    def __init__(self, codes: Rows) -> None:
        import numpy as np

        self._order = np.argsort(codes, kind="stable")
        self._sizes = np.bincount(codes)
        self._starts = np.concatenate([[0], self._sizes.cumsum()[:-1]])
        self.many = len(self._sizes)

    def rows(self, units: Rows) -> Rows:
        """Returns the rows of these units, one after the other."""
        import numpy as np

        sizes = self._sizes[units]
        ends = sizes.cumsum()
        places = np.arange(int(ends[-1])) - np.repeat(ends - sizes, sizes)
        return self._order[np.repeat(self._starts[units], sizes) + places]
