"""The ledger: one row per deployment, with the rollout's progress, so that a rollout cut by a crash can be finished
or undone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping

from ..domain.delivery import Deployment, DeploymentState, How
from ..errors import NotFound
from . import telling
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

_COLUMNS = (
    'id, environment, how, state, model, to_version, from_version, at, who, why, run_id, "commit", digest, strategy,'
    " forced, phase, ended, message, data"
)
# Those that succeeded among the last 500 deployments of the environment ?1.
_RECENT = (
    "environment = ?1 AND state = 'succeeded' AND id >= (SELECT min(id) FROM (SELECT id FROM deployments WHERE"
    " environment = ?1 ORDER BY id DESC LIMIT 500))"
)


@names_damage("deployment", numbers=(5, 6, 7, 10, 16))
def _deployment(row: Row) -> Deployment:
    fields = list(row)
    fields[2], fields[3], fields[14], fields[18] = (
        How(row[2]),
        DeploymentState(row[3]),
        bool(row[14]),
        json.loads(row[18]),
    )
    return Deployment(*fields)


@names_damage("a deployment of version", numbers=(0,))
def _served(row: Row) -> tuple[int, bool]:
    return int(row[0]), bool(row[1])


@names_damage("what was noted of a deployment:")
def _note(row: Row) -> Mapping[str, object]:
    return dict(json.loads(row[0]))


class Ledger:
    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self,
        *,
        environment: str,
        how: How,
        model: str,
        to_version: int,
        from_version: int | None,
        who: str,
        why: str = "",
        run_id: int | None = None,
        commit: str = "",
        digest: str = "",
        strategy: str = "",
        forced: bool = False,
    ) -> Deployment:
        """Adds a deployment in state running."""
        with self._database.transaction():
            number = self._database.insert(
                "INSERT INTO deployments (environment, how, state, model, to_version, from_version, at, who, why,"
                ' run_id, "commit", digest, strategy, forced) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)',
                (
                    environment,
                    str(how),
                    "running",
                    model,
                    to_version,
                    from_version,
                    time.time(),
                    who,
                    why,
                    run_id,
                    commit,
                    digest,
                    strategy,
                    int(forced),
                ),
            )
            telling.about_deployment(self._database, number)
        return self.get(number)

    def phase(self, id: int, phase: str, data: Mapping[str, object]) -> None:
        """Records the phase just finished, and what undoing or finishing the rest needs (JSON values)."""
        if not self._database.run(
            "UPDATE deployments SET phase = ?, data = ? WHERE id = ?", (phase, json.dumps(dict(data)), id)
        ):
            self.get(id)

    def finish(self, id: int, state: DeploymentState, message: str = "") -> None:
        ended = time.time() if DeploymentState(state) is not DeploymentState.RUNNING else None
        with self._database.transaction():
            changed = self._database.run(
                "UPDATE deployments SET state = ?, message = ?, ended = ? WHERE id = ?",
                (str(state), message, ended, id),
            )
            if changed:
                telling.about_deployment(self._database, id)
        if not changed:
            self.get(id)

    def get(self, id: int) -> Deployment:
        row = self._database.one(f"SELECT {_COLUMNS} FROM deployments WHERE id = ?", (id,))  # noqa: S608 - constant columns
        if row is None:
            raise NotFound(f"there is no deployment {id}", hint="`podium history` lists the deployments.")
        return _deployment(row)

    def bring_back(self, rows: Iterable[Deployment]) -> None:
        """Adds finished rows as they were, numbered anew in their order. Nobody is told of them: they are old."""
        with self._database.transaction():
            for row in rows:
                self._database.run(
                    "INSERT INTO deployments (environment, how, state, model, to_version, from_version, at, who, why,"
                    ' "commit", digest, strategy, forced, ended, message) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)',
                    (
                        *(row.environment, str(row.how), str(row.state), row.model, row.to_version, row.from_version),
                        *(row.at, row.who, row.why, row.commit, row.digest, row.strategy, int(row.forced), row.ended),
                        row.message,
                    ),
                )

    def count(self) -> int:
        """Returns how many rows the ledger has."""
        row = self._database.one("SELECT count(*) FROM deployments")
        return int(row[0]) if row else 0

    def history(self, environment: str, limit: int = 50) -> list[Deployment]:
        """Returns the deployments of an environment, newest first."""
        sql = f"SELECT {_COLUMNS} FROM deployments WHERE environment = ? ORDER BY id DESC LIMIT ?"  # noqa: S608
        rows = self._database.all(sql, (environment, limit))
        return [_deployment(row) for row in rows]

    def between(self, environment: str, start: float, end: float, limit: int = 500) -> list[Deployment]:
        """Returns the deployments of an environment that succeeded and ended in [start, end] (seconds since the epoch),
        oldest first; of more than `limit` the newest."""
        sql = (
            f"SELECT {_COLUMNS} FROM deployments WHERE environment = ? AND state = 'succeeded'"  # noqa: S608
            " AND coalesce(ended, at) BETWEEN ? AND ? ORDER BY id DESC LIMIT ?"
        )
        return [_deployment(row) for row in reversed(self._database.all(sql, (environment, start, end, limit)))]

    def about(self, model: str, version: int) -> list[Deployment]:
        """Returns the deployments that brought a version or took it away, oldest first; those that were sealed are not
        among them."""
        sql = f"SELECT {_COLUMNS} FROM deployments WHERE model = ? AND ? IN (to_version, from_version) ORDER BY id"  # noqa: S608
        return [_deployment(row) for row in self._database.all(sql, (model, version))]

    def of_run(self, run_id: int) -> list[Deployment]:
        """Returns the deployments that a run made, oldest first."""
        sql = f"SELECT {_COLUMNS} FROM deployments WHERE run_id = ? ORDER BY id"  # noqa: S608 - constant columns
        return [_deployment(row) for row in self._database.all(sql, (run_id,))]

    def current(self, environment: str) -> Deployment | None:
        """Returns the latest deployment that succeeded: what the environment should serve."""
        row = self._database.one(
            f"SELECT {_COLUMNS} FROM deployments WHERE environment = ? AND state = 'succeeded' ORDER BY id DESC"  # noqa: S608
            " LIMIT 1",
            (environment,),
        )
        return _deployment(row) if row else None

    def last_model(self, environment: str) -> str:
        """Returns the model of the environment's latest deployment, however that ended; empty without one."""
        row = self._database.one(
            "SELECT model FROM deployments WHERE environment = ? ORDER BY id DESC LIMIT 1", (environment,)
        )
        return str(row[0]) if row else ""

    def served(self, environment: str, model: str) -> list[tuple[int, bool]]:
        """Returns every version of the model that has served the environment, the latest first and each once, and
        whether it is quarantined."""
        rows = self._database.all(
            "SELECT to_version, EXISTS (SELECT 1 FROM quarantine WHERE model = ?2 AND version = to_version) FROM"  # noqa: S608
            f" (SELECT to_version, max(id) AS last FROM deployments WHERE {_RECENT} AND model = ?2 GROUP BY to_version)"
            " ORDER BY last DESC",
            (environment, model),
        )
        return [_served(row) for row in rows]

    def notes(self, environment: str, *, limit: int, how: How | None = None) -> Iterator[Mapping[str, object]]:
        """Yields the `data` of the last `limit` deployments that succeeded, newest first; with `how` only of those of
        this kind among them. A row that is not asked for is not read."""
        rows = self._database.each(
            f"SELECT data FROM (SELECT id, how, data FROM deployments WHERE {_RECENT} ORDER BY id DESC LIMIT ?2)"  # noqa: S608
            " WHERE ?3 IN ('', how) ORDER BY id DESC",
            (environment, limit, str(how or "")),
        )
        for row in rows:
            yield _note(row)

    def open(self) -> list[Deployment]:
        """Returns deployments in progress, including those whose worker died; oldest first."""
        return [
            _deployment(row)
            for row in self._database.all(f"SELECT {_COLUMNS} FROM deployments WHERE state = 'running' ORDER BY id")  # noqa: S608
        ]
