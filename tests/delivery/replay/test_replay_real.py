"""A replay with nothing stood in for: captured by the real serving app, answered by it again, by the command and as
a check of a gate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from podium.core.cockpit import Cockpit
from podium.core.delivery.replay import shadows
from podium.core.domain.delivery import How
from podium.core.domain.runs import RunState
from podium.core.domain.verdicts import Verdict
from podium.core.registry.snapshot import refresh

from tests.delivery.light import Load
from tests.runner.scale import scaled
from tests.support import free_port, wait_until

PODIUM = """\
project: iris
mlflow: {{model: iris}}
pipelines:
  judge:
    params: {{version: "2"}}
    steps:
      gate: {{uses: gate, gate: quality, version: "${{{{ params.version }}}}"}}
gates:
  quality:
    data: test.csv
    target: y
    checks:
      - {{metric: accuracy, at_least: 0.5}}
      - {{replay: production, at_least: 40, limit: 60, max_differing: 30%, max_slowdown: 1000%}}
environments:
  production: {{driver: process, port: {port}, replicas: 1, protected: true, capture: 100%, strategy: {{blue-green: {{drain: 5s}}}}}}
"""
ROWS = [[5.1234567, 3.5, 1.4, 0.2], [6.2, 2.8, 4.8, 1.8], [6.0, 2.7, 5.1, 1.6], [7.7, 3.0, 6.1, 2.3]]
QUESTION = json.dumps({"inputs": ROWS}).encode()


@pytest.fixture(scope="module")
def cockpit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cockpit]:
    """Versions: 1 serves and has answered, 2 is like it, 3 says the opposite, 4 wants other columns."""
    home = tmp_path_factory.mktemp("iris replayed")
    (home / "podium.yaml").write_text(PODIUM.format(port=free_port()))
    made = Cockpit.open(home)
    try:
        _register(made)
        _serve(made)
        yield made
    finally:
        made.environments.stop()
        made.close()


def _register(cockpit: Cockpit) -> None:
    import mlflow
    import numpy as np
    from podium.core.registry.prepare import prepare
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    project = cockpit.project.config
    prepare(project.mlflow, project.state)
    mlflow.set_tracking_uri(project.mlflow.tracking_uri)
    mlflow.set_experiment(project.mlflow.experiment)
    rows, truth = load_iris(return_X_y=True)
    rows, truth = rows[50:], (truth[50:] == 2).astype(int)
    for column, target in ((rows, truth), (rows, truth), (rows, 1 - truth), (rows[:, :2], truth)):
        model: Any = LogisticRegression(max_iter=500).fit(column, target)
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                model,
                name="model",
                input_example=np.asarray(column[:2]),
                registered_model_name="iris",
                pip_requirements=["scikit-learn"],
            )
    header = "a,b,c,d,y"
    (project.root / "test.csv").write_text(
        "\n".join([header, *(",".join(map(str, [*row, y])) for row, y in zip(rows, truth, strict=True))]) + "\n"
    )
    refresh(project, cockpit.journal)


def _serve(cockpit: Cockpit) -> None:
    plan = cockpit.changes.plan(How.PROMOTE, "production", version=1, force=True)
    run = cockpit.changes.apply(plan, confirmed=plan.type_to_confirm, why="the first", force=True)
    wait_until(lambda: cockpit.runs.get(run.id).run.state.finished, 60)
    assert cockpit.runs.get(run.id).run.state is RunState.SUCCEEDED, cockpit.runs.get(run.id)
    with Load(cockpit.project.config.environments["production"].port, body=QUESTION) as load:
        wait_until(lambda: load.total >= 80, 30)
    captured = cockpit.home / ".podium" / "environments" / "production" / "capture"
    wait_until(lambda: sum(path.read_bytes().count(b"\n") for path in captured.glob("capture-*.jsonl")) >= 80)


def podium(cockpit: Cockpit, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "podium.cli", *words],
        cwd=cockpit.home,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(110),
    )


def quiet(cockpit: Cockpit) -> bool:
    return not [holder for holder in cockpit.journal.locks.all() if holder.name.startswith(shadows._LOCK_PREFIX)]


OPTIONS = ("-e", "production", "--limit", "60", "--max-slowdown", "1000%")


def test_one_like_the_champion_passes_and_the_report_is_on_its_mlflow_run(cockpit: Cockpit) -> None:
    import mlflow

    done = podium(cockpit, "replay", *OPTIONS, "--version", "2", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["verdict"], found["champion"], found["version"]) == ("pass", 1, 2)
    assert (found["requests"], found["rows"], found["identical"], found["unsteady"]) == (60, 240, 240, 0)
    assert 0 < found["latency"]["p50"] <= found["latency"]["p99"] < 1
    assert "of 80 captured" not in done.stderr or found["captured"] == 80
    assert "5.1234567" not in done.stderr + done.stdout, "captured inputs are users' data"
    (mlflow_run,) = {version.mlflow_run for version in cockpit.models.versions() if version.version == 2}
    client = mlflow.MlflowClient(cockpit.project.config.mlflow.tracking_uri)
    assert {item.path for item in client.list_artifacts(mlflow_run, "podium")} == {
        "podium/replay-production.json",
        "podium/replay-production.md",
    }
    assert [report.gate for report in cockpit.models.gate_reports(cockpit.models.version(2))] == ["replay:production"]
    assert cockpit.environments.get("production").differences == () and quiet(cockpit)


def test_one_that_cannot_answer_fails_with_the_words_and_without_the_data(cockpit: Cockpit) -> None:
    done = podium(cockpit, "replay", *OPTIONS, "--version", "4", "-o", "json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["errors"], found["rows"]) == (60, 0)
    (words,) = found["error_words"]
    assert (
        words.startswith("400 ")
        and "does not match expected" in words
        and not set("123456789") & set(words.removeprefix("400 "))
    )
    assert [check["verdict"] for check in found["checks"]] == ["pass", "fail", "error", "error"]


def test_what_does_not_exist_is_not_started(cockpit: Cockpit) -> None:
    assert podium(cockpit, "replay", "-e", "nowhere", "--version", "2").returncode == 3
    assert podium(cockpit, "replay", "-e", "production", "--version", "99").returncode == 3
    wrong = podium(cockpit, "replay", "-e", "production", "--version", "2", "--at-least", "9", "--limit", "5")
    assert (wrong.returncode, "no replay could pass" in wrong.stderr) == (2, True)


def test_as_a_check_of_a_gate(cockpit: Cockpit) -> None:
    run = cockpit.runs.start("judge", params={"version": "3"})
    wait_until(lambda: cockpit.runs.get(run.id).run.state.finished, 90)
    assert cockpit.runs.get(run.id).run.state is RunState.FAILED
    report = next(
        report for report in cockpit.models.gate_reports(cockpit.models.version(3)) if report.gate == "quality"
    )
    found = {check.name: check for check in report.checks}
    assert len(found) == 5 and found["replay on production: requests ≥ 40"].verdict is Verdict.PASS
    assert found["replay on production: differing ≤ 30 %"].verdict is Verdict.FAIL
    assert "240 of 240 labels changed" in found["replay on production: differing ≤ 30 %"].message and quiet(cockpit)
