"""The journal's tables, as an ordered list of migrations. A released migration is never edited: a change is a new
one at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import JournalError

if TYPE_CHECKING:
    from .database import Database

# "PODI" in ASCII: tells our file from any other SQLite file.
APPLICATION_ID = 0x504F4449

_RUNS = """
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, "trigger" TEXT NOT NULL, who TEXT NOT NULL,
  created REAL NOT NULL, why TEXT NOT NULL, "commit" TEXT NOT NULL, branch TEXT NOT NULL, dirty INTEGER NOT NULL, params TEXT NOT NULL,
  jobs INTEGER NOT NULL, workspace TEXT NOT NULL, started REAL, ended REAL, heartbeat REAL, worker_pid INTEGER, worker_started REAL,
  message TEXT NOT NULL DEFAULT '', cancel_who TEXT, cancel_why TEXT, cancel_at REAL);
CREATE INDEX runs_by_state ON runs(state, id);
CREATE INDEX runs_by_name ON runs(name, id);
CREATE INDEX runs_by_name_and_state ON runs(name, state, id);
CREATE INDEX runs_by_kind ON runs(kind, id);
CREATE TABLE steps (
  run_id INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, name TEXT NOT NULL, position INTEGER NOT NULL, state TEXT NOT NULL,
  needs TEXT NOT NULL, uses TEXT NOT NULL, command TEXT NOT NULL, attempt INTEGER NOT NULL, cached INTEGER NOT NULL, origin INTEGER,
  "key" TEXT NOT NULL, exit_code INTEGER, started REAL, ended REAL, message TEXT NOT NULL, results TEXT NOT NULL,
  PRIMARY KEY (run_id, name)) WITHOUT ROWID;
CREATE INDEX steps_by_key ON steps("key", run_id) WHERE state = 'succeeded' AND "key" <> '';
CREATE TABLE approvals (
  run_id INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, step TEXT NOT NULL, who TEXT NOT NULL, at REAL NOT NULL, why TEXT NOT NULL,
  PRIMARY KEY (run_id, step)) WITHOUT ROWID;
"""

_DELIVERY = """
CREATE TABLE deployments (
  id INTEGER PRIMARY KEY AUTOINCREMENT, environment TEXT NOT NULL, how TEXT NOT NULL, state TEXT NOT NULL, model TEXT NOT NULL,
  to_version INTEGER NOT NULL, from_version INTEGER, at REAL NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, run_id INTEGER,
  "commit" TEXT NOT NULL, digest TEXT NOT NULL, strategy TEXT NOT NULL, forced INTEGER NOT NULL, phase TEXT NOT NULL DEFAULT '', ended REAL,
  message TEXT NOT NULL DEFAULT '', data TEXT NOT NULL DEFAULT '{}');
CREATE INDEX deployments_by_environment ON deployments(environment, state, id);
CREATE INDEX deployments_by_state ON deployments(state, id);
CREATE TABLE replicas (
  id TEXT NOT NULL, environment TEXT NOT NULL, version INTEGER NOT NULL, slot TEXT NOT NULL, port INTEGER NOT NULL, state TEXT NOT NULL,
  pid INTEGER, pid_started REAL, weight INTEGER NOT NULL, restarts INTEGER NOT NULL, started REAL, digest TEXT NOT NULL, message TEXT NOT NULL,
  PRIMARY KEY (environment, id)) WITHOUT ROWID;
CREATE TABLE quarantine (
  model TEXT NOT NULL, version INTEGER NOT NULL, "commit" TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
  PRIMARY KEY (model, version)) WITHOUT ROWID;
CREATE TABLE locks (
  name TEXT PRIMARY KEY, who TEXT NOT NULL, why TEXT NOT NULL, pid INTEGER NOT NULL, pid_started REAL, host TEXT NOT NULL, at REAL NOT NULL,
  token TEXT NOT NULL) WITHOUT ROWID;
"""

_REGISTRY = """
CREATE TABLE models (name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, updated REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE versions (
  model TEXT NOT NULL, version INTEGER NOT NULL, created REAL NOT NULL, status TEXT NOT NULL, aliases TEXT NOT NULL, mlflow_run TEXT NOT NULL,
  source TEXT NOT NULL, "commit" TEXT NOT NULL, run_id INTEGER, digest TEXT NOT NULL, verdict TEXT, metrics TEXT NOT NULL, params TEXT NOT NULL,
  tags TEXT NOT NULL, description TEXT NOT NULL, PRIMARY KEY (model, version));
CREATE TABLE histories (
  mlflow_run TEXT NOT NULL, metric TEXT NOT NULL, stored REAL NOT NULL, points TEXT NOT NULL, PRIMARY KEY (mlflow_run, metric));
CREATE INDEX histories_by_age ON histories(stored);
CREATE TABLE gates (
  id INTEGER PRIMARY KEY, gate TEXT NOT NULL, model TEXT NOT NULL, version INTEGER NOT NULL, at REAL NOT NULL, report TEXT NOT NULL);
CREATE INDEX gates_by_version ON gates(model, version, id);
"""

_WATCHING = """
CREATE TABLE sample_series (
  id INTEGER PRIMARY KEY, environment TEXT NOT NULL, signal TEXT NOT NULL, UNIQUE (environment, signal));
CREATE TABLE samples (
  series INTEGER NOT NULL, step INTEGER NOT NULL, at INTEGER NOT NULL, number INTEGER NOT NULL, total REAL NOT NULL,
  PRIMARY KEY (series, step, at)) WITHOUT ROWID;
CREATE TABLE alerts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, environment TEXT NOT NULL, monitor TEXT NOT NULL, state TEXT NOT NULL,
  at REAL NOT NULL, value REAL, message TEXT NOT NULL);
