"""What waits for a person, worst first, and how an environment is doing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from podium.core.domain.attention import Need, Reason, needs
from podium.core.domain.containers import GONE, Container, EngineSnapshot
from podium.core.domain.delivery import (
    CanaryState,
    CanaryStatus,
    Condition,
    EnvironmentHealth,
    EnvironmentStatus,
    Replica,
    ReplicaState,
)
from podium.core.domain.models import Version
from podium.core.domain.monitoring import AlertState, AlertStatus, LoopEntry, LoopState
from podium.core.domain.repair import Difference, DifferenceKind
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.domain.verdicts import Source, Verdict, VersionVerdict
from podium.core.domain.watching import AgentStatus

NOW = 1_000_000.0
REPLICA = Replica("production-v3-1", "production", 3, "v3-1", 20001, ReplicaState.READY, weight=100)
SERVES = EnvironmentStatus(
    "production", "process", "http://127.0.0.1:1", True, "champion", "rolling", 3, 2, None, (REPLICA,), proxy_alive=True
)
RUN = Run(1, PIPELINE, "release", RunState.SUCCEEDED, Trigger.PUSH, "anna", created=NOW - 60)
ALIVE = AgentStatus(True, 7)
DRIFT = AlertStatus(
    "drift",
    "production",
    "input-drift",
    AlertState.FIRING,
    NOW - 3600,
    value=0.31,
    shown="0.3100",
    threshold="above 0.2",
)


def asked(**what: Any) -> list[Need]:
    return needs(**{"runs": [], "environments": [], "alerts": [], "agent": ALIVE, "versions": [], "now": NOW, **what})


def test_nothing_waits_when_all_is_well() -> None:
    assert asked(runs=[RUN], environments=[SERVES]) == []


def test_a_proxy_that_died_is_the_agents_business_and_said_only_if_it_is_not_there() -> None:
    gone = replace(SERVES, proxy_alive=False)
    (need,) = asked(environments=[gone])
    assert (need.subject, need.words) == ("production", "proxy is gone; the agent brings it back")
    for agent in (None, AgentStatus(False)):
        assert asked(environments=[gone], agent=agent)[0].words.endswith("(podium watch --daemon)")


def test_what_a_person_stopped_is_not_told_as_broken() -> None:
    stopped = replace(SERVES, replicas=(), proxy_alive=False)
    assert stopped.health == EnvironmentHealth(Condition.STOPPED, "was stopped")
    assert asked(environments=[stopped]) == []
    assert replace(stopped, serving=None).health == EnvironmentHealth(Condition.EMPTY, "serves nothing yet")


def test_replicas_that_died_are_bad() -> None:
    dead = replace(SERVES, replicas=(replace(REPLICA, state=ReplicaState.DEAD),))
    assert dead.health == EnvironmentHealth(Condition.DOWN, "no replica is ready")
    assert SERVES.health == EnvironmentHealth(Condition.HEALTHY, "1 replica ready")


def test_runs_that_wait_or_failed_lately() -> None:
    waiting = replace(RUN, id=3, state=RunState.WAITING)
    failed = replace(RUN, id=2, name="nightly", state=RunState.FAILED, message="step gate: no")
    found = asked(runs=[waiting, failed, replace(RUN, id=1, name="nightly", state=RunState.INTERRUPTED)])
    assert [(need.run_id, need.reason) for need in found] == [(3, Reason.APPROVAL), (2, Reason.FAILED)], (
        "of a pipeline only the newest run counts"
    )
    assert found[0].command == "podium approve 3"
    assert "step gate: no" in found[1].words
    assert asked(runs=[replace(failed, state=RunState.INTERRUPTED)])[0].command == "podium resume 2"
    assert asked(runs=[replace(failed, created=NOW - 7 * 3600)]) == [], "what failed long ago is history"


def test_the_worst_comes_first() -> None:
    version = Version("m", 4, NOW, aliases=("challenger",), verdict=Verdict.PASS)
    found = asked(
        runs=[replace(RUN, state=RunState.FAILED)],
        environments=[
            replace(
                SERVES, differences=(Difference(DifferenceKind.ALIAS, "champion", "alias champion is on version 2"),)
            ),
            replace(SERVES, name="staging", proxy_alive=False),
        ],
        alerts=[
            DRIFT,
            replace(DRIFT, name="old", state=AlertState.INACTIVE),
        ],
        agent=AgentStatus(False, 7, heartbeat=NOW - 120),
        versions=[version],
    )
    assert [need.subject for need in found] == ["staging", "production", "drift", "agent", "run 1", "v4"]
    assert "last seen 2m" in found[3].words


def test_alerts_by_their_severity_and_what_people_said_of_them() -> None:
    (need,) = asked(alerts=[DRIFT])
    assert (need.urgency, need.words) == (1, "0.3100 is above 0.2 for 1h, on production")
    assert need.command == "podium alerts ack drift --why …"
    assert asked(alerts=[replace(DRIFT, severity="critical")])[0].urgency == 0
    (known,) = asked(alerts=[replace(DRIFT, acknowledged="by anna: mine", absent=True)])
    assert (known.urgency, known.command) == (4, "")
    assert known.words.endswith("; no data now; acknowledged by anna: mine")
    for quiet in (
        replace(DRIFT, silenced="by anna until tomorrow: load test"),
        replace(DRIFT, state=AlertState.PENDING),
        replace(DRIFT, state=AlertState.NO_DATA),
    ):
        assert asked(alerts=[quiet]) == []


def test_what_an_alert_would_start_waits_for_a_person() -> None:
    entry = LoopEntry(3, "drift", "production", "retrain", 7, NOW, LoopState.PROPOSED, mode="propose")
    (need,) = asked(proposals=[entry])
    assert (need.urgency, need.reason, need.subject) == (2, Reason.PROPOSAL, "retrain")
    assert need.words == "would be started for alert drift on production"
    assert need.command == "podium feedback approve 3"


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR, None])
def test_only_a_challenger_that_passed_is_offered(verdict: Verdict | None) -> None:
    assert asked(versions=[Version("m", 4, NOW, aliases=("challenger",), verdict=verdict)]) == []


def said(source: Source, verdict: Verdict, environment: str = "production") -> VersionVerdict:
    return VersionVerdict(4, source, verdict, NOW, environment, who="anna")


def test_a_challenger_that_something_speaks_against_or_that_is_under_way_is_not_offered() -> None:
    version = Version("m", 4, NOW, aliases=("challenger",), verdict=Verdict.PASS, run_id=9)
    passed = said(Source.GATE, Verdict.PASS)
    assert len(asked(versions=[version], verdicts={(version.model, 4): (passed,)})) == 1
    for bad in (
        said(Source.CANARY, Verdict.FAIL),
        said(Source.ROLLBACK, Verdict.FAIL),
        said(Source.QUARANTINE, Verdict.FAIL),
    ):
        assert asked(versions=[version], verdicts={(version.model, 4): (bad, passed)}) == []
    promoting = replace(RUN, kind="promote", name="production", params={"version": "4"}, state=RunState.RUNNING)
    assert asked(versions=[version], runs=[promoting]) == []
    waiting = replace(RUN, id=9, state=RunState.WAITING)
    assert [need.reason for need in asked(versions=[version], runs=[waiting])] == [Reason.APPROVAL]
    canary = CanaryStatus(1, "production", 4, 3, 0, (5, 50), 5, CanaryState.RUNNING, NOW - 10, None)
    assert asked(versions=[version], environments=[replace(SERVES, canary=canary)]) == []


@pytest.mark.parametrize(
    ("state", "condition", "waits"),
    [
        (CanaryState.RUNNING, Condition.CANARY, False),
        (CanaryState.PAUSED, Condition.PAUSED, True),
        (CanaryState.INCONCLUSIVE, Condition.WAITING, True),
    ],
)
def test_a_canary_that_stands_still_waits_for_a_person(state: CanaryState, condition: Condition, waits: bool) -> None:
    canary = CanaryStatus(1, "production", 4, 3, 0, (5, 50), 5, state, NOW - 10, None)
    status = replace(SERVES, canary=canary)
    assert status.health.condition is condition
    assert [need.reason for need in asked(environments=[status])] == ([Reason.CANARY] if waits else [])


def test_an_engine_that_does_not_answer_is_said_and_hides_what_may_be_gone() -> None:
    unknown = replace(SERVES, replicas=(replace(REPLICA, state=ReplicaState.UNKNOWN, container="c1"),))
    assert unknown.health.condition is Condition.UNREACHABLE
    snapshot = EngineSnapshot("production", "ssh://serving", NOW, (), "the line is cut")
    assert [need.words for need in asked(snapshots=[snapshot])] == ["the line is cut"]
    assert snapshot.gone(unknown.replicas) == ()


def test_a_container_that_should_be_there_and_is_not_is_gone() -> None:
    replicas = (replace(REPLICA, container="c1"), replace(REPLICA, id="production-v3-2", container="c2"), REPLICA)
    snapshot = EngineSnapshot(
        "production", "ssh://serving", NOW, (Container("c1", "a", "production", "replica", "running", NOW),)
    )
    assert [(each.id, each.name, each.state) for each in snapshot.gone(replicas)] == [("c2", "production-v3-2", GONE)]
    again = replace(
        snapshot, containers=(Container("c9", "b", "production", "replica", "running", NOW, replica="production-v3-2"),)
    )
    assert [each.id for each in again.gone(replicas)] == ["c1"], "another container may be that replica now"


def test_an_agent_follows_only_what_was_seen_since_it_started() -> None:
    snapshot = EngineSnapshot("production", "ssh://serving", NOW)
    assert AgentStatus(True, 7, started=NOW - 1).follows(snapshot)
    assert not AgentStatus(True, 7, started=NOW + 1).follows(snapshot)
    assert not AgentStatus(False, 7, started=NOW - 1).follows(snapshot)
    assert not AgentStatus(True, 7, started=NOW - 1).follows(None)
