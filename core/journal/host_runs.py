"""CI runs of Git hosts as they were last seen, and what was known of the host then."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

from ..domain.hosts import CiApproval, CiRun, CiState, HostState, RateLimit
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage
from .values import Values

_STATE = "host "
_ROW = "SELECT host, body, approvals, seen FROM host_runs"

Seen = tuple[str, CiRun, tuple[CiApproval, ...], float]
"""The host's name, the run, what it waits for, and when the host was asked."""


class HostRuns:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._values = Values(database)

    def put(self, host: str, runs: Iterable[tuple[CiRun, Iterable[CiApproval]]], at: float) -> None:
        """Stores runs as they are now. One that is as it was stays as it is, so that nothing counts as changed."""
        with self._database.transaction():
            for run, approvals in runs:
                body, waits = json.dumps(asdict(run)), json.dumps([asdict(each) for each in approvals])
                values = (host, run.repo, run.id, run.sha, str(run.state), run.updated or run.created, at, body, waits)
                self._database.run(
                    "INSERT INTO host_runs VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (host, repo, id) DO UPDATE SET"
                    " sha = excluded.sha, state = excluded.state, at = excluded.at, seen = excluded.seen,"
                    " body = excluded.body, approvals = excluded.approvals"
                    " WHERE body <> excluded.body OR approvals <> excluded.approvals",
                    values,
                )

    def newest(self, *, limit: int = 100) -> list[Seen]:
        """Returns the runs that changed last, newest first."""
        return [_seen(row) for row in self._database.all(f"{_ROW} ORDER BY at DESC LIMIT ?", (limit,))]

    def unfinished(self, host: str) -> list[Seen]:
        """Returns the runs of a host that were not over when they were last seen."""
        sql = f"{_ROW} WHERE host = ? AND state IN ('queued', 'running', 'waiting')"
        return [_seen(row) for row in self._database.all(sql, (host,))]

    def get(self, id: str, repo: str = "") -> Seen | None:
        """Returns a run by its number, of any repository if none is named."""
        row = self._database.one(f"{_ROW} WHERE id = ?1 AND (?2 = '' OR repo = ?2) ORDER BY at DESC", (id, repo))
        return _seen(row) if row else None

    def states(self, commits: Collection[str], host: str = "") -> dict[str, CiState]:
        """Returns commit -> the worst of what the newest run of each workflow says of it, on any host or one."""
        rows = self._database.all(
            "SELECT sha, state, body FROM host_runs WHERE sha IN (SELECT value FROM json_each(?1))"
            " AND (?2 = '' OR host = ?2) ORDER BY at DESC",
            (json.dumps(list(commits)), host),
        )
        newest: dict[tuple[str, str], CiState] = {}
        for sha, state, body in rows:
            newest.setdefault((sha, json.loads(body)["name"]), CiState(state))
        found: dict[str, CiState] = {}
        for (sha, _), state in newest.items():
            found[sha] = min(found.get(sha, state), state, key=_WORST.index)
        return found

    def note(self, state: HostState) -> None:
        """Stores what is known of a host now."""
        self._values.set(_STATE + state.name, json.dumps(asdict(state)))

    def host(self, name: str) -> HostState | None:
        written = self._values.get(_STATE + name)
        return _host(written) if written else None

    def hosts(self) -> list[HostState]:
        return [_host(written) for written in self._values.all(_STATE).values()]


_WORST = (
    CiState.FAILED,
    CiState.WAITING,
    CiState.RUNNING,
    CiState.QUEUED,
    CiState.CANCELLED,
    CiState.SUCCEEDED,
    CiState.SKIPPED,
)


@names_damage("the CI runs of")
def _seen(row: Row) -> Seen:
    body: dict[str, Any] = json.loads(row[1])
    body["state"] = CiState(body["state"])
    run = CiRun(**body)
    return (str(row[0]), run, tuple(CiApproval(**each) for each in json.loads(row[2])), float(row[3]))


def _host(written: str) -> HostState:
    body: dict[str, Any] = json.loads(written)
    body["rate"] = RateLimit(**body["rate"]) if body["rate"] else None
    return HostState(**body)
