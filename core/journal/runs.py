"""Stores runs: their states, workers, cancel requests and approvals."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ..domain.access.proof import Proof
from ..domain.runs import Approval, Run, RunState, Trigger
from ..errors import NotFound
from . import telling
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

_COLUMNS = (
    'id, kind, name, state, "trigger", who, created, why, "commit", branch, dirty, params, jobs, workspace, '
    "started, ended, heartbeat, worker_pid, worker_started, message"
)
ACTIVE = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
_SEARCHED = ("name", "who", "why", '"commit"', "branch", "message", "params")


@names_damage("run", numbers=(6, 12, 14, 15, 16, 17, 18))
def _run(row: Row) -> Run:
    fields = list(row)
    fields[1], fields[3], fields[4], fields[10] = str(row[1]), RunState(row[3]), Trigger(row[4]), bool(row[10])
    if isinstance(row[13], bytes):
        fields[13] = os.fsdecode(row[13])
    fields[11] = json.loads(row[11]) if row[11] != "{}" else {}
    return Run(*fields)


def _stored_path(path: str) -> str | bytes:
    """Returns a path as the journal keeps it: one that is not UTF-8 in its bytes, because it has to be found again."""
    return path if path.isascii() or path == path.encode("utf-8", "replace").decode() else os.fsencode(path)


def _written(run: Run) -> tuple[str | bytes | int | float, ...]:
    """Returns the columns of a new run."""
    begun = (run.kind, run.name, str(run.state), str(run.trigger), run.who, run.created, run.why)
    return (
        *begun,
        run.commit,
        run.branch,
        int(run.dirty),
        json.dumps(run.params),
        run.jobs,
        _stored_path(run.workspace),
    )


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        *,
        kind: str,
        name: str,
        trigger: Trigger,
        who: str,
        why: str = "",
        commit: str = "",
        branch: str = "",
        dirty: bool = False,
        params: Mapping[str, str] | None = None,
        jobs: int = 2,
        workspace: str = "",
        created: float | None = None,
    ) -> Run:
        """Adds a run in state queued."""
        at = time.time() if created is None else created
        given, state = dict(params or {}), RunState.QUEUED
        run = Run(0, kind, name, state, trigger, who, at, why, commit, branch, dirty, given, jobs, workspace)
        with self._database.transaction():
            number = self._database.insert(
                'INSERT INTO runs (kind, name, state, "trigger", who, created, why, "commit", branch, dirty, params,'
                " jobs, workspace) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                _written(run),
            )
            telling.about_run(self._database, number)
        return replace(run, id=number)

    def get(self, id: int) -> Run:
        row = self._database.one(f"SELECT {_COLUMNS} FROM runs WHERE id = ?", (id,))  # noqa: S608 - constant columns
        if row is None:
            raise NotFound(f"there is no run {id}", hint="`podium ps` lists the runs.")
        return self._shown(_run(row))

    def page(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        states: Collection[RunState] = (),
        name: str | None = None,
        kind: str | None = None,
        search: str | None = None,
    ) -> list[Run]:
        """Returns at most `limit` runs older than run `before`, newest first. `search` is found in the run's texts,
        ignoring case, or is its number."""
        sql, values = page_query(limit=limit, before=before, states=states, name=name, kind=kind, search=search)
        return [self._shown(_run(row)) for row in self._database.all(sql, values)]

    def _shown(self, run: Run) -> Run:
        """A copy's runs have no worker: that is the original's."""
        return run if self._database.borrowed is None else replace(run, worker_pid=None, worker_started=None)

    def newest(self, name: str, trigger: Trigger) -> Run | None:
        """Returns the newest run of a pipeline that something started."""
        sql = f"""SELECT {_COLUMNS} FROM runs WHERE name = ? AND "trigger" = ? AND kind = 'pipeline'
            ORDER BY id DESC LIMIT 1"""  # noqa: S608 - constant columns
        row = self._database.one(sql, (name, str(trigger)))
        return self._shown(_run(row)) if row else None

    def newest_like(self, run: Run) -> Run | None:
        """Returns the newest run of the same pipeline at the same commit; None if the run says nothing of one."""
        if run.is_operation or not run.commit or run.dirty:
            return None
        sql = f"""SELECT {_COLUMNS} FROM runs WHERE name = ? AND "commit" = ? AND kind = 'pipeline' AND dirty = 0
            ORDER BY id DESC LIMIT 1"""  # noqa: S608 - constant columns
        row = self._database.one(sql, (run.name, run.commit))
        return self._shown(_run(row)) if row else None

    def newest_of_each(self, commit: str) -> list[Run]:
        """Returns the newest run of each pipeline at a commit, but for those of files that differ from it."""
        sql = f"""SELECT {_COLUMNS} FROM runs WHERE id IN (
            SELECT max(id) FROM runs WHERE "commit" = ? AND kind = 'pipeline' AND dirty = 0
            GROUP BY name) ORDER BY id"""  # noqa: S608 - constant columns
        return [self._shown(_run(row)) for row in self._database.all(sql, (commit,))] if commit else []

    def newest_at(self, commits: Collection[str]) -> dict[str, Run]:
        """Returns commit -> the newest run of a pipeline at it, of those commits that have one."""
        sql = f"""SELECT {_COLUMNS} FROM runs WHERE id IN (
            SELECT max(id) FROM runs WHERE "commit" IN (SELECT value FROM json_each(?)) AND kind = 'pipeline'
            GROUP BY "commit")"""  # noqa: S608 - constant columns
        found = (self._shown(_run(row)) for row in self._database.all(sql, (json.dumps(list(commits)),)))
        return {run.commit: run for run in found}

    def delivered(self, name: str, branch: str, commit: str) -> Run | None:
        """Returns the newest run of a pipeline that a trigger started for a commit of a branch; None if there is none,
        or not any more."""
        sql = f"""SELECT {_COLUMNS} FROM runs WHERE name = ? AND branch = ? AND "commit" = ? AND kind = 'pipeline'
            AND "trigger" <> 'person' ORDER BY id DESC LIMIT 1"""  # noqa: S608 - constant columns
        row = self._database.one(sql, (name, branch, commit))
        return self._shown(_run(row)) if row else None

    def earlier_commits(self, run: Run, limit: int) -> list[str]:
        """Returns the other commits of its branch that triggers ran the pipeline for before this run, newest first."""
        sql = """SELECT "commit" FROM runs WHERE name = ? AND branch = ? AND "commit" <> ? AND id < ?
            AND kind = 'pipeline' AND "trigger" <> 'person' ORDER BY id DESC LIMIT ?"""
        rows = self._database.all(sql, (run.name, run.branch, run.commit, run.id, limit))
        return [str(row[0]) for row in rows]

    def never_started(self) -> list[Run]:
        """Returns the runs of pushed commits that no worker was ever started for, oldest first: the agent that wrote
        them was killed before it could."""
        sql = f"""SELECT {_COLUMNS} FROM runs WHERE state IN ('queued', 'interrupted') AND started IS NULL
            AND worker_pid IS NULL AND "trigger" IN ('push', 'tag', 'pull_request') AND kind = 'pipeline' ORDER BY id"""  # noqa: S608 - constant columns
        return [self._shown(_run(row)) for row in self._database.all(sql)]

    def offer_worker(self, id: int, pid: int, started: float | None) -> None:
        """Notes the worker that was started for a run, unless one has claimed it already."""
        self._database.run(
            "UPDATE runs SET worker_pid = ?, worker_started = ?, heartbeat = ? WHERE id = ? AND worker_pid IS NULL",
            (pid, started, time.time(), id),
        )

    def active(self) -> list[Run]:
        """Returns runs that are queued, running or waiting, newest first."""
        return self.page(limit=-1, states=ACTIVE)

    def count(self) -> int:
        row = self._database.one("SELECT count(*) FROM runs")
        return int(row[0]) if row else 0

    def set_state(
        self,
        id: int,
        state: RunState,
        *,
        message: str = "",
        at: float | None = None,
        only_from: Collection[RunState] = (),
    ) -> bool:
        """Changes the state, and `started` and `ended` with it. With `only_from` it changes nothing (and returns
        False) if the state is another one by now, so that recovery cannot overwrite what a worker wrote in its last
        moment."""
        now = time.time() if at is None else at
        state = RunState(state)
        values: list[Any] = [
            str(state),
            message,
            now if state is RunState.RUNNING else None,
            now if state.finished else None,
            id,
        ]
        sql = "UPDATE runs SET state = ?, message = ?, started = COALESCE(started, ?), ended = ? WHERE id = ?"
        if only_from:
            sql += f" AND state IN ({','.join('?' * len(only_from))})"
            values += [str(one) for one in only_from]
        with self._database.transaction():
            changed = self._database.run(sql, values)
            if changed:
                telling.about_run(self._database, id)
        if not changed:
            self.get(id)
        return bool(changed)

    def set_worker(self, id: int, pid: int | None, started: float | None) -> None:
        self._update(
            id,
            "worker_pid = ?, worker_started = ?, heartbeat = ?",
            pid,
            started,
            time.time() if pid is not None else None,
        )

    def heartbeat(self, id: int) -> None:
        self._update(id, "heartbeat = ?", time.time())

    def set_workspace(self, id: int, path: object) -> None:
        self._update(id, "workspace = ?", _stored_path(str(path)))

    def set_commit(self, id: int, commit: str, *, branch: str = "", dirty: bool = False) -> None:
        with self._database.transaction():
            self._update(id, '"commit" = ?, branch = ?, dirty = ?', commit, branch, int(dirty))
            telling.about_run(self._database, id)

    def request_cancel(self, id: int, who: str, why: str = "") -> None:
        """Asks the run's worker to stop. The first request stays on record."""
        self._update(
            id,
            "cancel_why = CASE WHEN cancel_who IS NULL THEN ? ELSE cancel_why END, cancel_at = COALESCE(cancel_at, ?), "
            "cancel_who = COALESCE(cancel_who, ?)",
            why,
            time.time(),
            who,
        )

    def cancel_request(self, id: int) -> tuple[str, str] | None:
        """Returns (who, why) of a request to cancel; None if there is none."""
        row = self._database.one(
            "SELECT cancel_who, cancel_why FROM runs WHERE id = ? AND cancel_who IS NOT NULL", (id,)
        )
        return (str(row[0]), str(row[1] or "")) if row else None

    def clear_cancel(self, id: int) -> None:
        self._update(id, "cancel_who = NULL, cancel_why = NULL, cancel_at = NULL")

    def approve(
        self, run_id: int, step: str, who: str, why: str = "", *, account: str = "", proof: Proof = Proof.ACCOUNT
    ) -> Approval:
        """Notes that an account approves a step that waits. Approving twice keeps its first approval."""
        self.get(run_id)
        row = (run_id, step, account or who, str(proof), who, time.time(), why)
        self._database.run("INSERT OR IGNORE INTO approvals VALUES (?,?,?,?,?,?,?)", row)
        given = self.approvals(run_id, step)
        return next(each for each in given if (each.account, each.proof) == (account or who, proof))

    def withdraw_approvals(self, run_id: int, step: str, *, before: float = math.inf) -> None:
        """Takes back the approvals that were given before that time: the step waits for others."""
        self._database.run("DELETE FROM approvals WHERE run_id = ? AND step = ? AND at < ?", (run_id, step, before))

    def approval(self, run_id: int, step: str) -> Approval | None:
        """Returns the step's first approval; None where there is none."""
        return next(iter(self.approvals(run_id, step)), None)

    def approvals(self, run_id: int, step: str) -> list[Approval]:
        """Returns the step's approvals, the first first."""
        columns = "run_id, step, who, at, why, account, proof"
        rows = self._database.all(
            f"SELECT {columns} FROM approvals WHERE run_id = ? AND step = ? ORDER BY at",  # noqa: S608 - constant columns
            (run_id, step),
        )
        return [Approval(*row[:5], account=row[5], proof=Proof(row[6])) for row in rows]

    def _update(self, id: int, assignments: str, *values: Any) -> None:
        if not self._database.run(f"UPDATE runs SET {assignments} WHERE id = ?", (*values, id)):  # noqa: S608 - constant assignments
            self.get(id)


