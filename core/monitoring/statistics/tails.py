"""The chance of a distance without any change, and the distance that is exceeded at a stated chance.

Resampling shows chances down to a few per cent of a per cent. What is rarer, as it is with many columns and an alarm a
month, is extrapolated: beyond the largest twentieth of the resamples the tail is taken as exponential, in the distance
for PSI and chi-square, whose tails are those of a chi-square, and in its square for the others, which are roots of
such a one or, as Kolmogorov and Smirnov's, have a normal tail (Dvoretzky, Kiefer and Wolfowitz, 1956). Where the
resamples show a heavier tail, it is a generalised Pareto's (Pickands, 1975; Knijnenburg and others, Fewer permutations,
more accurate P-values, 2009). Its scale is taken a standard error larger than it was found, and so is the number of
resamples beyond a distance: too few resamples err to silence. All references are drawn from with the same seed, so
that luck in its few draws of the tail would otherwise be that of every monitor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ...domain.frozen import Frozen
from .distances import CHI2, PSI

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TAIL_SHARE = 0.05
# Shapes of Pareto's tail that are told from none only beyond so many standard errors, and never above this one.
_MIN_ERRORS, _MAX_SHAPE = 2.0, 0.5
# The body of the resamples is kept as so many of them, evenly spaced.
_BODY = 200
_LEAST_CHANCE = 1e-12
# Significant digits of a distance.
_DIGITS = 7


class Null(Frozen):
    """The distances of windows without any change, as far as a chance is asked of them."""

    resamples: int
    body: tuple[float, ...]
    """Distances at evenly spaced chances, ascending."""
    tail: tuple[float, ...]
    """The largest distances, ascending; the first of them is where the tail begins."""
    power: float
    """The tail is that of the distance to this power."""

    def p_value(self, value: float) -> float:
        """Returns the chance of a distance of `value` or more, 0..1."""
        if value <= self.tail[0]:
            return max(1.0 - sum(each < value for each in self.body) / len(self.body), self._share)
        beyond = sum(each >= value for each in self.tail)
        seen = (beyond + math.sqrt(beyond)) / (self.resamples + 1)
        return min(self._share, max(seen, self._extrapolated(value)))

    def critical(self, chance: float) -> float:
        """Returns the distance that is exceeded with this chance, 0..1: those and only those beyond it have a smaller
        p-value."""
        if chance >= self._share:
            return self.body[min(len(self.body) - 1, int((1.0 - chance) * len(self.body)))]
        # The most resamples beyond it of which, with a standard error more, the chance is not above the stated one.
        root = (math.sqrt(1.0 + 4.0 * chance * (self.resamples + 1)) - 1.0) / 2.0
        seen = self.tail[-1 - min(len(self.tail) - 1, int(root * root))]
        scale, shape = self._scale
        ratio = self._share / max(chance, _LEAST_CHANCE)
        excess = scale * math.log(ratio) if shape == 0 else scale / shape * (ratio**shape - 1.0)
        return max(seen, (self.tail[0] ** self.power + excess) ** (1.0 / self.power))

    @property
    def _share(self) -> float:
        """The chance of a distance in the tail."""
        return len(self.tail) / (self.resamples + 1)

    def _extrapolated(self, value: float) -> float:
        excess = value**self.power - self.tail[0] ** self.power
        scale, shape = self._scale
        if scale == 0:
            return 0.0
        rarer = math.exp(-excess / scale) if shape == 0 else (1.0 + shape * excess / scale) ** (-1.0 / shape)
        return self._share * rarer

    @property
    def _scale(self) -> tuple[float, float]:
        """Scale and shape of the tail, by moments weighted by probability (Hosking and Wallis, 1987)."""
        floor = self.tail[0] ** self.power
        excesses = [each**self.power - floor for each in self.tail[1:]]
        number = len(excesses)
        mean = math.fsum(excesses) / number if number else 0.0
        if mean <= 0:
            return 0.0, 0.0
        weighted = math.fsum(each * (number - 1 - rank) for rank, each in enumerate(excesses)) / (number * (number - 1))
        shape = 2.0 - mean / (mean - 2.0 * weighted)
        error = 1.0 / math.sqrt(number)
        if shape < _MIN_ERRORS * error:
            return mean * (1.0 + error), 0.0
        shape = min(shape, _MAX_SHAPE)
        return mean * (1.0 - shape) * (1.0 + error), shape


class Stricter(Frozen):
    """Several of one distance: it rings only if it does by each of them."""

    nulls: tuple[Law, ...]

    def p_value(self, value: float) -> float:
        """Returns the largest chance of a distance of `value` or more, 0..1."""
        return max(each.p_value(value) for each in self.nulls)

    def critical(self, chance: float) -> float:
        """Returns the largest distance that is exceeded with this chance, 0..1."""
        return max(each.critical(chance) for each in self.nulls)


Law = Null | Stricter


def null_of(measure: str, distances: NDArray[Any]) -> Null:
    """Returns what is kept of resampled distances."""
    import numpy as np

    ordered = np.sort(distances)
    size = len(ordered)
    tail = max(3, round(size * _TAIL_SHARE))
    places = np.minimum(size - 1, ((np.arange(_BODY) + 0.5) / _BODY * size).astype(int))
    power = 1.0 if measure in (PSI, CHI2) else 2.0
    body, top = (tuple(_short(each) for each in part.tolist()) for part in (ordered[places], ordered[-tail:]))
    return Null(size, body, top, power)


def _short(distance: float) -> float:
    """Returns a distance as it is kept, so that what is found again is what was computed."""
    return float(f"{distance:.{_DIGITS}g}")
