"""What listing 1,000 model versions costs: python benchmarks/versions.py [--versions 1000] [--rounds 5] [--quick]

Whole processes: `podium versions -o json` beside MLflow's own client asked for the same (versions, and the metrics of
their runs), in turns on the same store. Over REST the store is a real `mlflow server` that this script starts and
stops.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from _measuring import Report, cost, free_port, in_turns, parser, seconds
from podium.core.domain.project import Mlflow
from podium.core.registry.prepare import prepare

# Times MLflow's client: of an embedded store that has not changed, and of a tracking server.
EMBEDDED, SERVED = 0.12, 0.3
EXPERIMENT = MODEL = "flights"

PODIUM_YAML = """\
project: flights
mlflow: {{tracking_uri: "{uri}"}}
pipelines:
  release: {{steps: {{one: {{run: "true"}}}}}}
"""

# The same question in MLflow's own words: the versions, newest first, with their runs' metrics.
PEER = f"""
import json, sys, mlflow
client = mlflow.MlflowClient(sys.argv[1], sys.argv[1])
versions, token = [], None
while True:
    page = client.search_model_versions("name='{MODEL}'", max_results=1000, page_token=token)
    versions += page
    token = page.token
    if not token:
        break
experiment = client.get_experiment_by_name("{EXPERIMENT}").experiment_id
runs, token = {{}}, None
while True:
    page = client.search_runs([experiment], max_results=1000, page_token=token)
    runs.update((run.info.run_id, run.data.metrics) for run in page)
    token = page.token
    if not token:
        break
json.dump([[version.version, version.run_id, runs.get(version.run_id)] for version in versions], open(sys.argv[2], "w"))
"""


def fill(path: Path, versions: int, artifacts: Path) -> None:
    """Runs with metrics, params and tags, and a version of each, written by SQL: through the client it would take
    minutes."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        columns = {table: [row[1] for row in database.execute(f"PRAGMA table_info({table})")] for table in _TABLES}
        experiment = database.execute("SELECT experiment_id FROM experiments WHERE name = ?", (EXPERIMENT,)).fetchone()[
            0
        ]

        def put(table: str, **values: object) -> None:
            names = [name for name in values if name in columns[table]]
            if "workspace" in columns[table]:
                names, values = [*names, "workspace"], {**values, "workspace": "default"}
            quoted = ", ".join(f'"{name}"' for name in names)
            database.execute(
                f"INSERT INTO {table} ({quoted}) VALUES ({', '.join('?' * len(names))})",
                [values[name] for name in names],
            )

        now = int(time.time() * 1000) - versions * 60_000
        put("registered_models", name=MODEL, creation_time=now, last_updated_time=now, description="")
        for number in range(1, versions + 1):
            run, at = uuid.uuid4().hex, now + number * 60_000
            put(
                "runs",
                run_uuid=run,
                name=f"run-{number}",
                source_type="LOCAL",
                user_id="anna",
                status="FINISHED",
                start_time=at,
                end_time=at + 9000,
                lifecycle_stage="active",
                experiment_id=experiment,
                artifact_uri=f"{artifacts}/{run}/artifacts",
                source_name="",
                entry_point_name="",
                source_version="",
            )
            for name in ("roc_auc", "log_loss", "recall", "precision", "brier"):
                put(
                    "latest_metrics",
                    key=name,
                    value=0.5 + number / 10_000,
                    timestamp=at,
                    step=0,
                    is_nan=0,
                    run_uuid=run,
                )
            for name in ("depth", "rate", "until"):
                put("params", key=name, value=str(number % 7), run_uuid=run)
            for name in ("podium.commit", "podium.run", "mlflow.runName"):
                put("tags", key=name, value=str(number), run_uuid=run)
            put(
                "model_versions",
                name=MODEL,
                version=number,
                creation_time=at,
                last_updated_time=at,
                description="",
                user_id="anna",
                current_stage="None",
                source=f"{artifacts}/{run}/model",
                run_id=run,
                status="READY",
                status_message="",
                run_link="",
                storage_location=f"{artifacts}/{run}/model",
            )
        put("registered_model_aliases", name=MODEL, alias="champion", version=versions - 1)


_TABLES = (
    "registered_models",
    "runs",
    "latest_metrics",
    "params",
    "tags",
    "model_versions",
    "registered_model_aliases",
)


@contextlib.contextmanager
def served(database: Path, home: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(home / "served")]
    environ = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ, cwd=home, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 90
            while True:
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=2).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or process.poll() is not None:
                        raise SystemExit((home / "server.log").read_text()) from None
                    time.sleep(0.1)
            yield address
        finally:
            os.killpg(process.pid, 15)
            process.wait(15)


def project(home: Path, name: str, uri: str) -> Path:
    directory = home / name
    directory.mkdir()
    (directory / "podium.yaml").write_text(PODIUM_YAML.format(uri=uri))
    return directory


def measure(report: Report, title: str, directory: Path, uri: str, rounds: int, most: float, *, cpu: bool) -> None:
    """CPU time of the whole processes, or, where both wait for a server, the time on the clock."""

    def taken(command: list[str]) -> float:
        found = cost(command, directory, environ)
        return found.cpu if cpu else found.seconds

    environ = {"MLFLOW_TRACKING_URI": uri, "NO_COLOR": "1"}
    ours = [sys.executable, "-m", "podium.cli", "versions", "-o", "json"]
    theirs = [sys.executable, "-c", PEER, uri, str(directory / "peer.json")]
    first = cost(ours, directory, environ).seconds
    found = in_turns({"ours": lambda: taken(ours), "theirs": lambda: taken(theirs)}, rounds)
    peer = "MLflow's client"
    report.compare(f"podium versions, {title}", found["ours"], peer, found["theirs"], most=most)
    report.figure("  the first time", f"{seconds(first):>18}")


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--versions", type=int, default=1000)
    options_of.add_argument("--rounds", type=int, default=5)
    options = options_of.parse_args()
    versions, rounds = (20, 1) if options.quick else (options.versions, options.rounds)
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        template = home / "template"
        uri = f"sqlite:///{template}/mlflow.db"
        prepare(Mlflow(uri, EXPERIMENT, MODEL), template)
        fill(template / "mlflow.db", versions, template / "artifacts")
        shutil.copyfile(template / "mlflow.db", home / "server.db")
        measure(
            report, "embedded store, unchanged, CPU", project(home, "embedded", uri), uri, rounds, EMBEDDED, cpu=True
        )
        with served(home / "server.db", home) as address:
            measure(report, "tracking server, wall", project(home, "rest", address), address, rounds, SERVED, cpu=False)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
