"""Finds and removes rows that have grown old. What a row stands for on the disk is gone before it is."""

from __future__ import annotations

from collections.abc import Iterator

from ...domain.frozen import Frozen
from ..sqlite.database import Database, Row
from ..sqlite.rows import names_damage

_FINISHED = "state IN ('succeeded', 'failed', 'cancelled', 'interrupted')"
_MORE_REPORTS = 5
_OLD_REPORTS = (
    "at < ?1 AND (NOT EXISTS (SELECT 1 FROM versions WHERE versions.model = gates.model AND versions.version ="
    " gates.version) OR id < coalesce((SELECT id FROM gates AS newer WHERE newer.model = gates.model AND"
    " newer.version = gates.version AND newer.gate = gates.gate ORDER BY id DESC LIMIT 1 OFFSET ?2), 0))"
)
_OLD_MESSAGES = "state <> 'waiting' AND coalesce(ended, added) < ?"
_OLD_REQUESTS = "at < ? AND deployment NOT IN (SELECT id FROM deployments WHERE state = 'running')"


class FinishedRun(Frozen):
    """A run that has ended: when, as what, and whether an auditor needs it."""

    id: int
    ended: float
    state: str
    evidence: bool
    """It changed an environment, made a version or an image, or was approved."""

    @property
    def interrupted(self) -> bool:
        """Whether `podium resume` is what is expected next."""
        return self.state == "interrupted"


@names_damage("the answer to")
def _time(row: Row) -> float:
    """Returns the time of (statement, column)."""
    return float(row[1])


class Rows:
    def __init__(self, database: Database) -> None:
        self._database = database

    def finished_runs(self) -> dict[int, FinishedRun]:
        """Returns every run that has ended, the oldest first."""
        sql = (
            f"SELECT id, coalesce(ended, created), state, kind <> 'pipeline' OR id IN (SELECT run_id FROM deployments)"  # noqa: S608
            " OR id IN (SELECT run_id FROM approvals) OR id IN (SELECT run_id FROM versions) OR id IN (SELECT run_id"
            f" FROM images) FROM runs WHERE {_FINISHED} ORDER BY id"
        )
        return {row[0]: FinishedRun(row[0], row[1], row[2], bool(row[3])) for row in self._database.each(sql)}

    def finished(self, run: int) -> bool:
        """Tells whether a run has ended, as of now; one that has no row counts as ended."""
        row = self._database.one(f"SELECT {_FINISHED} FROM runs WHERE id = ?", (run,))  # noqa: S608 - constant text
        return row is None or bool(row[0])

    def known_runs(self) -> set[int]:
        """Returns the numbers of all runs."""
        return {int(row[0]) for row in self._database.each("SELECT id FROM runs")}

    def needed_runs(self, before: float) -> set[int]:
        """Returns the runs that something stands on which stays: versions, images, the ledger, and steps of runs that
        ended later than `before` and took over what those had made."""
        return {
            int(row[0])
            for row in self._database.each(
                "SELECT run_id FROM versions WHERE run_id IS NOT NULL UNION SELECT run_id FROM images WHERE run_id IS"
                " NOT NULL UNION SELECT run_id FROM deployments WHERE run_id IS NOT NULL UNION SELECT origin FROM"
                " steps JOIN runs ON runs.id = steps.run_id WHERE origin IS NOT NULL AND coalesce(runs.ended,"
                " runs.created) >= ?",
                (before,),
            )
        }

    def remove_run(self, run: int) -> bool:
        """Removes a run that has ended with its steps, approvals and agreements; whether it did."""
        with self._database.transaction():
            if not self._database.run(f"DELETE FROM runs WHERE id = ? AND {_FINISHED}", (run,)):  # noqa: S608
                return False
            self._database.run(
                'DELETE FROM "values" WHERE "key" >= ? AND "key" < ?', (f"agreed:{run}:", f"agreed:{run};")
            )
            return True

    def old_reports(self, before: float) -> int:
        return self._count("gates", _OLD_REPORTS, before, _MORE_REPORTS - 1)

    def remove_reports(self, before: float) -> int:
        """Removes reports of gates about versions that are gone, and all but the newest five of each gate and
        version."""
        return self._database.run(f"DELETE FROM gates WHERE {_OLD_REPORTS}", (before, _MORE_REPORTS - 1))  # noqa: S608

    def old_messages(self, before: float) -> int:
        return self._count("outbox", _OLD_MESSAGES, before)

    def remove_messages(self, before: float) -> int:
        """Removes messages that were sent or given up."""
        return self._database.run(f"DELETE FROM outbox WHERE {_OLD_MESSAGES}", (before,))  # noqa: S608

    def old_host_runs(self, before: float) -> int:
        return self._count("host_runs", "at < ?", before)

    def remove_host_runs(self, before: float) -> int:
        """Removes CI runs of Git hosts as they were last seen; the host has them."""
        return self._database.run("DELETE FROM host_runs WHERE at < ?", (before,))

    def old_measurements(self, before: float) -> int:
        return self._count("measurements", "at < ?", before)

    def remove_measurements(self, before: float) -> int:
        """Removes what monitors measured."""
        return self._database.run("DELETE FROM measurements WHERE at < ?", (before,))

    def old_requests(self, before: float) -> int:
        return self._count("orders", _OLD_REQUESTS, before)

    def remove_requests(self, before: float) -> int:
        """Removes requests to canaries that are over."""
        return self._database.run(f"DELETE FROM orders WHERE {_OLD_REQUESTS}", (before,))  # noqa: S608

    def _count(self, table: str, where: str, *values: float) -> int:
        row = self._database.one(f"SELECT count(*) FROM {table} WHERE {where}", values)  # noqa: S608 - constant text
        return int(row[0]) if row else 0

    # -- how much there is -----------------------------------------------------------------------------------------

    def tables(self) -> dict[str, int]:
        """Returns every table and its number of rows."""
        names = self._database.all(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
        return {str(name): self._rows(str(name)) for (name,) in names}

    def _rows(self, table: str) -> int:
        row = self._database.one(f'SELECT count(*) FROM "{table}"')  # noqa: S608 - the journal's own tables
        return int(row[0]) if row else 0

    def newest_times(self) -> Iterator[float]:
        """Yields the times of the last things that happened: the newest run, audit entry, deployment and heartbeat."""
        for sql in (
            "SELECT created FROM runs ORDER BY id DESC LIMIT 1",
            "SELECT at FROM audit ORDER BY id DESC LIMIT 1",
            "SELECT at FROM deployments ORDER BY id DESC LIMIT 1",
            "SELECT heartbeat FROM agent",
        ):
            row = self._database.one(sql)
            if row is not None:
                yield _time((sql, row[0]))
