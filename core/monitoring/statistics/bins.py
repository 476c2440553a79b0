"""Two samples as shares over the same bins, as Evidently makes them (legacy/calculations/stattests/utils.py of 0.7):
Sturges' bins over both samples for numbers, a bin for each value where the reference has few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...domain.frozen import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# A column of numbers with so few different values in the reference is compared value by value.
MAX_VALUES = 20
# Below this share, an empty bin counts as a millionth of the smallest one; above it, as this share.
_EMPTY = 0.0001


class Binned(Frozen):
    """Rows of two samples by bin."""

    reference: Array
    """Counts."""
    current: Array
    """Counts."""
    edges: Array | None
    """The bins' edges; None where each value is a bin."""
    values: Array | None
    """Each bin's value; None where there are edges."""

    @property
    def shares(self) -> tuple[Array, Array]:
        """Returns the shares of reference and current, which sum to 1."""
        return self.reference / self.reference.sum(), self.current / self.current.sum()


def is_continuous(reference: Array) -> bool:
    """Tells whether a column is compared by ranges: numbers of more than MAX_VALUES different values."""
    import numpy as np

    return bool(reference.dtype.kind in "iuf") and len(np.unique(reference)) > MAX_VALUES


def binned(reference: Array, current: Array) -> Binned:
    """Returns two samples by bin: neither is empty, numbers are finite."""
    import numpy as np

    if is_continuous(reference):
        edges = np.histogram_bin_edges(np.concatenate([reference, current]), bins="sturges")
        counts = [np.histogram(sample, edges)[0] for sample in (reference, current)]
        return Binned(counts[0], counts[1], edges, None)
    values, places = np.unique(np.concatenate([reference, current]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(values)) for part in (places[: len(reference)], places[len(reference) :])]
    return Binned(counts[0], counts[1], None, values)


def number_of_bins(rows: int) -> int:
    """Returns Sturges' number of bins for so many rows, as numpy counts them."""
    import numpy as np

    return int(np.ceil(np.log2(rows) + 1))


def without_zeros(shares: Array) -> Array:
    """Returns shares in which empty bins have a little, so that their logarithm exists. The last axis has the bins."""
    import numpy as np

    least = np.where(shares > 0, shares, np.inf).min(axis=-1, keepdims=True)
    filler = np.where(least <= _EMPTY, least / 10**6, _EMPTY)
    return np.where(shares > 0, shares, filler)
