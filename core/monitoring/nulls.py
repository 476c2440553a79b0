"""What is known of each column of a reference without any change (statistics/resampling.py), kept in
`.podium/monitors/`: it costs seconds, and is the same until the reference or the size of the window changes.

What is kept is found by a digest of the column's rows, so it is never that of another reference. It is computed again
when it is gone or damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import UNREADABLE
from ..replacing import replace_file
from .columns import Column
from .statistics import resampling
from .statistics.tails import Null, null_of

DIRECTORY = "monitors"
# Written into each file: another way to resample makes other distances.
_FORM = 2


def nulls(
    state: Path, monitor: str, measure: str, columns: Mapping[str, Column], sizes: Mapping[str, int]
) -> dict[str, Null]:
    """Returns column -> its distances without any change. `columns` are the reference's, and `sizes` has the rows of
    the window that have a value: they are rounded down, so that what is kept serves windows of about this size, and
    never rings more often than was stated."""
    found: dict[str, Null] = {}
    groups: dict[int, dict[str, Column]] = {}
    for name, column in columns.items():
        groups.setdefault(rounded(sizes[name]), {})[name] = column
    for rows, group in groups.items():
        path = state / DIRECTORY / f"{monitor}.{measure}.{rows}.json"
        found |= _of_size(path, measure, group, rows)
    return found


def rounded(rows: int) -> int:
    """Returns a number of rows to its first two digits, rounded down."""
    unit = 10 ** max(0, len(str(rows)) - 2)
    return rows // unit * unit


def _of_size(path: Path, measure: str, columns: Mapping[str, Column], rows: int) -> dict[str, Null]:
    digests = {name: _digest(column) for name, column in columns.items()}
    kept = _read(path)
    found = {name: kept[digest] for name, digest in digests.items() if digest in kept}
    missing = {name: column.cells for name, column in columns.items() if name not in found}
    if missing:
        drawn = resampling.null(measure, missing, rows)
        found |= {name: null_of(measure, distances) for name, distances in drawn.items()}
        _write(path, {digests[name]: each for name, each in found.items()})
    with suppress(OSError):
        os.utime(path)  # what is used stays
    return found


def _digest(column: Column) -> str:
    cells = column.cells
    data = cells.tobytes() if column.numeric else "\0".join(map(str, cells.tolist())).encode("utf-8", "replace")
    return hashlib.sha256(f"{cells.dtype} {len(cells)} ".encode() + data).hexdigest()[:32]


def _read(path: Path) -> dict[str, Null]:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        if document["form"] != [_FORM, resampling.RESAMPLES, resampling.SEED]:
            return {}
        return {
            str(digest): Null(int(each[0]), tuple(map(float, each[1])), tuple(map(float, each[2])), float(each[3]))
            for digest, each in document["columns"].items()
        }
    except (OSError, *UNREADABLE):
        return {}


def _write(path: Path, found: Mapping[str, Null]) -> None:
    """Keeps what was computed; a disk that is full keeps nothing from being measured."""
    columns = {digest: [each.resamples, each.body, each.tail, each.power] for digest, each in found.items()}
    document = {"form": [_FORM, resampling.RESAMPLES, resampling.SEED], "columns": columns}
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(path, json.dumps(document, separators=(",", ":")))