def page_query(
    *,
    limit: int,
    before: int | None = None,
    states: Collection[RunState] = (),
    name: str | None = None,
    kind: str | None = None,
    search: str | None = None,
) -> tuple[str, list[Any]]:
    """Returns the statement behind `Runs.page`. Each state is a search of its own in an index in the order of ids,
    so that SQLite stops after `limit` rows instead of sorting all matches."""
    terms: list[str] = []
    values: list[Any] = []
    if name is not None:
        terms.append("name = ?")
        values.append(name)
    if kind is not None:
        terms.append("kind = ?" if name is None else "+kind = ?")
        values.append(str(kind))
    if before is not None:
        terms.append("id < ?")
        values.append(before)
    if search:
        pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        number = search.removeprefix("#")
        alternatives = [f"{column} LIKE ? ESCAPE '\\'" for column in _SEARCHED]
        values += [pattern] * len(_SEARCHED)
        if number.isascii() and number.isdigit() and len(number) < 19:
            alternatives.append("id = ?")
            values.append(int(number))
        terms.append(f"({' OR '.join(alternatives)})")
    wanted = sorted({str(state) for state in states})
    parts: list[str] = []
    all_values: list[Any] = []
    for state in wanted or [None]:
        where = " AND ".join((["state = ?"] if state else []) + terms)
        parts.append(
            f"SELECT * FROM (SELECT {_COLUMNS} FROM runs{' WHERE ' + where if where else ''} ORDER BY id DESC LIMIT ?)"  # noqa: S608
        )
        all_values += [*([state] if state else []), *values, limit]
    sql = " UNION ALL ".join(parts)
    if len(parts) > 1:
        sql += " ORDER BY 1 DESC LIMIT ?"
        all_values.append(limit)
    return sql, all_values
