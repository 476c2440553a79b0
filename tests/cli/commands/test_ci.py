"""podium ci: the inbox, logs and changes from a shell, with a host that answers from memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from podium.cli import session
from podium.core.domain.hosts import CiLog, HostFeature
from podium.core.errors import Unreachable

from tests.tui.seed import NOW, SeededCockpit, seed
from tests.tui.seed_ci import FakeHost, seed_ci

from ..conftest import Call


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    cockpit = seed(tmp_path / "flight-delay")
    host = seed_ci(cockpit)
    monkeypatch.setattr(session, "opened", lambda: cockpit)
    monkeypatch.setattr("time.time", lambda: NOW + 10)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return host


@pytest.fixture
def cockpit(host: FakeHost) -> SeededCockpit:
    return session.opened()  # type: ignore[return-value]


def test_the_inbox_as_table_and_json(call: Call, host: FakeHost) -> None:
    looks = host.looks
    done = call("ci", "ls")
    assert done.code == 0 and host.looks == looks, "it was asked ten seconds ago"
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["108", "105", "109", "110", "107", "106"]
    assert "waiting for me" in lines[3] and "production 100%" in lines[5]
    assert "\x1b[2J" not in done.out and "\u202e" not in done.out
    rows = json.loads(call("ci", "ls", "--failed", "-o", "json").out)
    assert [(row["id"], row["attention"]) for row in rows] == [("108", "failed"), ("105", "failed")]
    assert rows[0]["versions"][0]["version"] == 4
    assert call("ci", "ls", "--refresh").code == 0 and host.looks == looks + 1


def test_a_host_that_is_away(call: Call, host: FakeHost) -> None:
    host.failing = Unreachable("github.com does not answer", hint="is the network there?")
    assert call("ci", "ls").code == 0
    done = call("ci", "ls", "--refresh")
    assert done.code == 5 and "does not answer" in done.err


def test_a_run_with_its_jobs(call: Call, host: FakeHost) -> None:
    done = call("ci", "show", "108")
    assert done.code == 0 and "exit code 1" in done.out and "v4" in done.out
    document = json.loads(call("ci", "show", "108", "-o", "json").out)
    assert [job["name"] for job in document["jobs"]] == ["lint", "unit", "deploy"]
    assert document["jobs"][1]["steps"][1] == {"number": 2, "name": "pytest", "state": "failed"}
    assert call("ci", "show", "999").code == 3


def test_the_log_of_what_failed_is_cleaned(call: Call, host: FakeHost) -> None:
    done = call("ci", "logs", "108")
    assert done.out.splitlines()[1:] == ["FAILED tests/test_model.py::test_auc", "E   assert 0.61 > 0.65"]
    assert call("ci", "logs", "108", "lint").code == 0
    done = call("ci", "logs", "108", "nope")
    assert done.code == 3 and "it has: lint, unit, deploy" in done.err


def test_a_log_is_followed_and_says_when_it_looks_again(call: Call, host: FakeHost) -> None:
    asked: list[int] = []

    def later(_job: str, offset: int) -> CiLog:
        asked.append(offset)
        if len(asked) < 3:
            return CiLog("", 0, False, note="GitHub has the log when the job has ended", retry_after=15.0)
        return CiLog("one\ntw"[offset:] if len(asked) == 3 else "o\n", len(asked) * 6, len(asked) > 3)

    host.pieces = later
    done = call("ci", "logs", "108", "unit", "-f")
    assert done.out == "one\ntwo\n" and asked == [0, 0, 0, 18]
    assert done.err.count("GitHub has the log when the job has ended; the next look is in 15s") == 1
    asked.clear()
    done = call("ci", "logs", "108", "unit")
    assert done.out == "" and asked == [0] and "when the job has ended" in done.err


def test_changes_are_asked_for_with_a_reason(call: Call, host: FakeHost, cockpit: SeededCockpit) -> None:
    assert call("ci", "rerun", "108", "--why", "full disk").code == 0
    assert call("ci", "cancel", "110").code == 0
    assert call("ci", "approve", "109", "--why", "checked").code == 0
    assert call("ci", "start", "nightly.yml", "-p", "rounds=60", "--ref", "deeper").code == 0
    assert host.asked == [
        ("rerun", "108", True),
        ("cancel", "110"),
        ("approve", "109", "production", "checked"),
        ("start", "55", "deeper", {"rounds": "60"}),
    ]
    assert [entry.why for entry in cockpit.project.audit(limit=4)] == ["", "checked", "", "full disk"]
    assert "nightly" in call("ci", "start").out
    assert call("ci", "start", "nope").code == 3
    assert call("ci", "start", "nightly", "-p", "rounds").code == 2


def test_what_the_host_cannot_do_is_refused(call: Call, host: FakeHost) -> None:
    host.missing = {HostFeature.RERUN_FAILED: "Gitea has no API for it"}
    done = call("ci", "rerun", "108")
    assert done.code == 4 and "Gitea has no API for it" in done.err and host.asked == []


def annotations(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("::error")]


@pytest.fixture
def in_github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    for name in ("GITEA_ACTIONS", "FORGEJO_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    files = {name: tmp_path / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for name, path in files.items():
        monkeypatch.setenv(name, str(path))
    return files


def test_a_pipeline_inside_a_job(call: Call, home: Path, in_github: dict[str, Path]) -> None:
    done = call("ci", "run", "ok", "-p", "who=::error::stolen")
    assert done.code == 0 and annotations(done.err) == []
    lines = done.err.splitlines()
    begin = lines.index("::group::hello: succeeded")
    assert (
        lines[begin + 1].startswith("::stop-commands::") and "| hello ::error::stolen" in lines[begin + 2 : begin + 5]
    )
    assert "✅ `ok`: succeeded" in in_github["GITHUB_STEP_SUMMARY"].read_text()
    assert "\nsucceeded\n" in in_github["GITHUB_OUTPUT"].read_text()


def test_a_pipeline_that_fails_inside_a_job(call: Call, home: Path, in_github: dict[str, Path]) -> None:
    done = call("ci", "run", "bad", "-o", "json")
    assert done.code == 1
    assert [line.split("::")[1] for line in annotations(done.err)] == ["error title=broken"]
    assert json.loads(done.out)["state"] == "failed"
    assert "| `broken` | failed |" in in_github["GITHUB_STEP_SUMMARY"].read_text()


def test_nobody_approves_inside_a_job(call: Call, home: Path, in_github: dict[str, Path]) -> None:
    done = call("ci", "run", "asks")
    assert done.code == 4
    found: Any = annotations(done.err)
    assert "title=gated::it waits for an approval" in found[0]
    assert "cancelled" in call("ps").out
