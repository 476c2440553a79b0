"""A project that the version before wrote (0.1.0 at b0aefcc) is opened as it is: nothing of it is lost, and work
goes on in it.

`fixtures/old_project.tar.gz` was made by `fixtures/make_old_project.py`, which says how; it is never made again from
later code. When a migration is added, another one is made beside it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.cockpit import Cockpit
from podium.core.delivery.environment import healing
from podium.core.delivery.rollout import recovery
from podium.core.domain.containers import usage_series
from podium.core.domain.delivery import (
    CanaryRequest,
    CanaryState,
    DeploymentState,
    EnvironmentStatus,
    How,
    ReplicaState,
)
from podium.core.domain.runs import PIPELINE, RunState, StepState
from podium.core.domain.verdicts import Verdict
from podium.core.journal.locks import LockHolder

from tests.delivery.light import get
from tests.support import free_port, wait_until

ARCHIVE = Path(__file__).with_name("fixtures") / "old_project.tar.gz"
THERE, HOST = "/var/tmp/harbour", "build-1"  # where it was made


def unpack(into: Path) -> Path:
    """As if it had been written here: on this machine, in this directory."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(into)
    home = into / "harbour"
    state = home / ".podium"
    rewrite(state / "journal.db", {THERE: str(home), HOST: os.uname().nodename}, but=("audit",))
    rewrite(state / "mlflow.db", {THERE: str(home)})
    ready = state / "mlflow.ready"
    ready.write_text(ready.read_text().replace(THERE, str(home)))
    return home


