"""What a status and a plan read of the journal: python benchmarks/reads.py [--quick]

Each stands beside two others measured in turns with it on the same journal: the bare SQL, sqlite3 alone asked for the
same rows with none of our objects; and reading it all, every version and the last 500 deployments once, as objects.
Times are CPU time of this process.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _measuring import Report, in_turns, parser, timing
from podium.core.config import load
from podium.core.delivery.rollout import plans
from podium.core.delivery.status.status import status
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.models import Version
from podium.core.domain.project import Project
from podium.core.domain.verdicts import Verdict
from podium.core.journal import Journal

ENVIRONMENT = "production"
# Rows beyond one for each deployment: the aliases, the versions meant, locks, replicas, what a plan rests on.
MORE_ROWS = 30
# Of the time of reading it all.
SHARE = 0.125
# Times the bare SQL: a status also looks at locks, processes and sockets.
TIMES = 3.5

PODIUM_YAML = f"""\
project: flights
environments: {{{ENVIRONMENT}: {{port: 5911, protected: true}}}}
"""


def seed(journal: Journal, model: str, versions: int, deployments: int) -> None:
    figures = {f"metric_{number}": number / 10 for number in range(12)}
    words = {f"parameter_{number}": "0123456789" for number in range(20)}
    aliases = {versions: ("challenger",), versions - 3: ("champion",)}
    known = [
        Version(
            model,
            number,
            float(number),
            aliases=aliases.get(number, ()),
            mlflow_run=f"{number:032x}",
            source=f"models:/m-{number:032x}",
            commit=f"{number:040x}",
            verdict=Verdict.PASS,
            metrics=figures,
            params=words,
            tags=words,
        )
        for number in range(1, versions + 1)
    ]
    journal.versions.replace(model, known, "seeded")
    with journal.transaction():
        for number in range(deployments):
            version = 1 + (versions - 4 - deployments + number) % (versions - 3)
            row = journal.ledger.begin(
                environment=ENVIRONMENT,
                how=How.PROMOTE if number % 9 else How.ROLLBACK,
                model=model,
                to_version=version,
                from_version=None,
                who="anna",
            )
            new = [f"{ENVIRONMENT}-v{version}-1"] if number % 9 else []
            data = {"new": new, "weights": {}, "start_seconds": 2.5, "traffic_seconds": 0.4, "share": 100}
            journal.ledger.phase(row.id, "clean_up", data)
            journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)


def rows_of(connection: sqlite3.Connection, call: Callable[[], object]) -> tuple[int, int]:
    """(statements, rows) that the call has the connection read."""
    counted = [0, 0]

    def statement(_: str) -> None:
        counted[0] += 1

    def row(_: sqlite3.Cursor, found: tuple[object, ...]) -> tuple[object, ...]:
        counted[1] += 1
        return found

    connection.set_trace_callback(statement)
    connection.row_factory = row
    try:
        call()
    finally:
        connection.set_trace_callback(None)
        connection.row_factory = None
    return counted[0], counted[1]


def bare(path: Path, model: str) -> Callable[[], object]:
    """What a status has to know of the ledger and the registry, asked of sqlite3 itself."""
    raw = sqlite3.connect(path)

    def ask() -> object:
        current = raw.execute(
            "SELECT * FROM deployments WHERE environment = ? AND state = 'succeeded' ORDER BY id DESC LIMIT 1",
            (ENVIRONMENT,),
        ).fetchone()
        served = raw.execute(
            "SELECT to_version, max(id) FROM deployments WHERE environment = ? AND state = 'succeeded'"
            " GROUP BY to_version ORDER BY 2 DESC",
            (ENVIRONMENT,),
        ).fetchall()
        aliases = raw.execute(
            "SELECT version, aliases FROM versions WHERE model = ? AND aliases <> '[]'", (model,)
        ).fetchall()
        replicas = raw.execute("SELECT * FROM replicas WHERE environment = ?", (ENVIRONMENT,)).fetchall()
        return current, served, aliases, replicas

    return ask


def measure(report: Report, project: Project, journal: Journal, deployments: int, rounds: int) -> None:
    model, connection = project.mlflow.model, journal._database.connection
    asked: dict[str, Callable[[], object]] = {
        "status": lambda: status(project, journal, project.environments[ENVIRONMENT]),
        "plan of a promote": lambda: plans.plan(project, journal, How.PROMOTE, ENVIRONMENT, None),
        "plan of a rollback": lambda: plans.plan(project, journal, How.ROLLBACK, ENVIRONMENT, None),
    }
    peers: dict[str, Callable[[], object]] = {
        "the bare SQL": bare(journal.path, model),
        "reading it all": lambda: (journal.versions.of(model), journal.ledger.history(ENVIRONMENT, limit=500)),
    }
    clocked = {name: timing(call, time.process_time) for name, call in (asked | peers).items()}
    taken = in_turns(clocked, rounds)
    for name in asked:
        report.compare(name, taken[name], "the bare SQL", taken["the bare SQL"], most=TIMES)
        report.compare(name, taken[name], "reading it all", taken["reading it all"], most=SHARE)
        statements, rows = rows_of(connection, asked[name])
        report.count(f"{name}, {statements} statements", rows, deployments + MORE_ROWS, " rows")


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--versions", type=int, default=1000)
    options_of.add_argument("--deployments", type=int, default=100)
    options = options_of.parse_args()
    versions, deployments, rounds = options.versions, options.deployments, 31
    if options.quick:
        versions, deployments, rounds = 100, 20, 3
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        (home / "podium.yaml").write_text(PODIUM_YAML)
        project = load(home, environ={})
        with Journal.open(project.state / "journal.db") as journal:
            seed(journal, project.mlflow.model, versions, deployments)
            report.figure("versions, deployments", f"{versions:>10}, {deployments}")
            measure(report, project, journal, deployments, rounds)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
