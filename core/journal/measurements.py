"""Stores what monitors measured: a Measurement each, as JSON of what it says beyond its defaults.

They are kept for `retain: measurements`. After a week one an hour of each monitor stays, and only the newest of a
monitor have histograms: a drift of 50 columns takes 40 kB with them, and 6 without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any, cast

from ..domain.monitoring import ColumnMeasurement, Histogram, Measurement, MonitorKind
from .sqlite.database import Database

# The newest measurements of a monitor that keep their histograms.
KEPT_HISTOGRAMS = 48
# Beyond this age, in seconds, one measurement of an hour is kept.
FINE_SECONDS = 7 * 86_400.0
_HOUR = 3600
_DAY = 86_400.0
# Histograms are most of a measurement, and none of what it is judged by.
_JUDGED = "id, json_remove(body, '$.columns')"


class Measurements:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, measurement: Measurement) -> int:
        """Stores a measurement; returns its id, which grows with each. The histograms of an old one go."""
        with self._database.transaction():
            number = self._database.insert(
                "INSERT INTO measurements (monitor, environment, at, value, body) VALUES (?,?,?,?,?)",
                (
                    measurement.monitor,
                    measurement.environment,
                    measurement.at,
                    measurement.value,
                    written(measurement),
                ),
            )
            self._strip(measurement.monitor)
        return number

    def latest(self, monitor: str) -> Measurement | None:
        """Returns what was stored last, whatever the clock said then; None if nothing ever was."""
        row = self._database.one(
            "SELECT body FROM measurements WHERE id = (SELECT max(id) FROM measurements WHERE monitor = ?)", (monitor,)
        )
        return read(str(row[0])) if row else None

    def latest_time(self, monitor: str) -> float | None:
        """Returns when the last one was stored, in seconds since the epoch; None if nothing ever was."""
        row = self._database.one(
            "SELECT at FROM measurements WHERE id = (SELECT max(id) FROM measurements WHERE monitor = ?)", (monitor,)
        )
        return float(row[0]) if row else None

    def newest_id(self) -> int:
        """Returns the highest id that a measurement ever had; 0 if there never was one."""
        row = self._database.one("SELECT seq FROM sqlite_sequence WHERE name = 'measurements'")
        return int(row[0]) if row else 0

    def newest(self, monitor: str, *, up_to: int) -> tuple[int, Measurement] | None:
        """Returns a monitor's last measurement that is not after `up_to`, with its id and without its columns."""
        sql = f"SELECT {_JUDGED} FROM measurements WHERE monitor = ? AND id <= ? ORDER BY id DESC LIMIT 1"  # noqa: S608
        row = self._database.one(sql, (monitor, up_to))
        return (int(row[0]), read(str(row[1]))) if row else None

    def series(self, monitor: str, start: float, end: float, *, columns: bool = False) -> list[Measurement]:
        """Returns what was measured in [start, end] (seconds since the epoch), oldest first; with its columns where
        these are asked for."""
        what = "id, body" if columns else _JUDGED
        sql = f"SELECT {what} FROM measurements WHERE monitor = ? AND at BETWEEN ? AND ? ORDER BY at, id"  # noqa: S608
        return [read(str(row[1])) for row in self._database.all(sql, (monitor, start, end))]

    def after(self, number: int, limit: int = 1000) -> list[tuple[int, Measurement]]:
        """Returns (id, measurement) of those of all monitors that were stored after `number`, in their order and
        without their columns."""
        sql = f"SELECT {_JUDGED} FROM measurements WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - constant text
        return [(int(row[0]), read(str(row[1]))) for row in self._database.all(sql, (number, limit))]

    def thin_out(self, now: float) -> int:
        """Removes what is older than a week but the last of each hour, and what a wrong clock dated into the future;
        returns how many. Cheap if there is little to do."""
        return self._database.run(
            "DELETE FROM measurements WHERE at > ?1 OR (at < ?2 AND EXISTS (SELECT 1 FROM measurements AS newer WHERE"
            " newer.monitor = measurements.monitor AND newer.at >= measurements.at AND newer.id > measurements.id AND"
            " newer.at < (CAST(measurements.at / ?3 AS INTEGER) + 1) * ?3))",
            (now + _DAY, now - FINE_SECONDS, _HOUR),
        )

    def _strip(self, monitor: str) -> None:
        """Takes the histograms out of the one measurement that is no longer among the newest."""
        row = self._database.one(
            "SELECT id, body FROM measurements WHERE monitor = ? ORDER BY id DESC LIMIT 1 OFFSET ?",
            (monitor, KEPT_HISTOGRAMS),
        )
        if row is None or '"histogram"' not in row[1]:
            return
        old = read(str(row[1]))
        bare = replace(old, columns=tuple(replace(each, histogram=None) for each in old.columns))
        self._database.run("UPDATE measurements SET body = ? WHERE id = ?", (written(bare), row[0]))


def written(measurement: Measurement) -> str:
    """Returns a measurement as JSON, without the fields that have their defaults."""
    return json.dumps(_plain(measurement), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Measurement | ColumnMeasurement | Histogram):
        found: dict[str, Any] = {}
        for each in fields(cast("Any", value)):
            own = getattr(value, each.name)
            if each.default is MISSING or own != each.default:
                found[each.name] = _plain(own)
        return found
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("tuple[Any, ...]", value)]
    return value


def read(text: str) -> Measurement:
    """Returns the measurement that `written` wrote."""
    body: dict[str, Any] = json.loads(text)
    body["kind"] = MonitorKind(body["kind"])
    body["columns"] = tuple(_column(each) for each in body.get("columns", ()))
    body["warnings"] = tuple(body.get("warnings", ()))
    return Measurement(**body)


def _column(body: Mapping[str, Any]) -> ColumnMeasurement:
    histogram = body.get("histogram")
    made = None if histogram is None else Histogram(**{name: tuple(each) for name, each in histogram.items()})
    return ColumnMeasurement(**dict[str, Any](body, histogram=made))
