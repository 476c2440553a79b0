"""repair, containers and logs -e: exit codes, what they print, and what they refuse, on a project without
containers."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from podium.core.domain.containers import EngineSnapshot
from podium.core.domain.delivery import How, Replica, ReplicaState
from podium.core.identity.processes import started_at
from podium.core.journal import Journal

from ..conftest import Call


@pytest.fixture
def interrupted(journal: Journal) -> Journal:
    """A change of production whose process is gone."""
    journal.ledger.begin(
        environment="production", how=How.DEPLOY, model="small", to_version=4, from_version=None, who="ops"
    )
    return journal


def test_there_may_be_nothing_to_mend(call: Call) -> None:
    done = call("repair", "-e", "staging", "--yes")
    assert (done.code, done.out) == (0, "") and "staging matches the ledger" in done.err
    plan = json.loads(call("repair", "-e", "staging", "--yes", "-o", "json").out)
    assert plan["steps"] == [] and "staging matches the ledger" in plan["nothing_to_do"]
    assert call("repair", "-e", "nowhere").code == 3
    assert call("repair", "-e", "staging", "--restart", "nobody").code == 3


def test_a_plan_is_shown_and_has_to_be_agreed_to(call: Call, interrupted: Journal) -> None:
    done = call("repair", "--dry-run")
    assert done.code == 0 and "problem: the deploy of version 4 was interrupted" in done.out
    assert "1. finish or undo the deploy of version 4" in done.out and done.out.endswith(
        "podium repair -e production\n"
    )
    plan = json.loads(call("repair", "-e", "production", "--dry-run", "-o", "json").out)
    assert [each["kind"] for each in plan["differences"]] == ["interrupted"] and plan["type_to_confirm"] == "production"
    # A protected environment wants its name; nobody is at a terminal to type it.
    refused = call("repair", "-e", "production", "--yes")
    assert refused.code == 4 and "--yes --confirm production" in refused.err and interrupted.runs.count() == 0
    assert call("repair", "-e", "production", "--confirm", "staging").code == 4
    status = json.loads(call("status", "-e", "production", "-o", "json").out)["environments"][0]
    assert status["differences"] == [each["words"] for each in status["details"]] == [plan["differences"][0]["words"]]


def test_what_is_locked_is_not_mended(call: Call, interrupted: Journal) -> None:
    with interrupted.locks.take("environment staging", "ben", "a deploy"):
        done = call("repair", "-e", "staging", "--yes")
        assert done.code == 4 and "ben" in done.err


def test_containers_of_a_project_that_has_none(call: Call) -> None:
    assert (call("containers").code, call("containers", "-o", "json").out) == (0, "[]\n")
    done = call("containers", "-e", "staging")
    assert (done.code, done.out) == (0, "") and "processes of this machine" in done.err


def test_a_container_that_should_be_there_and_is_not_is_listed(call: Call, journal: Journal, home: Path) -> None:
    """As an agent saw it, so that no engine is asked."""
    (home / "podium.yaml").write_text("project: small\nenvironments: {staging: {driver: docker, port: 5101}}\n")
    journal.replicas.put(Replica("a", "staging", 1, "v1-1", 20000, ReplicaState.READY, container="c1"))
    started = started_at(os.getpid())
    assert started is not None
    journal.agent.claim(os.getpid(), started, "anna")
    journal.snapshots.put(EngineSnapshot("staging", "unix:///nowhere", time.time() + 1))
    [row] = json.loads(call("containers", "-o", "json").out)
    assert (row["id"], row["replica"], row["state"]) == ("c1", "a", "gone")


def test_logs_of_replicas_that_are_processes(call: Call, journal: Journal, home: Path) -> None:
    for name, lines in (
        ("a", "one\ntwo\n"),
        ("b", "2026-11-25T10:00:00.000Z o three\n2026-11-25T10:00:01.000Z e four\n"),
    ):
        journal.replicas.put(Replica(name, "staging", 1, f"v1-{name}", 20000, ReplicaState.READY))
        directory = home / ".podium" / "environments" / "staging"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.log").write_text(lines)
    assert call("logs", "-e", "staging").out.splitlines() == ["a | one", "a | two", "b | three", "b | four"]
    assert call("logs", "-e", "staging", "--tail", "1").out.splitlines() == ["a | two", "b | four"]
    assert (
        call("logs", "-e", "staging", "--replica", "b", "-t", "--stream", "err").out
        == "2026-11-25T10:00:01.000Z four\n"
    )
    assert json.loads(call("logs", "-e", "staging", "--replica", "b", "--stream", "out", "-o", "json").out) == {
        "replica": "b",
        "at": "2026-11-25T10:00:00.000Z",
        "stream": "out",
        "text": "three",
    }
    assert call("logs", "-e", "staging", "--replica", "c").code == 3
    assert call("logs", "-e", "production").code == 3
    assert call("logs", "--replica", "a").code == 2
    assert call("logs", "1", "-e", "staging").code == 2
