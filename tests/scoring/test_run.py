"""Scoring as a run: an operation of its own whose worker may be killed, a step of a pipeline, a command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from podium.core.config import load
from podium.core.domain.models import ScoreRequest
from podium.core.domain.project import Project
from podium.core.domain.runs import Run, RunState
from podium.core.engine.recovery import recover
from podium.core.engine.submit import resume, submit_operation, submit_pipeline
from podium.core.journal import Journal
from podium.core.scoring.directory import WORK

from tests.runner.scale import scaled
from tests.scoring.conftest import YAML
from tests.support import wait_until

Rows = Callable[..., pd.DataFrame]


@pytest.fixture
def journal(project: Project) -> Iterator[Journal]:
    with Journal.open(project.state / "journal.db") as opened:
        yield opened


def ended(journal: Journal, run: Run) -> dict[str, Any]:
    wait_until(lambda: journal.runs.get(run.id).state.finished, 90, what="the run has ended")
    step = journal.steps.of(run.id)[-1]
    assert journal.runs.get(run.id).state is RunState.SUCCEEDED, step.message
    return dict(step.results)


def test_a_killed_worker_costs_the_parts_that_were_at_work_alone(
    project: Project, journal: Journal, rows: Rows, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    table = rows(number=100, word=["a"] * 50 + [f"wait:{go}"] * 50)
    request = ScoreRequest(str(tmp_path / "rows.parquet"), str(tmp_path / "out"), parallel=1, part_rows=20)
    run = submit_operation(project, journal, "score", "flights", params=request.parameters(), who="anna")
    notes = tmp_path / "out" / WORK / "parts.jsonl"
    wait_until(lambda: notes.exists() and len(notes.read_text().splitlines()) == 2, 90, what="two parts are done")
    worker = journal.runs.get(run.id).worker_pid
    assert worker
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: recover(journal) == [run.id] or journal.runs.get(run.id).state is RunState.INTERRUPTED)
    assert not list((tmp_path / "out").glob("part-*")), "nothing is shown before all is there"
    go.touch()
    resume(project, journal, run.id, "anna")
    assert ended(journal, run)["kept_parts"] == 2
    files = sorted((tmp_path / "out").glob("part-*"))
    found = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    pd.testing.assert_frame_equal(found, table.assign(prediction=table["x"] * 2))


def test_a_step_of_a_pipeline_scores_below_the_project(project: Project, journal: Journal) -> None:
    steps = """
        rows: {run: "printf 'x,word\\\\n1,a\\\\n2,b\\\\n' >rows.csv"}
        june: {uses: score, needs: [rows], input: rows.csv, output: out/june, version: 1, keep: word, parallel: 2}
    """
    (project.home / "podium.yaml").write_text(YAML + f"pipelines:\n  main:\n    steps: {steps}\n")
    run = submit_pipeline(load(project.home, environ={}), journal, "main", who="anna")
    assert ended(journal, run)["rows"] == 2
    assert (project.home / "out/june/part-00001.csv").read_text() == "word,prediction\na,1.0\nb,2.0\n"


def test_the_command_scores_what_is_beside_it_and_tells_a_program(project: Project, rows: Rows, tmp_path: Path) -> None:
    rows(number=10)
    (tmp_path / "rows.parquet").rename(project.home / "rows.parquet")
    call = [sys.executable, "-m", "podium.cli", "score", "rows.parquet", "-o", "found", "-q", "--format", "json"]
    options = ["--version", "1", "--keep", "id", "--keep", "word"]
    done = subprocess.run([*call, *options], cwd=project.home, capture_output=True, timeout=scaled(90), check=False)
    assert done.returncode == 0, done.stderr.decode()
    step = json.loads(done.stdout)["steps"][0]
    assert step["results"]["rows"] == 10 and step["results"]["version"] == 1
    assert list(pd.read_parquet(project.home / "found/part-00001.parquet").columns) == ["id", "word", "prediction"]
