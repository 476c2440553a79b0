"""What a distance is without any change: two samples drawn from the reference itself, one of its own size and one of
the window's, again and again (the bootstrap of two samples under the hypothesis that they are of one distribution;
Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 16).

Both are drawn, because the reference is a sample too: a distance from few rows is large by their chance alone.

A column of numbers is drawn by rank. What was drawn of a rank says how much of every column lies below it, so one
draw serves all columns of the same length. A column of categories is drawn by its counts, with a place for values that
the reference never had: about as many rows have one as it has values that occur once (Good, 1953; one at least).

Two measures need more than that. Draws from a reference repeat its rows, and Kolmogorov and Smirnov's statistic of
samples with ties is smaller than that of samples without. It depends on the order of the rows alone, and without any
change each order is as likely as any other: so orders are drawn (`of_orders`). And what a long tail does to the earth
mover's distance shows neither in a reference that happens to have none of it nor in draws from it: so a distance that
would ring is also held against those of both samples with their rows exchanged (`exchanged`), a test that holds
whatever the distribution is (Fisher; Pitman, 1937). That costs seconds, so only what would ring is asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from .bins import MAX_VALUES, number_of_bins
from .distances import CHI2, JS, KS, PSI, WASSERSTEIN, chi2_of_counts, js_of_shares, psi_of_shares

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Array = NDArray[Any]

# With so many, a rate of one in a few hundred is read from them directly; a rarer one is extrapolated (tails.py).
RESAMPLES = 4000
SEED = 20_240_229
# Ranks that are drawn at a time: what they need stays in the processor's caches.
_DRAWN_AT_ONCE = 400_000
_LEAST_DEVIATION = 0.001


def of_counts(
    measure: str, values: Array, counts: Array, rows: int, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Array:
    """Returns the distances of windows of `rows` rows of a column by value. `counts` are the reference's rows with
    each of the `values`, which ascend."""
    import numpy as np

    total = int(counts.sum())
    unseen = max(1, int((counts == 1).sum()))
    shares = np.append(counts, unseen) / (total + unseen)
    generator: Generator = np.random.default_rng(seed)
    reference = generator.multinomial(total, shares, size=resamples)
    current = generator.multinomial(rows, shares, size=resamples)
    if measure == CHI2:
        return chi2_of_counts(reference, current) / rows
    if measure in (PSI, JS):
        return _OF_SHARES[measure](reference / total, current / rows)
    gaps = np.abs((reference / total).cumsum(axis=-1) - (current / rows).cumsum(axis=-1))
    if measure == KS:
        return gaps.max(axis=-1)
    # Where a value lies that was never seen is not known: as far beyond the last one as the others are apart.
    apart = float(values[-1]) - float(values[0]) or 1.0
    places = np.append(values.astype(float), float(values[-1]) + apart)
    return (gaps[:, :-1] @ np.diff(places)) / _deviations(reference / total, places)


def of_numbers(
    measure: str, columns: Mapping[str, Array], rows: int, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Array]:
    """Returns the distances of windows of `rows` rows of columns of numbers, which are sorted, of one length, and have
    more than MAX_VALUES different values each."""

    length = len(next(iter(columns.values())))
    draws = (_orders if measure == KS else _draws)(length, rows, resamples, seed)
    return _judge({name: _JUDGES[measure](column, rows) for name, column in columns.items()}, draws, resamples)


def exchanged(
    samples: Mapping[str, tuple[Array, Array]], *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Array]:
    """Returns column -> earth mover's distances when the rows of both samples, the reference's and the window's, are
    exchanged at random. They are numbers."""
    import numpy as np

    groups: dict[tuple[int, int], dict[str, _Wasserstein]] = {}
    for name, (reference, current) in samples.items():
        sizes = len(reference), len(current)
        groups.setdefault(sizes, {})[name] = _Wasserstein(np.sort(np.concatenate([reference, current])), sizes[1])
    found: dict[str, Array] = {}
    for (length, rows), judges in groups.items():
        found |= _judge(judges, _orders(length, rows, resamples, seed), resamples)
    return found


def _judge(
    judges: Mapping[str, Callable[[_Drawn], Array]], draws: Iterable[_Drawn], resamples: int
) -> dict[str, Array]:
    import numpy as np

    found = {name: np.empty(resamples) for name in judges}
    done = 0
    for drawn in draws:
        for name, judge in judges.items():
            found[name][done : done + len(drawn)] = judge(drawn)
        done += len(drawn)
    return found


class _Drawn:
    """Some resamples by rank: `reference` and `current` are the shares of rows up to each rank, the first of which is
    of none."""

    def __init__(self, reference: Array, current: Array) -> None:
        self.reference, self.current = reference, current
        self._gaps: Array | None = None

    def __len__(self) -> int:
        return len(self.reference)

    @property
    def gaps(self) -> Array:
        """The differences of both up to each rank, without signs."""
        if self._gaps is None:
            self._gaps = abs(self.reference - self.current)
        return self._gaps


def _draws(length: int, rows: int, resamples: int, seed: int) -> Iterator[_Drawn]:
    import numpy as np

    generator: Generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // (length + rows))
    for begin in range(0, resamples, at_once):
        number = min(at_once, resamples - begin)
        yield _Drawn(*(_cumulated(generator, number, length, size) for size in (length, rows)))


def _cumulated(generator: Generator, number: int, length: int, size: int) -> Array:
    """Returns, of `number` samples of `size` ranks, the share of rows up to each rank, beginning with none."""
    import numpy as np

    ranks = generator.integers(0, length, (number, size))
    ranks += np.arange(number)[:, None] * length
    counts = np.bincount(ranks.ravel(), minlength=number * length).reshape(number, length)
    shares = np.zeros((number, length + 1))
    np.cumsum(counts, axis=1, out=shares[:, 1:])
    shares /= size
    return shares


def _orders(length: int, rows: int, resamples: int, seed: int) -> Iterator[_Drawn]:
    """Yields orders in which the rows of both samples may lie, one rank for each of them."""
    import numpy as np

    generator: Generator = np.random.default_rng(seed)
    both = length + rows
    at_once = max(1, _DRAWN_AT_ONCE // both)
    for begin in range(0, resamples, at_once):
        number = min(at_once, resamples - begin)
        order = np.zeros((number, both + 1))
        for each in order:
            each[1 + generator.choice(both, rows, replace=False, shuffle=False)] = 1.0
        current = np.cumsum(order, axis=1, out=order)
        reference = np.arange(both + 1) - current
        current /= rows
        reference /= length
        yield _Drawn(reference, current)


class _ByBins:
    """Distances of shares over Sturges' bins between the least and the largest value that were drawn."""

    def __init__(self, column: Array, rows: int) -> None:
        import numpy as np

        self._column = column
        self._steps = np.linspace(0.0, 1.0, number_of_bins(len(column) + rows) + 1)

    def shares(self, drawn: _Drawn) -> tuple[Array, Array]:
        import numpy as np

        both = drawn.reference + drawn.current
        low = self._column[(both[:, 1:] > 0).argmax(axis=1)]
        high = self._column[(both[:, 1:] >= both[:, -1:]).argmax(axis=1)]
        edges = low[:, None] + (high - low)[:, None] * self._steps
        below = np.searchsorted(self._column, edges.ravel(), side="left").reshape(edges.shape)
        below[:, -1] = len(self._column)
        return tuple(  # type: ignore[return-value] - two of them
            np.diff(np.take_along_axis(each, below, axis=1), axis=1) for each in (drawn.reference, drawn.current)
        )


