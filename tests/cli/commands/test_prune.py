"""podium prune, and what doctor says of the room that a project takes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.domain.runs import PIPELINE, RunState, Trigger
from podium.core.domain.watching import Health
from podium.core.journal import Journal


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "podium.yaml").write_text("project: shop\n")
    monkeypatch.chdir(tmp_path)
    with Journal.open(tmp_path / ".podium/journal.db") as journal:
        for days in (900, 1):
            at = time.time() - days * 86_400
            run = journal.runs.create(kind=PIPELINE, name="train", trigger=Trigger.PERSON, who="a", created=at)
            journal.runs.set_state(run.id, RunState.SUCCEEDED, at=at)
            directory = tmp_path / ".podium/runs" / str(run.id)
            directory.mkdir(parents=True)
            (directory / "train.log").write_bytes(os.urandom(5000))
    return tmp_path


def podium(*words: str) -> int:
    from podium.cli.app import run
    from podium.cli.guard import guarded

    return guarded(lambda: run(words))


def test_a_plan_then_the_run_that_removes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert podium("prune", "--dry-run") == 0
    said = capsys.readouterr()
    assert "logs" in said.out and "older than 180d" in said.out and "podium prune" in said.out
    assert podium("prune", "--dry-run", "-o", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["entries"]) for row in rows] == [("logs", 1), ("runs", 1)]
    assert podium("prune", "--yes", "-o", "json") == 0
    assert [row["kind"] for row in json.loads(capsys.readouterr().out)] == ["logs", "runs"]
    assert sorted(os.listdir(home / ".podium/runs")) == ["2", "3"], "the third is the run that pruned"
    assert podium("logs", "1") == 3, "its row has gone too"
    assert podium("prune") == 0
    assert "nothing to remove" in capsys.readouterr().err


def test_without_an_answer_nothing_is_removed(home: Path) -> None:
    assert podium("prune") != 0
    assert len(os.listdir(home / ".podium/runs")) == 2


def test_a_kind_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert podium("prune", "quux") == 3
    assert "quux" in capsys.readouterr().err


def test_doctor_says_what_takes_how_much(home: Path) -> None:
    findings = Cockpit.open(home).project.doctor()
    room = [each.message for each in findings if each.subject == "room"]
    assert any(line.startswith("logs (files of runs)") and "kept 180d" in line for line in room)
    (home / "podium.yaml").write_text("project: shop\nretain: {evidence: 10m}\n")
    findings = Cockpit.open(home).project.doctor()
    assert any(each.subject == "retention" and each.health is Health.WARNING for each in findings)


def test_a_backup_and_back(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "shop.tar.gz"
    assert podium("backup", str(file), "-o", "json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["path"] == str(file) and made["files"] > 1 and file.stat().st_mode & 0o777 == 0o600
    assert podium("backup", str(file)) == 4
    assert podium("restore", str(file)) == 4, "there is a state already"
    (home / ".podium").rename(tmp_path / "lost")
    capsys.readouterr()
    assert podium("restore", str(file), "-o", "json") == 0
    said = capsys.readouterr()
    assert "podium doctor" in json.loads(said.out)["next"] and "podium doctor" in said.err
    assert podium("ps", "-o", "json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    file.write_bytes(file.read_bytes()[:500])
    assert podium("restore", str(file), "elsewhere") == 4


def test_a_run_whose_logs_were_removed_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    assert podium("logs", "2") == 0
    assert "were removed" not in capsys.readouterr().err
    shutil.rmtree(home / ".podium/runs/2")
    assert podium("logs", "2") == 0
    assert "the logs of run 2 were removed" in capsys.readouterr().err
