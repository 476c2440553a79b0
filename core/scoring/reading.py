"""Reads one part of a file, some thousands of rows at a time."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

from ..quality.column_types import typed
from ..quality.metrics import Unmeasurable
from .sources import PARQUET

BATCH_ROWS = 1 << 14
# What pandas takes for a missing value, which is right in a column of numbers; in text only nothing is one.
_MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip

# csv.writer quotes the cells that have a sign of it.
_END = "\r\n"

# What of a part is written again, and what the model is asked. Of a Parquet file the first is a record batch; of a CSV
# a text for each row, the cells as they were written, so that a number comes out as it came in.
Batch = tuple[Any, Any]


def batches(
    path: Path,
    kind: str,
    span: tuple[int, int],
    *,
    names: Sequence[str],
    shown: str,
    asked: Sequence[str],
    types: Mapping[str, str],
    kept: Sequence[str],
) -> Iterator[Batch]:
    """Yields rows of the columns `kept`, with a table of the columns `asked` that has the signature's `types`; `names`
    are all columns of a CSV. Raises Unmeasurable for a column that holds something else than its type, and for a row
    that has more cells than the file has columns."""
    found = _parquet(path, span, asked, types, kept) if kind == PARQUET else _csv(path, span, names, asked, types, kept)
    for rows, table in found:
        yield rows, typed(table, types, shown)


def _parquet(
    path: Path, span: tuple[int, int], asked: Sequence[str], types: Mapping[str, str], kept: Sequence[str]
) -> Iterator[Batch]:
    import pyarrow.parquet

    with cast("Any", pyarrow.parquet).ParquetFile(path) as file:
        columns = list(dict.fromkeys((*kept, *asked)))
        groups, skipped = _groups(file, span)
        left = span[1] - span[0]
        for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=columns):
            start = min(skipped, batch.num_rows)
            skipped -= start
            rows = batch.slice(start, left)
            left -= rows.num_rows
            if rows.num_rows:
                yield rows.select(list(kept)), _as_columns(rows.select(list(asked)), types).to_pandas()
            if not left:
                return


def _as_columns(batch: Any, types: Mapping[str, str]) -> Any:
    """Returns the batch without pandas' note of what was an index: a version that names its columns is asked about a
    column of that name."""
    metadata = cast("dict[bytes, bytes]", batch.schema.metadata or {})
    if not types or b"pandas" not in metadata:
        return batch
    plain = json.dumps({**json.loads(metadata[b"pandas"]), "index_columns": []})
    return batch.replace_schema_metadata({**metadata, b"pandas": plain.encode()})


def _groups(file: Any, span: tuple[int, int]) -> tuple[list[int], int]:
    """Returns the row groups that have rows of the span, and how many rows of the first one come before it."""
    found: list[int] = []
    skipped = at = 0
    for number in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        if at < span[1] and at + rows > span[0]:
            skipped = skipped if found else span[0] - at
            found.append(number)
        at += rows
    return found, max(0, skipped)


# -- CSV


def _csv(
    path: Path,
    span: tuple[int, int],
    names: Sequence[str],
    asked: Sequence[str],
    types: Mapping[str, str],
    kept: Sequence[str],
) -> Iterator[Batch]:
    import pandas

    text = [name for name in asked if types.get(name, "string") in ("string", "datetime")]
    missing = {name: [""] if name in text else list(_MISSING) for name in asked}
    with path.open("rb") as opened, io.BufferedReader(_Piece(opened, span)) as piece:
        for rows, block in _blocks(piece, names, kept):
            table = cast("Any", pandas).read_csv(
                io.BytesIO(block), header=None, names=list(names), usecols=list(asked), index_col=False,
                dtype=dict.fromkeys(text, str), na_values=missing, keep_default_na=False, low_memory=False,
                encoding="utf-8", skip_blank_lines=False,
            )  # fmt: skip
            if len(table) != len(rows):
                raise Unmeasurable(f"{len(rows)} rows were read as {len(table)}", hint="Are its line ends usual ones?")
            yield rows, table[list(asked)]


def _blocks(piece: Iterator[bytes], names: Sequence[str], kept: Sequence[str]) -> Iterator[tuple[list[str], bytes]]:
    """Yields some thousands of rows at a time: the text of what is kept of each, and all of them as bytes. Where cells
    are quoted they are taken apart one by one; else a line is a row."""
    places = [names.index(name) for name in kept]
    while lines := list(islice(piece, BATCH_ROWS)):
        if not _plain(lines, len(names)):
            yield from _quoted_blocks(_Ahead(lines, piece), names, places)
            return
        rows = [line.rstrip(b"\r\n") for line in lines if line.strip()]
        if rows:
            yield _kept(rows, places, len(names)), b"\n".join(rows)


def _plain(lines: Sequence[bytes], columns: int) -> bool:
    """Tells whether each line is a row of so many cells, between commas and nothing else."""
    block = b"".join(lines)
    if b'"' in block or block.count(b"\r") != sum(line.endswith(b"\r\n") for line in lines):
        return False
    return all(line.count(b",") == columns - 1 or not line.strip() for line in lines)


def _kept(rows: Sequence[bytes], places: Sequence[int], columns: int) -> list[str]:
    if list(places) == list(range(columns)):
        return b"\n".join(rows).decode().split("\n")
    if not places:
        return [""] * len(rows)
    chosen = itemgetter(*places)
    cells = (chosen(row.decode().split(",")) for row in rows)
    return [",".join(each) if len(places) > 1 else cast("str", each) for each in cells]


class _Ahead:
    """Lines that were read already, and those that follow, as text."""

    def __init__(self, lines: Sequence[bytes], rest: Iterable[bytes]) -> None:
        self._lines, self._rest = lines, rest

    def __iter__(self) -> Iterator[str]:
        for source in (self._lines, self._rest):
            for line in source:
                yield line.decode()


def _quoted_blocks(lines: _Ahead, names: Sequence[str], places: Sequence[int]) -> Iterator[tuple[list[str], bytes]]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(lines)
    while rows := list(islice(reader, BATCH_ROWS)):
        full = [row + [""] * (len(names) - len(row)) for row in rows if not _empty(row, len(names))]
        wide = next((row for row in full if len(row) > len(names)), None)
        if wide is not None and any(wide[len(names) :]):
            raise Unmeasurable(
                f"a row has {len(wide)} cells, and the file has {len(names)} columns",
                hint="Quote cells with commas in them.",
            )
        if full:
            block = "\n".join(written(row[: len(names)] for row in full))
            yield written([row[place] for place in places] for row in full), f"{block}\n".encode()


def _empty(row: Sequence[str], columns: int) -> bool:
    """Tells whether a row is an empty line. A single column may have a missing value, written as two quotes."""
    return not row or (len(row) == 1 and not row[0].strip() and (columns > 1 or row[0] != ""))


def written(rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns each row as a line of CSV, without its end."""
    lines: list[str] = []
    csv.writer(_Lines(lines), lineterminator=_END).writerows(rows)
    return [line.removesuffix(_END) for line in lines]


class _Lines:
    """What csv.writer writes a row at a time."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


class _Piece(io.RawIOBase):
    """A piece of a file, as a file."""

    def __init__(self, opened: Any, span: tuple[int, int]) -> None:
        self._opened, self._end = opened, span[1]
        opened.seek(span[0])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._opened.read(min(len(buffer), self._end - self._opened.tell()))
        buffer[: len(data)] = data
        return len(data)
