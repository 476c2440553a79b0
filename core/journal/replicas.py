"""Stores replicas that should exist, with what is needed to find each of them again."""

from __future__ import annotations

from dataclasses import replace

from ..domain.delivery import Replica, ReplicaState
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

_COLUMNS = (
    "id, environment, version, slot, port, state, pid, pid_started, weight, restarts, started, digest, message,"
    " address, container, image"
)


@names_damage("replica", numbers=(2, 4, 6, 7, 8, 9, 10))
def _replica(row: Row) -> Replica:
    fields = list(row)
    fields[5] = ReplicaState(row[5])
    return Replica(*fields)


class Replicas:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, replica: Replica) -> None:
        """Stores the replica, replacing the one with its id."""
        self._database.run(
            f"INSERT OR REPLACE INTO replicas ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constant columns
            (
                replica.id,
                replica.environment,
                replica.version,
                replica.slot,
                replica.port,
                str(replica.state),
                replica.pid,
                replica.pid_started,
                replica.weight,
                replica.restarts,
                replica.started,
                replica.digest,
                replica.message,
                replica.address,
                replica.container,
                replica.image,
            ),
        )

    def of(self, environment: str) -> list[Replica]:
        sql = f"SELECT {_COLUMNS} FROM replicas WHERE environment = ? ORDER BY id"  # noqa: S608
        return [self._shown(_replica(row)) for row in self._database.all(sql, (environment,))]

    def all(self) -> list[Replica]:
        return [
            self._shown(_replica(row))
            for row in self._database.all(f"SELECT {_COLUMNS} FROM replicas ORDER BY environment, id")  # noqa: S608
        ]

    def ports(self) -> set[int]:
        """Returns the ports of all replicas: cheap, however many there are."""
        return {int(port) for (port,) in self._database.all("SELECT DISTINCT port FROM replicas")}

    def counts(self) -> dict[str, int]:
        """Returns environment -> how many replicas it has, of those that have any; as cheap."""
        rows = self._database.all(
            "SELECT environment, count(*) FROM replicas GROUP BY environment ORDER BY environment"
        )
        return {environment: int(number) for environment, number in rows}

    def _shown(self, replica: Replica) -> Replica:
        """A copy's rows name no process and no container: those are the original's."""
        if self._database.borrowed is None:
            return replica
        return replace(replica, pid=None, pid_started=None, container="", state=ReplicaState.DEAD)

    def remove(self, environment: str, id: str) -> None:
        self._database.run("DELETE FROM replicas WHERE environment = ? AND id = ?", (environment, id))
