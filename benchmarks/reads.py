"""What a status and a plan read of the journal: python benchmarks/reads.py [--versions 1000] [--deployments 100]

Each stands beside two others measured in turns with it on the same journal: the bare SQL, sqlite3 alone asked for the
same rows with none of our objects; and reading it all, every version and the last 500 deployments once, as objects.
Times are CPU time of this process. Ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
# Of the time of reading it all, beside what a status costs that reads nothing (locks, /proc, sockets).
SHARE_BOUND = 0.2
FIXED_SECONDS = 0.002

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


def in_turns(calls: dict[str, Callable[[], object]], times: int = 31) -> dict[str, float]:
    """The median CPU seconds of each."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(times):
        for name, call in calls.items():
            began = time.process_time()
            call()
            taken[name].append(time.process_time() - began)
    return {name: statistics.median(each) for name, each in taken.items()}


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


def measure(project: Project, journal: Journal, deployments: int) -> bool:
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
    seconds = in_turns(asked | peers)
    all_of_it, good = seconds["reading it all"], True
    for name in asked | peers:
        line = f"{name:20} {seconds[name] * 1e3:8.2f} ms  {seconds[name] / all_of_it:6.3f} of reading it all"
        if name in asked:
            statements, rows = rows_of(connection, asked[name])
            fine = rows <= deployments + MORE_ROWS and seconds[name] <= SHARE_BOUND * all_of_it + FIXED_SECONDS
            line += f"  {statements:3} statements {rows:5} rows{'' if fine else '   MISSED'}"
            good = good and fine
        print(line)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--deployments", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        (home / "podium.yaml").write_text(PODIUM_YAML)
        project = load(home, environ={})
        with Journal.open(project.state / "journal.db") as journal:
            seed(journal, project.mlflow.model, asked.versions, asked.deployments)
            print(f"{asked.versions} versions, {asked.deployments} deployments")
            return 0 if measure(project, journal, asked.deployments) else 1


if __name__ == "__main__":
    sys.exit(main())