class _Psi(_ByBins):
    def __call__(self, drawn: _Drawn) -> Array:
        return psi_of_shares(*self.shares(drawn))


class _Js(_ByBins):
    def __call__(self, drawn: _Drawn) -> Array:
        return js_of_shares(*self.shares(drawn))


class _Ks:
    """Kolmogorov and Smirnov's statistic: the largest gap, where a value ends. Both samples have as much of each value
    as the reference; values that occur once in it are of a continuum, in which no two rows are alike."""

    def __init__(self, column: Array, rows: int) -> None:
        import numpy as np

        ends = np.append(np.flatnonzero(np.diff(column)) + 1, len(column))
        if len(ends) == len(column):
            self._ends = None
            return
        alone = np.diff(ends, prepend=0) == 1
        places = np.round(np.append(0, ends) * (1 + rows / len(column))).astype(int)
        within = np.zeros(len(column) + rows + 1, dtype=bool)
        within[places] = True
        for begin, end in zip(places[:-1][alone], places[1:][alone], strict=True):
            within[begin:end] = True
        self._ends = np.flatnonzero(within)

    def __call__(self, drawn: _Drawn) -> Array:
        return (drawn.gaps if self._ends is None else drawn.gaps[:, self._ends]).max(axis=1)


class _Wasserstein:
    """The earth mover's distance: the gaps times the distances from one value to the next."""

    def __init__(self, column: Array, rows: int) -> None:
        import numpy as np

        self._values = column.astype(float)
        self._distances = np.diff(self._values)

    def __call__(self, drawn: _Drawn) -> Array:
        import numpy as np

        moved = drawn.gaps[:, 1:-1] @ self._distances
        return moved / _deviations(np.diff(drawn.reference, axis=1), self._values)


def _deviations(shares: Array, values: Array) -> Array:
    """Returns the standard deviation of each row of shares of values."""
    import numpy as np

    centred = values - values.mean()
    means = shares @ centred
    return cast("Array", np.maximum(np.sqrt(np.maximum(shares @ centred**2 - means**2, 0.0)), _LEAST_DEVIATION))


_OF_SHARES = {PSI: psi_of_shares, JS: js_of_shares}
_JUDGES = {PSI: _Psi, JS: _Js, KS: _Ks, WASSERSTEIN: _Wasserstein}


def null(measure: str, columns: Mapping[str, Array], rows: int, **more: Any) -> dict[str, Array]:
    """Returns column -> distances of windows of `rows` rows without any change. `columns` are the reference's, without
    missing values; each may have another length."""
    import numpy as np

    found: dict[str, Array] = {}
    groups: dict[int, dict[str, Array]] = {}
    for name, column in columns.items():
        values, counts = np.unique(column, return_counts=True)
        numbers = column.dtype.kind in "iuf"
        if numbers and len(values) > MAX_VALUES:
            groups.setdefault(len(column), {})[name] = np.sort(column)
        else:
            found[name] = of_counts(measure, values, counts, rows, **more)
    for group in groups.values():
        found |= of_numbers(measure, group, rows, **more)
    return found
