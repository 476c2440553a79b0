"""Reads tables of rows: a gate's data, and the training data that it is compared with.

Parquet (a file, or a directory of files with columns in its names), CSV, Feather and JSON lines; the text formats also
with gzip. What is read is what a file says: a word such as `NA` in a column of text stays that word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from ..errors import Interrupted
from .column_types import typed
from .metrics import Unmeasurable
from .reasons import reason

FORMATS = ".parquet, .csv, .feather, .jsonl (the last two with .gz as well), or a directory of .parquet files"
# Rows that are in memory at a time where a table is read in parts.
BATCH_ROWS = 1 << 16
_JSON = (".jsonl", ".ndjson", ".json")
_FEATHER = (".feather", ".arrow")
_SHOWN = 10


def read(path: Path, shown: str, words: tuple[str, ...] = ()) -> Any:
    """Returns the table. `words` are columns of a CSV that are read as text, so that 007 stays 007. Raises
    Unmeasurable if it cannot be read, or has two columns of one name."""
    with _readable(shown):
        kind = _kind(path, shown)
        if kind == "csv":
            table = _csv(path, shown, words)
        elif kind == "json":
            table = _json(path)
        else:
            table = _arrow(path, shown, kind)
        return table


def read_for(path: Path, shown: str, types: Mapping[str, str]) -> Any:
    """Returns the table for a model whose signature has `types` (column -> MLflow's name of the type), with the types
    that a request would get. Raises Unmeasurable as `read` does, and if a column holds something else."""
    table = read(path, shown, tuple(name for name, kind in types.items() if kind == "string"))
    return typed(table, types, shown)


def batches(path: Path, shown: str) -> Iterator[Any]:
    """Yields the table in parts of at most BATCH_ROWS rows, so that a table larger than memory can be gone through.
    Raises Unmeasurable as `read` does."""
    import pandas

    with _readable(shown):
        kind = _kind(path, shown)
        if kind == "csv":
            ensure_unique(_header(path), shown)
            options: dict[str, Any] = {"chunksize": BATCH_ROWS, "low_memory": False}
            words = _words(cast("Any", pandas).read_csv(path, nrows=BATCH_ROWS, low_memory=False))
            yield from _csv_parts(path, words, options)
        elif kind == "json":
            yield from cast("Any", pandas).read_json(path, lines=True, chunksize=BATCH_ROWS, **_PLAIN_JSON)
        else:
            for batch in _dataset(path, shown, kind).to_batches(batch_size=BATCH_ROWS):
                if batch.num_rows:
                    yield batch.to_pandas()


def ensure_unique(names: Iterable[str], shown: str) -> None:
    """Raises Unmeasurable if two columns have one name: which of them a model gets would be chance."""
    twice = [name for name, times in Counter(names).items() if times > 1 and name]
    if twice:
        named = ", ".join(map(repr, twice[:_SHOWN]))
        raise Unmeasurable(
            f"{shown} has more than one column {named}", hint="Rename or remove them: a column's name says which it is."
        )


@contextmanager
def _readable(shown: str) -> Generator[None, None, None]:
    try:
        yield
    except (Unmeasurable, Interrupted):
        raise
    except ImportError as error:
        raise Unmeasurable(f"{shown} cannot be read: {error}", hint="Install pyarrow to read it.") from error
    except Exception as error:  # pandas and pyarrow raise a dozen kinds
        raise Unmeasurable(
            f"{shown} cannot be read: {reason(error)}", hint="Make it again; it may have been cut short."
        ) from error


def _kind(path: Path, shown: str) -> str:
    """Returns csv, json, feather or parquet."""
    if path.is_dir():
        if any(path.rglob("*.parquet")):
            return "parquet"
        raise Unmeasurable(f"the directory {shown} has no .parquet file", hint=f"A table is {FORMATS}.")
    suffixes = [each.lower() for each in path.suffixes]
    last = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else (suffixes or [""])[-1]
    if last in _JSON:
        return "json"
    if last == ".csv" or suffixes[-1:] == [".gz"]:
        return "csv"
    if last == ".parquet":
        return "parquet"
    if last in _FEATHER:
        return "feather"
    raise Unmeasurable(f"{shown} is neither .parquet nor .csv, .feather or .jsonl", hint=f"A table is {FORMATS}.")


def _dataset(path: Path, shown: str, kind: str) -> Any:
    import pyarrow.dataset

    ensure_unique(_names(path, kind), shown)
    # Of a single file, directories such as env=prod above it would become columns.
    partitioning = "hive" if path.is_dir() else None
    return cast("Any", pyarrow.dataset).dataset(path, format=kind, partitioning=partitioning)


def _names(path: Path, kind: str) -> list[str]:
    """Returns the columns of a file, or of the first file of a directory: pandas and pyarrow refuse a table that has
    one of them twice, but do not say which."""
    import pyarrow.ipc
    import pyarrow.parquet

    file = min(path.rglob("*.parquet")) if path.is_dir() else path
    read_schema: Any = cast("Any", pyarrow.parquet).read_schema
    schema: Any = read_schema(file) if kind == "parquet" else cast("Any", pyarrow.ipc).open_file(file).schema
    return list(schema.names)


def _arrow(path: Path, shown: str, kind: str) -> Any:
    import pandas

    ensure_unique(_names(path, kind), shown)
    return cast("Any", pandas).read_feather(path) if kind == "feather" else cast("Any", pandas).read_parquet(path)


# A number is read as it is written, and no column becomes a date because of its name.
_PLAIN_JSON: Mapping[str, Any] = {"dtype": False, "convert_dates": False, "precise_float": True}


def _json(path: Path) -> Any:
    import pandas

    return cast("Any", pandas).read_json(path, lines=True, **_PLAIN_JSON)


# -- CSV
# --------------------------------------------------------------------------------------------------------------------


def _csv(path: Path, shown: str, words: tuple[str, ...]) -> Any:
    """Reads twice: pandas takes NA, None, null and a dozen other words for a missing value, which is right in a column
    of numbers and wrong in one of text; which is which is known after the first time."""
    import pandas

    ensure_unique(_header(path), shown)
    table: Any = cast("Any", pandas).read_csv(path, dtype=dict.fromkeys(words, str), low_memory=False)
    text = _words(table)
    if text:
        for name, column in cast("Any", pandas).read_csv(path, usecols=text, **_as_text(text)).items():
            table[name] = column
    return table


def _csv_parts(path: Path, text: list[str], options: Mapping[str, Any]) -> Iterator[Any]:
    import pandas

    numbers: Any = cast("Any", pandas).read_csv(path, dtype=dict.fromkeys(text, str), **options)
    if not text:
        yield from numbers
        return
    words: Any = cast("Any", pandas).read_csv(path, usecols=text, **_as_text(text), **options)
    for table, column in zip(numbers, words, strict=True):
        for name in text:
            table[name] = column[name]
        yield table


def _as_text(names: Iterable[str]) -> dict[str, Any]:
    return {"dtype": dict.fromkeys(names, str), "keep_default_na": False, "na_values": [""]}


def _words(table: Any) -> list[str]:
    """Returns the columns that hold text, and nothing else but gaps."""
    import pandas

    kind: Any = cast("Any", pandas).api.types.infer_dtype
    return [name for name in table.columns if table[name].dtype.kind not in "iufbM" and kind(table[name]) == "string"]


def _header(path: Path) -> list[str]:
    """Returns the names as they are written: pandas itself would call a second `x` `x.1`."""
    import pandas

    first: Any = cast("Any", pandas).read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
    return [str(name) for name in first.iloc[0].tolist()]
