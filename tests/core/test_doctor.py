"""doctor finds what is really wrong, and says what to do."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psutil
import pytest
from podium.core.cockpit import Cockpit
from podium.core.domain.delivery import DeploymentState, How, Replica, ReplicaState
from podium.core.domain.runs import PIPELINE, RunState, Trigger
from podium.core.domain.watching import Finding, Health

from tests.support import free_port, http_server, wait_until


@pytest.fixture
def cockpit(tmp_path: Path) -> Iterator[Cockpit]:
    (tmp_path / "podium.yaml").write_text(
        "project: sick\npipelines: {p: {steps: {s: {run: 'true'}}}}\nenvironments: {staging: {port:"
        f" {free_port()}}}}}\n"
    )
    cockpit = Cockpit(tmp_path)
    yield cockpit
    cockpit.close()


def found(cockpit: Cockpit, subject: str) -> list[Finding]:
    return [finding for finding in cockpit.project.doctor() if finding.subject == subject]


def test_a_fresh_project_has_no_problem(cockpit: Cockpit) -> None:
    findings = cockpit.project.doctor()
    assert not [finding for finding in findings if finding.health is Health.PROBLEM]
    assert {
        "python",
        "packages",
        "podium.yaml",
        "state",
        "disk",
        "journal",
        "git",
        "haproxy",
        "mlflow",
        "agent",
        "locks",
        "staging",
    } <= {finding.subject for finding in findings}


def test_whatever_is_not_well_has_a_hint(cockpit: Cockpit) -> None:
    assert all(finding.hint for finding in cockpit.project.doctor() if finding.health is not Health.OK)


def test_a_broken_configuration_is_said_once_and_the_rest_is_still_examined(cockpit: Cockpit) -> None:
    (cockpit.home / "podium.yaml").write_text("project: x\npipelines: {p: {steps: {s: {rum: 1}}}}\n")
    findings = cockpit.project.doctor()
    broken = [finding for finding in findings if finding.health is Health.PROBLEM]
    assert {finding.subject for finding in broken} == {"podium.yaml"}
    assert "podium.yaml:2:" in broken[0].message
    assert any(finding.subject == "journal" for finding in findings)


def test_an_edited_audit_is_found(cockpit: Cockpit) -> None:
    for number in range(3):
        cockpit.journal.audit.add("anna", "promote", f"v{number}")
    assert found(cockpit, "audit")[0].health is Health.OK
    cockpit.close()
    with sqlite3.connect(cockpit.home / ".podium" / "journal.db") as raw:
        for (name,) in raw.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'"
        ).fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE audit SET who = 'nobody' WHERE id = 2")
    assert any(finding.health is Health.PROBLEM and "entry 2" in finding.message for finding in found(cockpit, "audit"))


def test_an_open_state_directory_is_found(cockpit: Cockpit) -> None:
    assert cockpit.runs.count() == 0
    assert found(cockpit, "state")[0].health is Health.OK
    (cockpit.home / ".podium").chmod(0o755)
    (finding,) = found(cockpit, "state")
    assert finding.health is Health.WARNING
    assert finding.hint.startswith("chmod")


def test_git(cockpit: Cockpit) -> None:
    assert "not a git repository" in found(cockpit, "git")[0].message
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=cockpit.home, check=True)
    assert "no commit" in found(cockpit, "git")[0].message
    commit = [
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "commit.gpgsign=false",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "x",
    ]
    subprocess.run(commit, cwd=cockpit.home, check=True)
    assert found(cockpit, "git")[0].message.startswith("main at ")


def test_a_taken_port_is_found(cockpit: Cockpit) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", cockpit.project.config.environments["staging"].port))
        taken.listen()
        (finding,) = found(cockpit, "ports")
    assert finding.health is Health.PROBLEM
    assert "environments.staging.port" in finding.hint
    assert not found(cockpit, "ports")


def test_a_server_that_does_not_answer_is_found(cockpit: Cockpit) -> None:
    text = (cockpit.home / "podium.yaml").read_text()
    (cockpit.home / "podium.yaml").write_text(text + f'mlflow: {{tracking_uri: "http://127.0.0.1:{free_port()}"}}\n')
    cockpit.project.reload()
    (finding,) = found(cockpit, "mlflow")
    assert finding.health is Health.PROBLEM


class _AsksForCredentials(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_a_server_that_asks_for_credentials_is_found_before_the_training(
    cockpit: Cockpit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    file = cockpit.home / "podium.yaml"
    steps = "{train: {run: touch trained}, candidate: {uses: register, needs: [train], metric: roc_auc}}"
    with http_server(_AsksForCredentials) as server:
        file.write_text(
            f"project: sick\npipelines: {{p: {{steps: {steps}}}}}\n"
            f'mlflow: {{tracking_uri: "http://127.0.0.1:{server.server_port}"}}\n'
        )
        cockpit.project.reload()
        (finding,) = found(cockpit, "mlflow")
        assert finding.health is Health.PROBLEM and "asks for credentials" in finding.message
        assert "MLFLOW_TRACKING_TOKEN" in finding.hint and list(cockpit.project.online()) == [finding]
        run = cockpit.runs.start("p")
        wait_until(lambda: cockpit.journal.runs.get(run.id).state.finished, 60, what="the run is over")
    ended = cockpit.journal.runs.get(run.id)
    assert ended.state is RunState.FAILED and "asks for credentials" in ended.message
    assert not (cockpit.home / "trained").exists()


def test_a_run_without_its_worker_and_a_lock_without_its_holder(cockpit: Cockpit) -> None:
    run = cockpit.journal.runs.create(kind=PIPELINE, name="p", trigger=Trigger.PERSON, who="anna")
    cockpit.journal.runs.set_worker(run.id, 2**22 + 1, 1.0)
    cockpit.journal.runs.set_state(run.id, RunState.RUNNING)
    cockpit.journal.locks.take("alias m", "anna", "why", pid=2**22 + 1)
    assert f"podium resume {run.id}" in found(cockpit, "runs")[0].hint
    assert found(cockpit, "locks")[0].health is Health.WARNING


def test_an_environment_that_was_stopped(cockpit: Cockpit) -> None:
    row = cockpit.journal.ledger.begin(
        environment="staging", how=How.DEPLOY, model="sick", to_version=3, from_version=None, who="anna"
    )
    cockpit.journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    (finding,) = found(cockpit, "staging")
    assert (finding.health, finding.hint) == (Health.WARNING, "podium start -e staging")


@pytest.mark.parametrize("runs", [False, True], ids=["no agent", "agent"])
def test_what_does_not_match_says_who_repairs_it(cockpit: Cockpit, runs: bool) -> None:
    """Whoever has an agent is not told to start one."""
    row = cockpit.journal.ledger.begin(
        environment="staging", how=How.DEPLOY, model="sick", to_version=3, from_version=None, who="anna"
    )
    cockpit.journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    cockpit.journal.replicas.put(Replica("v3-1", "staging", 3, "v3-1", 1, ReplicaState.READY, 2**22 + 1, 1.0, 100))
    if runs:
        me = psutil.Process()
        cockpit.journal.agent.claim(me.pid, me.create_time(), "anna")
    hints = {finding.hint for finding in found(cockpit, "staging") if finding.health is not Health.OK}
    start = [hint for hint in hints if "podium watch --daemon" in hint]
    assert hints and (not start if runs else len(start) == len(hints))
    assert not runs or hints == {
        "the agent is at it; `podium watch --status` says what it cannot do, `podium repair` does it now"
    }


def test_a_receiver_that_was_not_told_is_named(cockpit: Cockpit) -> None:
    box = cockpit.journal.outbox
    assert found(cockpit, "outbox") == []
    for number in range(3):
        box.add("hub", "status", {"n": number})
    assert found(cockpit, "outbox") == [], "nobody has tried yet"
    first = box.claim()
    assert first is not None
    box.failed(first, "401: who are you?", final=True)
    second = box.claim()
    assert second is not None
    box.failed(second, "hub does not answer")
    given_up, waiting = found(cockpit, "outbox")
    assert "1 messages for hub were given up; the last one: 401" in given_up.message and given_up.hint
    assert "2 messages wait for hub" in waiting.message and "hub does not answer" in waiting.message and waiting.hint


def test_what_a_git_host_was_not_told_of_many_commits_is_one_line(cockpit: Cockpit) -> None:
    box = cockpit.journal.outbox
    for number in range(3):
        box.add(f"git:github.com/acme/flights commit {number:040x}", "status", {"run": number})
    first = box.claim()
    assert first is not None
    box.failed(first, "502")
    (waiting,) = found(cockpit, "outbox")
    assert "3 messages wait for github.com/acme/flights; the first was tried 1 times: 502" in waiting.message
