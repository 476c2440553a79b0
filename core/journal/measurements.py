"""What monitors measured, one row per evaluation. Rows are numbered in the order in which they were written."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ..domain.monitoring import ColumnMeasurement, Histogram, Measurement, MonitorKind
from .sqlite.database import Database, Row

_WHOLE = "id, body"
# Histograms are most of a measurement, and none of what it is judged by.
_JUDGED = "id, json_remove(body, '$.columns')"


class Measurements:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, measured: Measurement) -> int:
        """Stores a measurement; returns its id, which is higher than any before it."""
        return self._database.insert(
            "INSERT INTO measurements (monitor, environment, at, value, body) VALUES (?,?,?,?,?)",
            (measured.monitor, measured.environment, measured.at, measured.value, json.dumps(asdict(measured))),
        )

    def latest(self, monitor: str) -> Measurement | None:
        """Returns the measurement that was written last, with its columns."""
        row = self._database.one(
            f"SELECT {_WHOLE} FROM measurements WHERE monitor = ? ORDER BY id DESC LIMIT 1",  # noqa: S608 - constant text
            (monitor,),
        )
        return _read(row)[1] if row else None

    def series(self, monitor: str, start: float, end: float) -> list[Measurement]:
        """Returns the measurements from `start` to `end`, in seconds since the epoch, oldest first, without their
        columns."""
        sql = f"SELECT {_JUDGED} FROM measurements WHERE monitor = ? AND at >= ? AND at <= ? ORDER BY at, id"  # noqa: S608
        return [_read(row)[1] for row in self._database.all(sql, (monitor, start, end))]

    def after(self, number: int, limit: int) -> list[tuple[int, Measurement]]:
        """Returns the measurements of all monitors after `number`, oldest first, with their ids and without their
        columns."""
        sql = f"SELECT {_JUDGED} FROM measurements WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - constant text
        return [_read(row) for row in self._database.all(sql, (number, limit))]

    def newest(self, monitor: str, *, up_to: int) -> tuple[int, Measurement] | None:
        """Returns a monitor's last measurement that is not after `up_to`, with its id and without its columns."""
        sql = f"SELECT {_JUDGED} FROM measurements WHERE monitor = ? AND id <= ? ORDER BY id DESC LIMIT 1"  # noqa: S608
        row = self._database.one(sql, (monitor, up_to))
        return _read(row) if row else None

    def newest_id(self) -> int:
        """Returns the highest id that a measurement ever had; 0 if there never was one."""
        row = self._database.one("SELECT seq FROM sqlite_sequence WHERE name = 'measurements'")
        return int(row[0]) if row else 0


def _read(row: Row) -> tuple[int, Measurement]:
    kept: dict[str, Any] = json.loads(row[1])
    kept["kind"] = MonitorKind(kept["kind"])
    kept["warnings"] = tuple(kept.get("warnings", ()))
    kept["columns"] = tuple(map(_column, kept.get("columns", ())))
    return int(row[0]), Measurement(**kept)


def _column(kept: dict[str, Any]) -> ColumnMeasurement:
    histogram = kept.pop("histogram", None)
    made = None if histogram is None else Histogram(**{name: tuple(each) for name, each in histogram.items()})
    return ColumnMeasurement(**kept, histogram=made)
