"""What a report keeps to be drawn: which classes were taken for which, and whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..domain.metrics import BINARY, MULTICLASS
from ..domain.text import one_line
from ..domain.verdicts import CalibrationBin, Confusion, FlippedRow, Flips

if TYPE_CHECKING:
    from .metrics import ModelAnswers

MOST_CLASSES = 20
BINS = 10
MOST_FLIPS = 100
# Of the inputs of rows that are named: columns, characters of a value; and how much is looked at to put the columns in
# their order.
MOST_COLUMNS, MOST_LETTERS = 40, 60
_MOST_CANDIDATES, _MOST_ROWS, _MOST_CATEGORIES = 1_000, 20_000, 50


def confusion(answers: ModelAnswers) -> Confusion | None:
    """Returns how many rows of each class were taken for which; None for other tasks, without labels, or of more than
    MOST_CLASSES classes."""
    import numpy as np

    if answers.task not in (BINARY, MULTICLASS) or answers.labels is None:
        return None
    names = tuple(str(name) for name in answers.classes)
    if not 2 <= len(names) <= MOST_CLASSES:
        return None
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (_whole(answers.truth), _whole(answers.labels)), 1)
    return Confusion(names, tuple(tuple(int(each) for each in row) for row in counts))


def calibration(answers: ModelAnswers) -> tuple[CalibrationBin, ...]:
    """Returns for each tenth of the probabilities what was predicted and what came true: of the positive class, or of
    several the most likely one. Empty without probabilities."""
    import numpy as np

    if answers.task not in (BINARY, MULTICLASS) or answers.scores is None or not answers.probabilities:
        return ()
    scores = np.asarray(answers.scores, dtype=float)
    truth = _whole(answers.truth)
    if scores.ndim == 2:
        best = scores.argmax(axis=1)
        predicted, came_true = scores[np.arange(len(best)), best], truth == best
    else:
        predicted, came_true = scores, truth == 1
    places = np.minimum((predicted * BINS).astype(int), BINS - 1)
    found: list[CalibrationBin] = []
    for place in range(BINS):
        here = places == place
        if here.any():
            found.append(CalibrationBin(float(predicted[here].mean()), float(came_true[here].mean()), int(here.sum())))
    return tuple(found)


def flips(answers: ModelAnswers, before: ModelAnswers) -> Flips | None:
    """Returns on which rows a model is right where another one was wrong, and the other way round; at most MOST_FLIPS
    of them by name. None for other tasks, without labels, and where both were not asked the same."""
    import numpy as np

    if answers.task not in (BINARY, MULTICLASS) or answers.task != before.task or answers.classes != before.classes:
        return None
    if answers.labels is None or before.labels is None or not np.array_equal(answers.truth, before.truth):
        return None
    truth, mine, other = (_whole(each) for each in (answers.truth, answers.labels, before.labels))
    worse = np.flatnonzero((other == truth) & (mine != truth))
    better = np.flatnonzero((other != truth) & (mine == truth))
    shown = worse[: max(MOST_FLIPS // 2, MOST_FLIPS - len(better))]
    shown = [*shown, *better[: MOST_FLIPS - len(shown)]]
    names = [str(each) for each in answers.classes]
    numbers = answers.index if answers.index is not None else np.arange(len(truth))

    def named(answers: Any, at: int) -> str:
        return names[int(answers[at])]

    rows = (
        FlippedRow(int(numbers[at]) + 1, named(truth, at), named(other, at), named(mine, at)) for at in map(int, shown)
    )
    return Flips(len(better), len(worse), tuple(rows))


def with_inputs(
    found: Flips, inputs: Any, say: Callable[[str], str], kept: Callable[[Any], Any] = lambda value: value
) -> Flips:
    """Returns the same with the inputs of the rows that are named, from a table of all rows: its columns in which these
    rows differ most from all, the most telling first. `kept` leaves out of a value what is not to be kept, and `say`
    makes a text fit for it."""
    from dataclasses import replace

    places = [each.row - 1 for each in found.rows]
    if not places:
        return found
    inputs = inputs.loc[:, ~inputs.columns.duplicated()]
    columns = _telling(inputs, [each.row - 1 for each in found.rows if each.worse] or places)[:MOST_COLUMNS]
    chosen = inputs[columns].iloc[places]
    rows = [
        replace(each, values=tuple(_cut(say(_written(kept(value)))) for value in values))
        for each, values in zip(found.rows, chosen.itertuples(index=False, name=None), strict=True)
    ]
    return replace(found, rows=tuple(rows), columns=tuple(map(str, columns)))


def _written(value: Any) -> str:
    return one_line(f"{value:.6g}" if isinstance(value, float) else str(value))


def _beginning(value: Any) -> str:
    """Returns enough of a value to tell it from others: it may be a whole picture, or a document."""
    return str(value[:MOST_LETTERS] if isinstance(value, (bytes, str)) else value)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"


def _telling(inputs: Any, places: list[int]) -> list[Any]:
    """Returns the columns, first those whose values in some rows are furthest from those in all: by the largest
    difference of the distribution functions of numbers, of the shares of categories."""
    step = -(-len(inputs) // _MOST_ROWS)
    columns = list(inputs.columns[:_MOST_CANDIDATES])
    some, everything = inputs[columns].iloc[places], inputs[columns].iloc[::step]
    distance = {name: _distance(some[name], everything[name]) for name in columns}
    return sorted(columns, key=lambda name: -distance[name])


def _distance(some: Any, everything: Any) -> float:
    """Returns how far apart two samples of a column are, 0..1; 0 where it cannot be said."""
    import numpy as np

    if everything.dtype.kind in "iuf":
        mine, all_ = (np.sort(each.dropna().to_numpy(dtype=float)) for each in (some, everything))
        if not len(mine) or not len(all_):
            return 0.0
        at = np.concatenate([mine, all_])
        shares = [np.searchsorted(each, at, side="right") / len(each) for each in (mine, all_)]
        return float(np.abs(shares[0] - shares[1]).max())
    mine, all_ = (each.map(_beginning).value_counts(normalize=True) for each in (some, everything))
    if len(all_) > _MOST_CATEGORIES:
        return 0.0  # names and times of rows differ in any few of them
    return float(mine.subtract(all_, fill_value=0.0).abs().sum() / 2)


def _whole(values: Any) -> Any:
    import numpy as np

    return np.asarray(values).astype(np.int64)
