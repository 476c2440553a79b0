"""Each store keeps what it is given, and finds it again as it was."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.domain.access.proof import Proof
from podium.core.domain.delivery import DeploymentState, How, Replica, ReplicaState
from podium.core.domain.models import MetricPoint, Version
from podium.core.domain.monitoring import AlertEvent
from podium.core.domain.runs import PIPELINE, Run, RunState, Step, StepState, Trigger
from podium.core.domain.verdicts import CheckResult, GateReport, Verdict
from podium.core.errors import NotFound, Refused
from podium.core.identity.machine import Machine
from podium.core.identity.processes import started_at
from podium.core.journal import Journal
from podium.core.journal.runs import page_query


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def run(journal: Journal, name: str = "release", **fields: object) -> Run:
    return journal.runs.create(**{"kind": PIPELINE, "name": name, "trigger": Trigger.PERSON, "who": "anna", **fields})


def test_a_run_is_read_back_as_it_was_made(journal: Journal) -> None:
    made = run(
        journal,
        why="naïve ‘quotes’",
        commit="abc",
        branch="main",
        dirty=True,
        params={"until": "2013-03"},
        jobs=4,
        workspace="/w x",
        created=5.0,
    )
    assert journal.runs.get(made.id) == made
    assert made.state is RunState.QUEUED


def test_states_set_their_times(journal: Journal) -> None:
    made = run(journal)
    journal.runs.set_state(made.id, RunState.RUNNING, at=10.0)
    journal.runs.set_state(made.id, RunState.WAITING, at=11.0)
    journal.runs.set_state(made.id, RunState.RUNNING, at=12.0)
    journal.runs.set_state(made.id, RunState.FAILED, message="step train failed", at=13.0)
    found = journal.runs.get(made.id)
    assert (found.state, found.started, found.ended, found.message) == (
        RunState.FAILED,
        10.0,
        13.0,
        "step train failed",
    )
    journal.runs.set_state(made.id, RunState.RUNNING, at=20.0)
    assert (journal.runs.get(made.id).started, journal.runs.get(made.id).ended) == (10.0, None)


def test_a_state_can_be_changed_only_from_the_one_that_was_seen(journal: Journal) -> None:
    made = run(journal)
    journal.runs.set_state(made.id, RunState.SUCCEEDED)
    assert not journal.runs.set_state(made.id, RunState.INTERRUPTED, only_from=[RunState.RUNNING])
    assert journal.runs.get(made.id).state is RunState.SUCCEEDED
    assert journal.runs.set_state(made.id, RunState.INTERRUPTED, only_from=[RunState.SUCCEEDED])


def test_pages_filter_and_go_on_where_the_last_one_ended(journal: Journal) -> None:
    made = [run(journal, name=f"p{number % 3}", created=float(number)) for number in range(30)]
    for one in made[::2]:
        journal.runs.set_state(one.id, RunState.SUCCEEDED)
    newest = [one.id for one in reversed(made)]
    assert [one.id for one in journal.runs.page(limit=4)] == newest[:4]
    assert [one.id for one in journal.runs.page(limit=4, before=newest[3])] == newest[4:8]
    assert [one.id for one in journal.runs.page(limit=99, name="p1")] == [
        one.id for one in reversed(made) if one.name == "p1"
    ]
    both = journal.runs.page(limit=5, states=[RunState.SUCCEEDED, RunState.QUEUED])
    assert [one.id for one in both] == newest[:5]
    assert {one.state for one in journal.runs.page(states=[RunState.SUCCEEDED])} == {RunState.SUCCEEDED}
    assert len(journal.runs.active()) == 15
    assert journal.runs.page(kind="rollback") == []
    assert journal.runs.count() == 30


def test_search_finds_words_and_numbers_and_takes_wildcards_literally(journal: Journal) -> None:
    first = run(journal, why="Retrain for 100%_sure")
    run(journal, name="other")
    assert [one.id for one in journal.runs.page(search="RETRAIN")] == [first.id]
    assert [one.id for one in journal.runs.page(search="100%_s")] == [first.id]
    assert journal.runs.page(search="1_0%s") == []
    assert [one.id for one in journal.runs.page(search=f"#{first.id}")] == [first.id]
    assert journal.runs.page(search="9" * 40) == []


@pytest.mark.parametrize(
    ("options", "index"),
    [
        ({}, None),
        ({"states": [RunState.RUNNING, RunState.WAITING]}, "runs_by_state"),
        ({"name": "release"}, "runs_by_name"),
        ({"name": "release", "states": [RunState.FAILED]}, "runs_by_name_and_state"),
        ({"kind": "rollback"}, "runs_by_kind"),
    ],
)
def test_a_page_is_read_from_an_index_and_never_sorted(
    journal: Journal, options: dict[str, object], index: str | None
) -> None:
    sql, values = page_query(limit=50, before=9000, **options)
    plan = [str(row[3]) for row in journal._database.all("EXPLAIN QUERY PLAN " + sql, values)]
    searches = [line for line in plan if " runs" in line and ("SEARCH" in line or "SCAN" in line)]
    assert searches and all(line.startswith("SEARCH") for line in searches)
    assert all((f"INDEX {index} " if index else "INTEGER PRIMARY KEY") in line for line in searches)
    # With several states each one's page, at most `limit` rows by then, is sorted to be merged; one alone needs no
    # sorting at all.
    assert sum("TEMP B-TREE" in line for line in plan) <= (len(searches) if len(searches) > 1 else 0)


def test_cancel_and_approval(journal: Journal) -> None:
    made = run(journal)
    assert journal.runs.cancel_request(made.id) is None
    journal.runs.request_cancel(made.id, "anna", "wrong data")
    journal.runs.request_cancel(made.id, "ben", "me too")
    assert journal.runs.cancel_request(made.id) == ("anna", "wrong data")
    journal.runs.clear_cancel(made.id)
    assert journal.runs.cancel_request(made.id) is None
    assert journal.runs.approval(made.id, "production") is None
    assert journal.runs.approve(made.id, "production", "anna", "looks good").who == "anna"
    again = journal.runs.approve(made.id, "production", "anna from 10.0.0.7", "once more", account="anna")
    assert (again.who, again.why) == ("anna", "looks good"), "its first approval stays"
    assert journal.runs.approve(made.id, "production", "ben").who == "ben"
    assert journal.runs.approve(made.id, "production", "ben", account="anna", proof=Proof.HOST).proof is Proof.HOST
    assert [each.who for each in journal.runs.approvals(made.id, "production")] == ["anna", "ben", "ben"]


def test_what_is_not_there_is_named(journal: Journal) -> None:
    for call in (
        journal.runs.get,
        journal.runs.heartbeat,
        journal.ledger.get,
        lambda id: journal.runs.set_state(id, RunState.FAILED),
    ):
        with pytest.raises(NotFound, match="77") as caught:
            call(77)
        assert caught.value.hint
    with pytest.raises(NotFound):
        journal.runs.request_cancel(77, "anna", "")
    with pytest.raises(NotFound):
        journal.steps.update(77, "x", state=StepState.FAILED)


def test_steps(journal: Journal) -> None:
    made = run(journal)
    plan = [
        Step(made.id, "unit", 0, StepState.PENDING, command="pytest -q"),
        Step(made.id, "train[depth=4]", 1, StepState.PENDING, needs=("unit",), key="k1", results={"x": [1, None]}),
    ]
    journal.steps.add(made.id, plan)
    assert journal.steps.of(made.id) == plan
    journal.steps.update(
        made.id,
        "train[depth=4]",
        state=StepState.SUCCEEDED,
        cached=True,
        origin=3,
        exit_code=0,
        started=1.0,
        ended=2.0,
        results={"version": 7},
        attempt=2,
    )
    found = journal.steps.get(made.id, "train[depth=4]")
    assert found.cached is True and found.results == {"version": 7} and found.origin == 3
    with pytest.raises(TypeError, match="colour"):
        journal.steps.update(made.id, "unit", colour="red")
    with pytest.raises(ValueError, match="sideways"):
        journal.steps.update(made.id, "unit", state="sideways")
    journal.steps.replace(made.id, plan[:1])
    assert journal.steps.of(made.id) == plan[:1]


def test_every_field_of_a_step_can_be_updated(journal: Journal) -> None:
    made = run(journal)
    journal.steps.add(made.id, [Step(made.id, "a", 0, StepState.PENDING)])
    for name in {field.name for field in dataclasses.fields(Step)} - {"run_id", "name"}:
        before = journal.steps.get(made.id, "a")
        journal.steps.update(made.id, "a", **{name: getattr(before, name)})
        assert journal.steps.get(made.id, "a") == before


def test_the_ledger_tells_what_serves_and_what_is_under_way(journal: Journal) -> None:
    def begin(version: int) -> int:
        return journal.ledger.begin(
            environment="production",
            how=How.PROMOTE,
            model="m",
            to_version=version,
            from_version=version - 1,
            who="anna",
        ).id

    first, second = begin(1), begin(2)
    assert [one.id for one in journal.ledger.open()] == [first, second]
    assert journal.ledger.current("production") is None
    journal.ledger.phase(first, "shifted", {"ports": [1, 2]})
    journal.ledger.finish(first, DeploymentState.SUCCEEDED)
    journal.ledger.finish(second, DeploymentState.UNDONE, "worker died")
    current = journal.ledger.current("production")
    assert (
        current is not None
        and current.to_version == 1
        and current.phase == "shifted"
        and current.data == {"ports": [1, 2]}
    )
    assert [one.id for one in journal.ledger.history("production")] == [second, first]
    assert journal.ledger.open() == [] and journal.ledger.history("staging") == []


def test_replicas(journal: Journal) -> None:
    one = Replica("a1", "production", 3, "blue1", 5101, ReplicaState.STARTING, pid=12, pid_started=3.5, weight=100)
    journal.replicas.put(one)
    journal.replicas.put(dataclasses.replace(one, state=ReplicaState.READY))
    journal.replicas.put(dataclasses.replace(one, environment="staging"))
    assert [found.state for found in journal.replicas.of("production")] == [ReplicaState.READY]
    assert len(journal.replicas.all()) == 2
    assert journal.replicas.counts() == {"production": 1, "staging": 1}
    assert journal.replicas.ports() == {one.port}
    journal.replicas.put(dataclasses.replace(one, id="a2", port=one.port + 1))
    assert journal.replicas.ports() == {one.port, one.port + 1}
    journal.replicas.remove("production", "a2")
    journal.replicas.remove("production", "a1")
    assert journal.replicas.of("production") == []


def test_quarantine_is_found_by_version_and_by_commit_and_audited(journal: Journal) -> None:
    journal.quarantine.add("m", 3, "abc", "anna", "rolled back")
    assert (
        journal.quarantine.find("m", 3)
        and journal.quarantine.find("m", commit="abc")
        and journal.quarantine.find("m", 9, "abc")
    )
    assert (
        journal.quarantine.find("m", 4) is None
        and journal.quarantine.find("other", 3) is None
        and journal.quarantine.find("m") is None
    )
    journal.quarantine.add("m", 5, "", "anna", "")
    assert journal.quarantine.find("m", commit="") is None
    journal.quarantine.lift("m", 3, "ben", "fixed")
    assert journal.quarantine.find("m", 3) is None
    assert [entry.action for entry in journal.audit.page()] == ["quarantine lift", "quarantine", "quarantine"]
    with pytest.raises(NotFound):
        journal.quarantine.lift("m", 3, "ben", "again")


def test_versions(journal: Journal) -> None:
    three = Version(
        "m",
        3,
        3.0,
        aliases=("champion",),
        metrics={"auc": 0.7},
        params={"d": "4"},
        tags={"t": "x"},
        verdict=Verdict.PASS,
        run_id=4,
        digest="d",
    )
    journal.versions.replace("m", [Version("m", 1, 1.0), Version("m", 12, 2.0, aliases=("challenger",)), three], "f1")
    assert [one.version for one in journal.versions.of("m")] == [12, 3, 1]
    assert journal.versions.get("m", 3) == three and journal.versions.get("m", 99) is None
    (model,) = journal.versions.models()
    assert (model.versions, model.latest, dict(model.aliases)) == (3, 12, {"champion": 3, "challenger": 12})
    journal.versions.update(Version("m", 12, 2.0, aliases=("champion",)))
    assert dict(journal.versions.models()[0].aliases) == {"champion": 12}
    assert journal.versions.fingerprint("m") == "f1" and journal.versions.fingerprint("x") is None
    journal.versions.replace("m", [], "f2")
    assert journal.versions.of("m") == [] and journal.versions.models()[0].latest is None
    journal.versions.remove("m")
    assert journal.versions.models() == []


def test_metric_histories_keep_every_float(journal: Journal) -> None:
    points = [MetricPoint(0, 1.5, 0.1), MetricPoint(1, 2.5, float("inf"))]
    journal.versions.put_history("r", "loss", points)
    journal.versions.put_history("r", "nan", [MetricPoint(0, 0.0, float("nan"))])
    assert journal.versions.history("r", "loss") == points
    (point,) = journal.versions.history("r", "nan")
    assert point.value != point.value
    assert journal.versions.history("r", "auc") == []


def test_gate_reports(journal: Journal) -> None:
    check = CheckResult("auc", Verdict.FAIL, "too low", value=0.6, limit=0.65, rows=10, slice="carrier=UA")
    first = GateReport("quality", "m", 2, 1, Verdict.FAIL, (check,), 5.0, run_id=3, metrics={"auc": 0.6})
    journal.gates.add(first)
    journal.gates.add(dataclasses.replace(first, gate="latency", checks=()))
    assert journal.gates.latest("m", 2, "quality") == first
    latest = journal.gates.latest("m", 2)
    assert latest is not None and latest.gate == "latency"
    assert [one.gate for one in journal.gates.of("m", 2)] == ["latency", "quality"] and journal.gates.latest(
        "m", 3
    ) is None


def test_alerts_and_values(journal: Journal) -> None:
    fired = journal.alerts.add(AlertEvent(0, "drift", "production", "psi", "firing", 1.0, 0.3, labels={"team": "x"}))
    over = journal.alerts.add(AlertEvent(0, "drift", "production", "psi", "resolved", 2.0, episode=fired.id))
    assert journal.alerts.recent(5) == [over, fired] and (fired.episode, over.episode) == (fired.id, fired.id)
    assert journal.alerts.after(fired.id, "production") == [over] and journal.alerts.recent(name="x") == []
    assert (journal.alerts.newest(), fired.labels) == (over.id, {"team": "x"})
    journal.values.set("seen:main", "abc")
    journal.values.set("seen:main", "def")
    assert journal.values.get("seen:main") == "def" and journal.values.all("seen:") == {"seen:main": "def"}
    journal.values.set("seen:main", None)
    assert journal.values.get("seen:main") is None


def test_one_agent_at_a_time(journal: Journal, tmp_path: Path) -> None:
    started = started_at(os.getpid())
    assert started is not None
    assert not journal.agent.status().alive
    with pytest.raises(Refused):
        journal.agent.heartbeat()
    # A process that is gone does not hold the place.
    journal.agent.claim(os.getpid(), started - 5000.3, "ghost")
    assert not journal.agent.status().alive and "gone" in journal.agent.status().message
    journal.agent.claim(os.getpid(), started, "anna")
    journal.agent.heartbeat()
    status = journal.agent.status()
    assert status.alive and status.pid == os.getpid() and status.who == "anna"
    parent = started_at(os.getppid())
    assert parent is not None
    with Journal.open(tmp_path / "journal.db") as other:
        other.agent.claim(os.getppid(), parent, "ben")
        with pytest.raises(Refused, match="ben") as caught:
            journal.agent.claim(os.getpid(), started, "anna")
        assert caught.value.hint
        with pytest.raises(Refused):
            journal.agent.heartbeat()
        journal.agent.release()
        assert other.agent.status().alive
        other.agent.release()
    assert not journal.agent.status().alive


def test_an_agent_on_another_host_lives_as_long_as_its_heartbeat(journal: Journal) -> None:
    started = started_at(os.getpid()) or 0.0
    journal.agent.claim(1, 1.0, "ben", machine=Machine("elsewhere", "another", "boot"))
    assert journal.agent.status().alive
    with pytest.raises(Refused):
        journal.agent.claim(os.getpid(), started, "anna")
    journal._database.run("UPDATE agent SET heartbeat = ?", (time.time() - 60,))
    assert not journal.agent.status().alive
    journal.agent.claim(os.getpid(), started, "anna")


def test_a_version_is_found_by_its_number_its_alias_or_its_commit(journal: Journal) -> None:
    first = Version("m", 1, 1.0, commit="a" * 40, aliases=("champion",))
    second = Version("m", 2, 2.0, commit="a" * 39 + "b", aliases=("challenger", "aaaaaaa"))
    other = Version("other", 9, 2.0, commit="a" * 40, aliases=("champion",))
    journal.versions.replace("m", [first, second], "f")
    journal.versions.replace("other", [other], "f")
    assert [journal.versions.get("m", number) for number in (1, 9, -1, 1 << 63, 10**30)] == [first, *[None] * 4]
    named = journal.versions.named
    assert [named("m", text) for text in ("champion", "challenger", "a" * 40)] == [first, second, first]
    assert named("m", "a" * 7) == second, "the newest of that commit's beginning"
    assert [named("m", text) for text in ("a" * 6, "A" * 7, "%" * 7, "previous", "", "b" * 40)] == [None] * 6
    assert journal.versions.aliases("m") == {"champion": 1, "challenger": 2, "aaaaaaa": 2}


def test_what_sqlite_cannot_keep_is_kept_as_nearly_as_it_can_be(journal: Journal) -> None:
    """Also where it is only asked for: a name on a command line, a number of a Git host's."""
    assert journal._database.one("SELECT ?, ?, ?", ("caf\udce9", 2**70, -(2**70))) == ("caf?", 2**63 - 1, -(2**63))
    assert journal._database.all("SELECT ?", (2**63,)) == list(journal._database.each("SELECT ?", (2**63,)))
    assert journal._database.all("SELECT 1 WHERE ? = 'x'", ("\ud800",)) == []
