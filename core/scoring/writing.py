"""Writes the predictions of one part: a Parquet file whose key-value metadata say what made it, or a CSV with a file of
the same beside it. A file has its name once all of it is on the disk."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from ..quality.metrics import Unmeasurable
from ..replacing import replace_file
from .reading import written

# A missing value in a line that has nothing else.
_MISSING = '""'
# Beside `part-00001.csv`.
SIDECAR = ".json"
_PREFIX = "podium."
# MLflow's types, and pyarrow's functions that make them.
_TYPES = {
    "boolean": "bool_", "integer": "int32", "long": "int64", "float": "float32", "double": "float64", "string": "string"
}  # fmt: skip


class Writer:
    """Is given rows, and writes them into `path` when its `with` block ends well. `made_by` goes into the file's
    metadata as `podium.<key>`; `names` are the columns that are kept, `answers` the types of the
    answers in MLflow's words, as far as they are known. `rows` counts, `digest` is known afterwards."""

    def __init__(
        self, path: Path, made_by: Mapping[str, str], names: Sequence[str], answers: Sequence[str] = ()
    ) -> None:
        self._path, self._made_by, self._names, self._answers = path, made_by, tuple(names), tuple(answers)
        self._scratch = path.with_name(f".{path.name}.{os.getpid()}")
        self.rows = 0
        self.digest = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end()
            if kind is None:
                self._keep()
        finally:
            self._scratch.unlink(missing_ok=True)

    def add(self, kept: Any, predictions: Mapping[str, Any]) -> None:
        """Writes rows: the columns of the input that are kept, and those that the model answered."""
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    def _keep(self) -> None:
        with self._scratch.open("rb") as written:
            self.digest = f"sha256:{hashlib.file_digest(written, 'sha256').hexdigest()}"
            os.fsync(written.fileno())
        self._scratch.replace(self._path)


class ParquetWriter(Writer):
    """`kept` is a record batch: its columns are written as they were read."""

    _writer: Any = None

    def add(self, kept: Any, predictions: Mapping[str, Any]) -> None:
        import pyarrow

        module: Any = cast("Any", pyarrow)
        answers = [self._typed(place, values) for place, values in enumerate(predictions.values())]
        named = zip(predictions, answers, strict=True)
        schema = module.schema([*kept.schema, *(module.field(name, array.type) for name, array in named)])
        table = module.Table.from_arrays([*kept.columns, *answers], schema=schema)
        opened = self._writer = self._writer or self._opened(table.schema)
        try:
            opened.write_table(table.cast(opened.schema))
        except module.ArrowInvalid as error:
            raise Unmeasurable(
                f"it answers other types to some rows than to those before: {' '.join(str(error).split())[:200]}",
                hint="Log the version with a signature that says what it answers.",
            ) from error
        self.rows += table.num_rows

    def _typed(self, place: int, values: Any) -> Any:
        """Returns answers as an array. Where all are missing, or whole numbers stand for others, the version's
        signature says of which type."""
        import pyarrow

        module: Any = cast("Any", pyarrow)
        array = module.array(values, from_pandas=True)
        wanted = getattr(module, _TYPES.get(self._answers[place], ""), None) if place < len(self._answers) else None
        whole = module.types.is_integer(array.type) and self._answers[place : place + 1] in (("double",), ("float",))
        if wanted is not None and (whole or array.null_count == len(array)):
            return array.cast(wanted())
        if self._writer is not None and array.null_count == len(array):
            return array.cast(self._writer.schema.types[len(self._names) + place])
        return array

    def _opened(self, schema: Any) -> Any:
        import pyarrow.parquet

        made_by = {f"{_PREFIX}{key}": value for key, value in self._made_by.items()}
        return cast("Any", pyarrow.parquet).ParquetWriter(self._scratch, schema.with_metadata(made_by))

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()


class CsvWriter(Writer):
    """`kept` has a text for each row, as it was read."""

    _file: Any = None

    def add(self, kept: Any, predictions: Mapping[str, Any]) -> None:
        if self._file is None:
            self._file = self._scratch.open("w", encoding="utf-8", newline="")
            self._file.write(written([[*self._names, *predictions]])[0] + "\n")
        told = _lines(predictions)
        if self._names:
            self._file.writelines(f"{row},{answer}\n" for row, answer in zip(kept, told, strict=True))
        else:
            self._file.writelines(f"{answer or _MISSING}\n" for answer in told)
        self.rows += len(told)

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()

    def _keep(self) -> None:
        super()._keep()
        beside = self._path.with_name(self._path.name + SIDECAR)
        replace_file(beside, json.dumps({**self._made_by, "sha256": self.digest}, indent=2) + "\n")


def _lines(predictions: Mapping[str, Any]) -> list[str]:
    """Returns the answers to each row as a part of a line of CSV."""
    import pandas

    # Behind another column a missing answer is nothing: alone it would be two quotes.
    table: Any = pandas.DataFrame({0: 0, **predictions}, index=range(len(next(iter(predictions.values())))))
    text = str(table.to_csv(index=False, header=False, lineterminator="\n"))
    # A word may have line ends.
    lines = written(csv.reader(io.StringIO(text, newline=""))) if '"' in text or "\r" in text else text.split("\n")[:-1]
    return [line[2:] for line in lines]


def writer(
    kind: str, path: Path, made_by: Mapping[str, str], names: Sequence[str], answers: Sequence[str] = ()
) -> Writer:
    return (CsvWriter if kind == "csv" else ParquetWriter)(path, made_by, names, answers)
