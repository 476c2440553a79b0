"""The rows that a monitor looks at: the latest requests whose inputs or predictions are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ..domain.frozen import Frozen
from ..labels import frames
from ..labels.store import LabelStore
from .moment import Moment, NoData

if TYPE_CHECKING:
    from pandas import DataFrame

# More rows of a window than this are thinned out evenly; of the reference, more than that.
MAX_ROWS = 10_000
MAX_REFERENCE_ROWS = 20_000
# Of a window of more requests, the newest are looked at.
MAX_REQUESTS = 20_000
PREDICTIONS = "predictions"
_PREDICTION = "prediction"
_MAX_PARTS = 100


class Window(Frozen):
    """Some rows and what is known of them."""

    table: DataFrame
    start: float | None
    """The time of the first request, in seconds since the epoch; also `end`, of the last."""
    end: float | None
    versions: tuple[int, ...]
    rows: int
    """How many there were, of which the table may have a part."""

    @property
    def version(self) -> int | None:
        return self.versions[0] if len(self.versions) == 1 else None


def latest(moment: Moment, store: LabelStore, after: float = 0.0) -> Window:
    """Returns the window of a monitor, of requests later than `after`. Raises NoData if it has no rows."""
    monitor = moment.monitor
    captured = monitor.of != PREDICTIONS
    limit = min(MAX_REQUESTS, monitor.rows or MAX_REQUESTS)
    found = frames.load(store, max(after, moment.start), None, limit, captured=captured, rows=monitor.rows)
    window = window_of(found, predictions=not captured, rows=monitor.rows)
    if not window.rows:
        raise NoData(_why_none(moment, captured))
    moment.require_rows(window.rows, f"requests were {'captured' if captured else 'answered'}")
    return window


def _why_none(moment: Moment, captured: bool) -> str:
    name = moment.monitor.environment
    if captured and not moment.project.environments[name].capture:
        return f"{name} captures no requests: set environments.{name}.capture above 0"
    what = "captured" if captured else "answered"
    return f"no request to {name} was {what}" + (" in the window" if moment.monitor.window else " yet")


def window_of(found: frames.RequestFrame, *, predictions: bool, rows: int | None = None) -> Window:
    """Returns the rows of requests as a window: their inputs, or their predictions, and the last `rows` of them."""
    about = cast("Any", found.about)
    table: Any = predicted(about["prediction"].tolist()) if predictions else cast("Any", found.inputs)
    if rows is not None:
        table, about = table.iloc[-rows:], about.iloc[-rows:]
    times, versions = about["at"], about["version"].dropna().unique().tolist()
    return Window(
        thinned(table, MAX_ROWS),
        float(times.min()) if len(times) else None,
        float(times.max()) if len(times) else None,
        tuple(sorted(int(each) for each in versions)),
        len(about),
    )


def thinned(table: Any, most: int) -> Any:
    """Returns at most so many rows of a table, evenly spaced and in their order."""
    import numpy as np

    if len(table) <= most:
        return table
    return table.iloc[np.linspace(0, len(table) - 1, most).astype(int)]


def predicted(values: Sequence[Any]) -> DataFrame:
    """Returns predictions as a table: a column for a number or a word, one for each place of a list, one for each name
    of an object."""
    import pandas as pd

    rows = [_parts(value) for value in values]
    names = list(dict.fromkeys(name for row in rows for name in row))[:_MAX_PARTS]
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows]) for name in names}, index=range(len(rows)))


def _parts(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list):
        return {f"{_PREDICTION}[{place}]": each for place, each in enumerate(cast("list[Any]", value)[:_MAX_PARTS])}
    if isinstance(value, dict):
        return {f"{_PREDICTION}.{name}": each for name, each in cast("dict[str, Any]", value).items()}
    return {_PREDICTION: value}
