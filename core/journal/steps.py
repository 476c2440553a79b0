"""Stores steps of runs. The worker writes here most often: one prepared statement per change, and
`Journal.transaction()` to batch them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..domain.runs import Step, StepState
from ..errors import NotFound
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

_COLUMNS = (
    'run_id, name, position, state, needs, uses, command, attempt, cached, origin, "key", exit_code, started, ended,'
    " message, results"
)
_FIELDS = frozenset(Step.__dataclass_fields__) - {"run_id", "name"}


@names_damage("a step of run", numbers=(2, 7, 9, 11, 12, 13))
def _step(row: Row) -> Step:
    fields = list(row)
    fields[3], fields[8] = StepState(row[3]), bool(row[8])
    fields[4] = tuple(json.loads(row[4])) if row[4] != "[]" else ()
    fields[15] = json.loads(row[15]) if row[15] != "{}" else {}
    return Step(*fields)


def _written(field: str, value: Any) -> Any:
    """Returns a field as its column stores it."""
    match field:
        case "state":
            return str(StepState(value))
        case "needs":
            return json.dumps(list(value))
        case "results":
            return json.dumps(dict(value))
        case "cached":
            return int(bool(value))
        case _:
            return value


class Steps:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, run_id: int, steps: Sequence[Step]) -> None:
        """Writes the steps of a run, once."""
        self._database.many(
            f"INSERT INTO steps ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constant columns
            [
                (
                    run_id,
                    step.name,
                    step.position,
                    str(step.state),
                    json.dumps(list(step.needs)),
                    step.uses,
                    step.command,
                    step.attempt,
                    int(step.cached),
                    step.origin,
                    step.key,
                    step.exit_code,
                    step.started,
                    step.ended,
                    step.message,
                    json.dumps(dict(step.results)),
                )
                for step in steps
            ],
        )

    def replace(self, run_id: int, steps: Sequence[Step]) -> None:
        """Replaces the steps of a run."""
        with self._database.transaction():
            self._database.run("DELETE FROM steps WHERE run_id = ?", (run_id,))
            self.add(run_id, steps)

    def of(self, run_id: int) -> list[Step]:
        """Returns the steps of a run in their order."""
        return [
            _step(row)
            for row in self._database.all(f"SELECT {_COLUMNS} FROM steps WHERE run_id = ? ORDER BY position", (run_id,))  # noqa: S608
        ]

    def get(self, run_id: int, name: str) -> Step:
        row = self._database.one(f"SELECT {_COLUMNS} FROM steps WHERE run_id = ? AND name = ?", (run_id, name))  # noqa: S608
        if row is None:
            raise NotFound(f"run {run_id} has no step {name!r}", hint=f"`podium show {run_id}` lists its steps.")
        return _step(row)

    def update(self, run_id: int, name: str, **fields: Any) -> None:
        """Changes fields of a Step; unknown names are a TypeError."""
        if not fields:
            return
        unknown = fields.keys() - _FIELDS
        if unknown:
            raise TypeError(f"a step has no field {', '.join(sorted(unknown))} that can be changed")
        assignments = ", ".join(f'"{field}" = ?' for field in fields)
        values = [_written(field, value) for field, value in fields.items()]
        if not self._database.run(
            f"UPDATE steps SET {assignments} WHERE run_id = ? AND name = ?",  # noqa: S608
            (*values, run_id, name),
        ):
            self.get(run_id, name)
