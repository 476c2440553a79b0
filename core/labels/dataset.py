"""Captured and labelled requests as a table to learn from: deduplicated, in the order of time, the newest part apart.

The same requests give the same bytes, with the same version of pyarrow: rows and columns have one order, and the file
says nothing of when or by whom it was written.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..domain.frozen import Frozen
from ..errors import RunFailed
from . import frames
from .store import LabelStore
from .window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

_BLOCK_BYTES = 1 << 20


class Part(Frozen):
    """One file of a dataset."""

    rows: int
    digest: str
    """`sha256:…` of the file."""


class Learned(Frozen):
    """What rows a dataset has."""

    table: DataFrame
    """Inputs and the target, oldest first."""
    at: tuple[float, ...]
    """When each row was predicted, in seconds since the epoch."""
    requests: tuple[str, ...]
    """The id of the request of each row."""
    repeated: int = 0
    """Rows that were left out, because a later request asked for the same thing."""

    @property
    def rows(self) -> int:
        return len(self.at)


def rows_of(store: LabelStore, window: Window, target: str) -> Learned:
    """Returns the rows of captured requests that have a label, oldest first. Of rows with the same key the newest
    counts. Raises RunFailed if there are none, or if an input is called like the target."""
    found = frames.load(store, window.after, window.until, labelled=True, captured=True)
    if not len(found.about):
        raise RunFailed(
            "no request of this window was both captured and labelled",
            hint="`podium labels` shows how many are labelled; environments.*.capture says how many are captured",
        )
    if target in found.inputs.columns:
        raise RunFailed(
            f"requests have an input {target!r}, the name of the target", hint="give the target another name"
        )
    about, inputs = cast("Any", found.about), cast("Any", found.inputs)
    keep, repeated = _newest_of_each(store, about)
    table = inputs.iloc[keep].reset_index(drop=True)
    table[target] = about["label"].iloc[keep].reset_index(drop=True)
    if window.last is not None:
        keep, table = keep[-window.last :], table.iloc[-window.last :].reset_index(drop=True)
    kept = about.iloc[keep]
    return Learned(table, tuple(kept["at"].tolist()), tuple(kept["request_id"].tolist()), repeated)


def _newest_of_each(store: LabelStore, about: Any) -> tuple[list[int], int]:
    """Returns the places of the rows to keep, and how many others have the key of a later one."""
    keys = store.keys(about["number"].tolist())
    last: dict[str, int] = {}
    rows = list(zip(about["number"].tolist(), about["row"].tolist(), strict=True))
    for place, where in enumerate(rows):
        if where in keys:
            last[keys[where]] = place
    kept = [place for place, where in enumerate(rows) if where not in keys or last[keys[where]] == place]
    return kept, len(rows) - len(kept)


def split(learned: Learned, share: float) -> int:
    """Returns how many rows come before the newest `share` of them (0..1), which are at least one. All rows of one
    moment are on one side."""
    place = len(learned.at) - max(1, round(share * len(learned.at)))
    while 0 < place < len(learned.at) and learned.at[place] == learned.at[place - 1]:
        place -= 1
    return place


def parts(learned: Learned, place: int) -> tuple[DataFrame, DataFrame]:
    """Returns the first `place` rows, and the newer ones."""
    table = cast("Any", learned.table)
    return table.iloc[:place], table.iloc[place:].reset_index(drop=True)


def below(base: Path, table: DataFrame, shown: str) -> DataFrame:
    """Returns the rows of a Parquet file with these rows below them, in the file's columns and types. Raises RunFailed
    if the file cannot be read, or if the rows do not fit it."""
    import pandas as pd

    frame: Any = pd
    try:
        first = frame.read_parquet(base)
    except (OSError, ValueError) as error:
        words = str(error).partition("\n")[0][:200]
        raise RunFailed(f"{shown} cannot be read: {words}", hint="`add_to` names a Parquet file of rows") from error
    missing = [name for name in first.columns if name not in table.columns]
    if missing:
        raise RunFailed(
            f"requests have no column {', '.join(map(str, missing[:5]))}, which {shown} has",
            hint="rename it there, leave `add_to` out and join the two in your own step",
        )
    rows = cast("Any", table)[list(first.columns)]
    for name, kind in first.dtypes.items():
        try:
            rows = rows.assign(**{name: _as(rows[name], kind)})
        except (ValueError, TypeError, OverflowError) as error:
            raise RunFailed(
                f"values of {name} cannot be made {kind}, as they are in {shown}",
                hint="bring both to one type in a step of your own",
            ) from error
    return frame.concat([first, rows], ignore_index=True)


def _as(column: Any, kind: Any) -> Any:
    """Returns a column in another type. Raises ValueError, TypeError or OverflowError if that would change a value.
    By itself pandas makes 1 of 1.5, true of every word and of a gap, and a gap of a word that is no category."""
    import pandas as pd

    made = column.astype(kind)
    changed = bool((made.isna() != column.isna()).any())
    if not changed and made.dtype.kind in "iub":
        numbers = cast("Any", pd).to_numeric(column, errors="coerce").astype("float64")
        changed = bool((numbers != made.astype("float64"))[column.notna()].any())
    if changed:
        raise ValueError(f"values of {column.name} would not be the same")
    return made


def write(table: DataFrame, path: Path) -> Part:
    """Writes a Parquet file, as a whole or not at all. Raises RunFailed if a column has values of several types,
    OSError if it cannot be written."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    arrow: Any = pa
    try:
        made = arrow.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    except (ValueError, TypeError, NotImplementedError) as error:  # those of pyarrow, too
        raise RunFailed(
            f"the rows cannot be written as a table: {str(error).partition(chr(10))[0][:200]}",
            hint="a column has values of several types: correct what sends them, or leave them out by the window",
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        cast("Any", parquet).write_table(made, fresh, compression="zstd")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return Part(len(table), _digest(path))


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            found.update(block)
    return f"sha256:{found.hexdigest()}"
