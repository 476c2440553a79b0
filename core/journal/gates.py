"""Stores complete reports of gates, as JSON."""

from __future__ import annotations

import json
from typing import Any

from ..domain.verdicts import CalibrationBin, CheckResult, Confusion, FlippedRow, Flips, GateReport, Verdict
from . import telling
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage


def _written(report: GateReport) -> str:
    from dataclasses import asdict

    return json.dumps(asdict(report))


@names_damage("the report of a gate")
def _report(row: Row) -> GateReport:
    content: dict[str, Any] = json.loads(row[0])
    for part in (content, *content["checks"]):
        part["verdict"] = Verdict(part["verdict"])
    if content.get("confusion"):
        names, counts = content["confusion"]["classes"], content["confusion"]["counts"]
        content["confusion"] = Confusion(tuple(names), tuple(map(tuple, counts)))
    if content.get("flips"):
        found = content["flips"]
        for each in found["rows"]:
            each["values"] = tuple(each.get("values", ()))
        rows = [FlippedRow(**each) for each in found["rows"]]
        content["flips"] = Flips(found["better"], found["worse"], tuple(rows), tuple(found.get("columns", ())))
    content["calibration"] = tuple(CalibrationBin(**each) for each in content.get("calibration", ()))
    content["checks"] = tuple(CheckResult(**check) for check in content["checks"])
    return GateReport(**content)


class Gates:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, report: GateReport) -> None:
        with self._database.transaction():
            self._database.insert(
                "INSERT INTO gates (gate, model, version, at, report) VALUES (?,?,?,?,?)",
                (report.gate, report.model, report.version, report.at, _written(report)),
            )
            if report.run_id is not None:
                telling.about_run(self._database, report.run_id, report=True)

    def by_run(self, run_id: int) -> list[GateReport]:
        """Returns the reports that a run made, the oldest first."""
        rows = self._database.all(
            "SELECT report FROM gates WHERE json_extract(report, '$.run_id') = ? ORDER BY id", (run_id,)
        )
        return [_report(row) for row in rows]

    def latest(self, model: str, version: int, gate: str | None = None) -> GateReport | None:
        """Returns the last report about a version, of one gate or of any."""
        sql = (
            "SELECT report FROM gates WHERE model = ?1 AND version = ?2 AND (?3 IS NULL OR gate = ?3) ORDER BY id DESC"
            " LIMIT 1"
        )
        row = self._database.one(sql, (model, version, gate))
        return _report(row) if row else None

    def of(self, model: str, version: int) -> list[GateReport]:
        """Returns every report about a version, newest first."""
        rows = self._database.all(
            "SELECT report FROM gates WHERE model = ? AND version = ? ORDER BY id DESC", (model, version)
        )
        return [_report(row) for row in rows]