def rewrite(file: Path, words: dict[str, str], but: tuple[str, ...] = ()) -> None:
    database = sqlite3.connect(file)
    tables = [
        name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'") if name not in but
    ]
    for table in tables:
        for _, column, kind, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall():
            for old, new in words.items():
                if kind.startswith(("TEXT", "VARCHAR")):
                    where = f'"{column}" LIKE ?'
                    database.execute(
                        f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE {where}',
                        (old, new, f"%{old}%"),
                    )
    database.commit()
    database.close()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("unpacked"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """To be changed."""
    return unpack(tmp_path)


@pytest.fixture(scope="module")
def old(unpacked: Path) -> Iterator[Cockpit]:
    """Only to be read: `cockpit.run` of a run that is not over would mark it as interrupted."""
    cockpit = Cockpit(unpacked)
    yield cockpit
    cockpit.close()


def while_it_ran(cockpit: Cockpit) -> dict[str, Any]:
    last = cockpit.runs.list(limit=1)[0].created
    return {"start": last - 60, "end": last + 60, "points": 3}


def test_the_file_is_whole_and_is_not_migrated_to_anything_that_the_old_version_could_not_read(old: Cockpit) -> None:
    assert old.journal.check() == []
    assert old.project.config.name == "harbour" and list(old.project.config.environments) == [
        "staging",
        "production",
        "edge",
    ]


def test_every_table_is_read(old: Cockpit, unpacked: Path) -> None:
    """Each by the store that is there for it: a table that this does not know, or that had nothing in it, would go
    unseen."""
    journal = old.journal
    version, measured = old.models.version(1), while_it_ran(old)
    read = {
        "runs": journal.runs.page(limit=100),
        "steps": journal.steps.of(7),
        "approvals": [journal.runs.approval(7, "production")],
        "deployments": journal.ledger.history("staging"),
        "replicas": journal.replicas.all(),
        "quarantine": journal.quarantine.all(),
        "locks": journal.locks.all(),
        "models": journal.versions.models(),
        "versions": old.models.versions(),
        "histories": old.models.metric_history(version, "accuracy"),
        "gates": old.models.gate_reports(version),
        "sample_series": [
            name
            for name in ("staging", "production")
            if journal.samples.series(name, "memory", **measured).values != (None,) * 3
        ],
        "samples": [value for value in old.environments.series("production", "memory", **measured).values if value],
        "alerts": old.alerts.history(),
        "agent": [journal.agent.status().pid],
        "values": journal.values.all("push:"),
        "audit": old.project.audit(limit=100),
        "audit_head": [journal.audit.head()],
        "images": old.containers.images(),
        "pictures": old.containers.snapshots(),
        "orders": journal.canary_requests.after(7),
    }
    raw = sqlite3.connect(unpacked / ".podium" / "journal.db")
    there = {
        name: raw.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type='table'")
    }
    raw.close()
    there.pop("sqlite_sequence")
    for later in ("outbox", "segments", "host_runs", "measurements", "alert_states", "silences", "loops"):
        assert there.pop(later) == 0, "a later migration has made it"
    assert set(read) == set(there)
    assert not [name for name, found in read.items() if not found or None in found]
    counted = (
        "runs",
        "replicas",
        "quarantine",
        "locks",
        "models",
        "versions",
        "alerts",
        "audit",
        "images",
        "pictures",
        "orders",
    )
    assert {name: len(read[name]) for name in counted} == {name: there[name] for name in counted}


def test_runs_and_their_steps_and_logs(old: Cockpit) -> None:
    runs = {run.id: run for run in old.runs.list(limit=100)}
    assert len(runs) == old.runs.count() == 14
    assert [str(runs[number].state) for number in range(1, 7)] == [
        "succeeded",
        "succeeded",
        "failed",
        "cancelled",
        "succeeded",
        "interrupted",
    ]
    assert (runs[11].state, runs[14].state) == (RunState.WAITING, RunState.RUNNING)
    assert [runs[number].kind for number in (7, 9, 10, 12, 13, 14)] == [
        PIPELINE,
        "rollback",
        "deploy",
        "replay",
        "repair",
        "promote",
    ]
    assert runs[7].why == "with a margin of 0.5" and runs[7].params == {"margin": "0.5"} and len(runs[7].commit) == 40
    detail = old.runs.get(7)
    steps = {step.name: step for step in detail.steps}
    assert list(steps) == ["data", "train[depth=1]", "train[depth=2]", "candidate", "gate", "staging", "production"]
    assert {step.state for step in detail.steps} == {StepState.SUCCEEDED}
    assert (
        steps["candidate"].results["version"] == 1
        and steps["gate"].needs == ("candidate",)
        and steps["gate"].uses == "gate"
    )
    assert old.runs.get(2).steps[0].cached and old.runs.get(2).steps[0].origin == 1
    failed = old.runs.get(3)
    assert (
        failed.run.message == "step fails: exit code 3"
        and [s.exit_code for s in failed.steps] == [3, None]
        and failed.steps[0].attempt == 2
    )
    log = old.runs.log(3, "fails").read_text()
    assert " o before\n" in log and " e it cannot be\n" in log
    assert old.runs.get(12).steps[0].results["report"]


def test_models_gates_and_lineage(old: Cockpit) -> None:
    versions = {version.version: version for version in old.models.versions()}
    assert {number: version.aliases for number, version in versions.items()} == {
        1: ("champion",),
        2: (),
        3: ("challenger",),
    }
    assert {version.run_id for version in versions.values()} == {7, 8, 11}
    assert versions[1].params == {"depth": "2", "margin": "0.5"} and 0.5 < versions[1].metrics["accuracy"] < 1
    [report, *_] = old.models.gate_reports(versions[1])
    assert report.verdict is Verdict.PASS and report.checks[0].name.startswith("accuracy") and report.rows == 40
    assert [point.value for point in old.models.metric_history(versions[1], "accuracy")] == [0.84, 0.85]
    assert {row.environment for row in old.models.lineage("v1")} >= {"staging", "production"}
    assert old.models.resolve("champion").version == 1


def test_history_quarantine_alerts_and_the_audit(old: Cockpit) -> None:
    history = old.environments.history("staging")
    assert [(row.how, row.to_version, row.from_version) for row in reversed(history)] == [
        (How.DEPLOY, 1, None),
        (How.DEPLOY, 2, 1),
        (How.ROLLBACK, 1, 2),
        (How.DEPLOY, 1, 1),
        (How.DEPLOY, 3, 1),
    ]
    assert {row.state for row in history} == {DeploymentState.SUCCEEDED} and history[2].why == "too slow"
    [quarantined] = old.models.quarantined()
    assert (quarantined.version, quarantined.why) == (2, "too slow")
    [alert] = old.alerts.history()
    assert (alert.name, alert.state, alert.value) == ("input-drift", "firing", 0.31)
    assert old.journal.audit.verify() == []
    entries = old.project.audit(limit=100)
    assert [entry.id for entry in entries] == list(range(len(entries), 0, -1))
    assert {"run", "approve", "cancel", "rollback", "deploy", "promote", "replay", "repair", "quarantine"} <= {
        entry.action for entry in entries
    }
    assert {entry.who for entry in entries} == {"root from 10.0.0.7"}


def test_environments_as_they_were_left(old: Cockpit) -> None:
    states = {state.name: state for state in old.environments.list()}
    staging, production = states["staging"], states["production"]
    assert (
        staging.deployment is not None
        and staging.deployment.to_version == 3
        and staging.serving == 3
        and staging.previous == 1
    )
    assert {(row.version, row.state) for row in staging.replicas} == {(3, ReplicaState.DEAD), (1, ReplicaState.DEAD)}
    assert not staging.proxy_alive and production.carries == "champion" and production.serving == 1
    assert any("was interrupted" in str(line) for line in production.differences) and production.locked_by == ""
    canary = old.environments.canary("production")
    assert canary is not None and (canary.version, canary.from_version, canary.share, canary.state) == (
        3,
        1,
        20,
        CanaryState.PAUSED,
    )
    assert canary.weights == (20, 60) and "the harbour is closed" in canary.message
    [asked] = old.journal.canary_requests.after(canary.deployment)
    assert asked.request is CanaryRequest.PAUSE
    [lock] = old.journal.locks.all()
    assert isinstance(lock, LockHolder) and lock.name == "environment production" and not lock.alive
    assert not old.agent.status().alive and old.agent.status().who == "root from 10.0.0.7"


def test_what_an_engine_ran(old: Cockpit) -> None:
    [snapshot] = old.containers.snapshots()
    assert snapshot.environment == "edge" and [container.replica for container in snapshot.containers] == [
        "edge-v1-1",
        "edge-v1-2",
    ]
    [image] = old.containers.images()
    assert (image.version, image.tag) == (1, "tide:v1-abc")
    assert [row.container for row in old.journal.replicas.of("edge")] == [
        container.id for container in snapshot.containers
    ]
    assert (
        old.journal.samples.series(usage_series("edge", "edge-v1-1"), "cpu", **while_it_ran(old)).values.count(0.2) >= 1
    )


def test_a_new_run_uses_what_the_old_version_kept_and_the_cut_one_is_resumed(home: Path) -> None:
    # The store's address is a part of each step's key, so it has to be the one of the place where it was made; these
    # steps do not use the store.
    configuration = home / "podium.yaml"
    configuration.write_text(
        configuration.read_text().replace(
            "{model: tide}", f"{{model: tide, tracking_uri: 'sqlite:///{THERE}/.podium/mlflow.db'}}"
        )
    )
    cockpit = Cockpit(home)
    (home / "out" / "word.txt").write_text("not the tide\n")
    run = cockpit.runs.start("light", why="by the new version")
    finish_after_asking(cockpit, run.id)
    steps = {step.name: step for step in cockpit.runs.get(run.id).steps}
    assert run.id == 15 and steps["words"].cached and steps["words"].origin == 1 and steps["shout[times=2]"].cached
    assert (home / "out" / "word.txt").read_text() == "tide\n"

    assert cockpit.runs.get(6).run.state is RunState.INTERRUPTED
    assert cockpit.runs.resume(6).id == 6
    finish_after_asking(cockpit, 6)
    assert "ebb" in cockpit.runs.log(6, "ask").read_text()
    assert cockpit.journal.audit.verify() == [] and cockpit.runs.count() == 15
    cockpit.close()


def finish_after_asking(cockpit: Cockpit, run: int) -> None:
    wait_until(
        lambda: cockpit.runs.get(run).run.state in (RunState.WAITING, RunState.FAILED), 30, what="it waits for approval"
    )
    cockpit.runs.approve(run)
    wait_until(lambda: cockpit.runs.get(run).run.state.finished, 30)
    assert cockpit.runs.get(run).run.state is RunState.SUCCEEDED, cockpit.runs.get(run)


def healed(cockpit: Cockpit) -> EnvironmentStatus:
    """After a look by what the agent does every second."""
    healing.heal_environment(cockpit.project.config, cockpit.journal, cockpit.project.config.environments["production"])
    return cockpit.environments.get("production")


def answers(port: int) -> tuple[str, str]:
    """Which version, of which environment."""
    try:
        told = json.loads(get(port, "/version"))
    except (OSError, AssertionError):  # the proxy has not seen yet that the replica is well
        return "", ""
    return told["version"], told["environment"]


def test_a_canary_that_was_cut_is_undone_and_the_version_before_serves_again(home: Path) -> None:
    port = free_port()
    configuration = home / "podium.yaml"
    configuration.write_text(
        configuration.read_text().replace("5872", str(port)).replace("5871", str(free_port())).partition("  edge:")[0]
    )
    cockpit = Cockpit(home)
    try:
        [line] = recovery.recover(cockpit.project.config, cockpit.journal)
        assert (
            line.endswith("was undone")
            and cockpit.environments.canary("production") is None
            and cockpit.journal.locks.all() == []
        )
        wait_until(lambda: healed(cockpit).differences == (), 60, what="nothing differs")
        wait_until(lambda: answers(port) == ("1", "production"), 30, what="it answers")
        plan = cockpit.changes.plan("rollback", "staging")
        assert plan.versions is not None and plan.versions.version == 1 and not plan.refusal
    finally:
        cockpit.environments.stop()
        cockpit.close()