CREATE TABLE agent (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1), pid INTEGER NOT NULL, started REAL NOT NULL, host TEXT NOT NULL, who TEXT NOT NULL,
  heartbeat REAL NOT NULL);
CREATE TABLE "values" ("key" TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

# The triggers stop mistakes; the chain of digests is what shows that somebody went around them.
_AUDIT = """
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, why TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE audit_head (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), number INTEGER NOT NULL, digest TEXT NOT NULL);
INSERT INTO audit_head VALUES (1, 0, '');
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
"""

_CONTAINERS = """
ALTER TABLE replicas ADD COLUMN address TEXT NOT NULL DEFAULT '127.0.0.1';
ALTER TABLE replicas ADD COLUMN container TEXT NOT NULL DEFAULT '';
ALTER TABLE replicas ADD COLUMN image TEXT NOT NULL DEFAULT '';
CREATE TABLE images (
  model TEXT NOT NULL, version INTEGER NOT NULL, engine TEXT NOT NULL, image_id TEXT NOT NULL, reference TEXT NOT NULL, built REAL NOT NULL,
  digest TEXT NOT NULL, tag TEXT NOT NULL, base TEXT NOT NULL, model_layer TEXT NOT NULL, size INTEGER NOT NULL, seconds REAL NOT NULL,
  run_id INTEGER, sbom TEXT NOT NULL, PRIMARY KEY (model, version, engine)) WITHOUT ROWID;
CREATE TABLE pictures (environment TEXT PRIMARY KEY, engine TEXT NOT NULL, at REAL NOT NULL, containers TEXT NOT NULL, message TEXT NOT NULL)
  WITHOUT ROWID;
CREATE TABLE orders (
  id INTEGER PRIMARY KEY AUTOINCREMENT, deployment INTEGER NOT NULL, "order" TEXT NOT NULL, who TEXT NOT NULL, at REAL NOT NULL,
  why TEXT NOT NULL);
CREATE INDEX orders_by_deployment ON orders(deployment, id);
"""

# A row of an older Podium has the host's name alone, and is judged by that.
_IDENTITY = """
ALTER TABLE locks ADD COLUMN machine TEXT NOT NULL DEFAULT '';
ALTER TABLE locks ADD COLUMN boot TEXT NOT NULL DEFAULT '';
ALTER TABLE locks ADD COLUMN namespace TEXT NOT NULL DEFAULT '';
ALTER TABLE locks ADD COLUMN guarded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agent ADD COLUMN machine TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN boot TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN namespace TEXT NOT NULL DEFAULT '';
"""

_OUTBOX = """
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, kind TEXT NOT NULL, "key" TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL, added REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, leased REAL,
  state TEXT NOT NULL DEFAULT 'waiting', error TEXT NOT NULL DEFAULT '', ended REAL);
CREATE INDEX outbox_waiting ON outbox(receiver, id) WHERE state = 'waiting';
CREATE INDEX outbox_ended ON outbox(id) WHERE state <> 'waiting';
"""

# Rows of the audit may leave it for a sealed segment that has them, and for nothing else.
_SEGMENTS = """
CREATE TABLE segments (
  kind TEXT NOT NULL, number INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, rows INTEGER NOT NULL, before TEXT NOT NULL,
  digest TEXT NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (kind, number)) WITHOUT ROWID;
CREATE TRIGGER segments_no_update BEFORE UPDATE ON segments BEGIN SELECT RAISE(ABORT, 'sealed segments stay as they are'); END;
CREATE TRIGGER segments_no_delete BEFORE DELETE ON segments BEGIN SELECT RAISE(ABORT, 'sealed segments stay as they are'); END;
DROP TRIGGER audit_no_delete;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit WHEN OLD.id > coalesce((SELECT max(last) FROM segments WHERE kind = 'audit'), 0)
  BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
"""

# Several people may approve one step. Who approved before is the account that the audit's words begin with.
_APPROVERS = """
ALTER TABLE approvals RENAME TO approvals_of_one;
CREATE TABLE approvals (
  run_id INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, step TEXT NOT NULL, account TEXT NOT NULL, proof TEXT NOT NULL,
  who TEXT NOT NULL, at REAL NOT NULL, why TEXT NOT NULL, PRIMARY KEY (run_id, step, account, proof)) WITHOUT ROWID;
INSERT INTO approvals SELECT run_id, step, substr(who || ' ', 1, instr(who || ' ', ' ') - 1), 'account', who, at, why FROM approvals_of_one;
DROP TABLE approvals_of_one;
"""

# CI runs of Git hosts as they were last seen, so that the inbox is painted without asking. A run is its own text
# (`body`), and the columns are what it is found by.
_HOST_CI = """
CREATE TABLE host_runs (
  host TEXT NOT NULL, repo TEXT NOT NULL, id TEXT NOT NULL, sha TEXT NOT NULL, state TEXT NOT NULL, at REAL NOT NULL,
  seen REAL NOT NULL, body TEXT NOT NULL, approvals TEXT NOT NULL, PRIMARY KEY (host, repo, id)) WITHOUT ROWID;
CREATE INDEX host_runs_by_time ON host_runs(at);
CREATE INDEX host_runs_by_sha ON host_runs(sha);
CREATE INDEX runs_by_commit ON runs("commit", id);
"""

# What monitors measured (`body` is a Measurement), how alerts stand, and what the feedback loop did. An alert that fires is
# an episode: the id of the row of `alerts` that says so.
_MONITORING = """
CREATE TABLE measurements (
  id INTEGER PRIMARY KEY AUTOINCREMENT, monitor TEXT NOT NULL, environment TEXT NOT NULL, at REAL NOT NULL, value REAL,
  body TEXT NOT NULL);
CREATE INDEX measurements_by_monitor ON measurements(monitor, at);
CREATE INDEX measurements_by_time ON measurements(at);
CREATE TABLE alert_states (name TEXT PRIMARY KEY, state TEXT NOT NULL, since REAL NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE silences (
  id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, at REAL NOT NULL,
  until REAL NOT NULL, ended REAL);
CREATE TABLE loops (
  id INTEGER PRIMARY KEY AUTOINCREMENT, alert TEXT NOT NULL, environment TEXT NOT NULL, pipeline TEXT NOT NULL, episode INTEGER NOT NULL,
  at REAL NOT NULL, state TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (episode, pipeline));
CREATE INDEX loops_by_state ON loops(state);
"""

# What is told of a change of an alert is what held then.
_ALERT_EVENTS = """
ALTER TABLE alerts ADD COLUMN body TEXT NOT NULL DEFAULT '{}';
"""

MIGRATIONS: tuple[str, ...] = (
    _RUNS + _DELIVERY + _REGISTRY + _WATCHING + _AUDIT,
    _CONTAINERS,
    _IDENTITY,
    _OUTBOX,
    _SEGMENTS,
    _APPROVERS,
    _HOST_CI,
    _MONITORING,
    _ALERT_EVENTS,
)


def check(database: Database, migrations: tuple[str, ...] = MIGRATIONS) -> bool:
    """Tells whether the schema is current. Refuses a file that is not a journal and one that a newer Podium wrote."""
    current = _number(database, "PRAGMA user_version")
    if current > len(migrations):
        raise JournalError(
            f"the journal {database.path} was written by a newer Podium (schema {current}, this one knows"
            f" {len(migrations)})",
            hint="Use the newer Podium, or start it on a copy of the project. Nothing was changed.",
        )
    if (
        _number(database, "SELECT count(*) FROM sqlite_schema")
        and _number(database, "PRAGMA application_id") != APPLICATION_ID
    ):
        hint = "Move it away: Podium keeps its journal in a file of that name."
        raise JournalError(f"{database.path} is an SQLite file, but not a journal of Podium's", hint=hint)
    return current == len(migrations)


def migrate(database: Database, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Brings the schema up to date in one transaction, so that a crash or a full disk leaves the old one intact."""
    with database.transaction():
        if check(database, migrations):
            return
        current = _number(database, "PRAGMA user_version")
        for script in migrations[current:]:
            for statement in statements(script):
                database.run(statement)
        database.run(f"PRAGMA application_id={APPLICATION_ID}")
        database.run(f"PRAGMA user_version={len(migrations)}")


def count_runs_on(database: Database, last: int) -> None:
    """Has a new journal number its runs after `last`, of which there are files already: those of two runs must not
    mix."""
    if last:
        database.run(
            "INSERT INTO sqlite_sequence(name, seq) SELECT 'runs', ? WHERE NOT EXISTS"
            " (SELECT 1 FROM sqlite_sequence WHERE name = 'runs')",
            (last,),
        )


def statements(script: str) -> list[str]:
    """Splits a script into its statements: sqlite3's own executescript would commit the current transaction."""
    import sqlite3

    found: list[str] = []
    pending = ""
    for part in script.split(";"):
        pending += part + ";"
        if sqlite3.complete_statement(pending):
            if pending.strip(" \n;"):
                found.append(pending.strip())
            pending = ""
    return found


def _number(database: Database, sql: str) -> int:
    row = database.one(sql)
    return int(row[0]) if row else 0
