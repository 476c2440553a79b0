"""What the first screen says is waiting for a person, and where it leads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from podium.core.domain.delivery import EnvironmentStatus, Replica, ReplicaState
from podium.core.domain.models import Version
from podium.core.domain.repair import Difference, Kind
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.domain.verdicts import Verdict
from podium.core.domain.watching import AgentStatus, Alert
from podium.screens.cells import health
from podium.screens.overview import Need, needs
from podium.tui.application import PodiumApp
from textual.pilot import Pilot

from tests.tui.driving import drive, settled, text, until

NOW = 1_000_000.0
REPLICA = Replica("production-v3-1", "production", 3, "v3-1", 20001, ReplicaState.READY, weight=100)
SERVES = EnvironmentStatus(
    "production", "process", "http://127.0.0.1:1", True, "champion", "rolling", 3, 2, None, (REPLICA,), proxy_alive=True
)
RUN = Run(1, PIPELINE, "release", RunState.SUCCEEDED, Trigger.PUSH, "anna", created=NOW - 60)
ALIVE = AgentStatus(True, 7)


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
    assert health(stopped) == ("was stopped", "warn")
    assert asked(environments=[stopped]) == []
    assert health(replace(stopped, serving=None)) == ("serves nothing yet", "muted")


def test_replicas_that_died_are_bad() -> None:
    dead = replace(SERVES, replicas=(replace(REPLICA, state=ReplicaState.DEAD),))
    assert health(dead) == ("no replica is ready", "bad")
    assert health(SERVES) == ("1 replica ready", "ok")


def test_runs_that_wait_or_failed_lately() -> None:
    waiting = replace(RUN, id=3, state=RunState.WAITING)
    failed = replace(RUN, id=2, name="nightly", state=RunState.FAILED, message="step gate: no")
    found = asked(runs=[waiting, failed, replace(RUN, id=1, name="nightly", state=RunState.INTERRUPTED)])
    assert [(need.run_id, need.target) for need in found] == [(3, "runs"), (2, "runs")], (
        "of a pipeline only the newest run counts"
    )
    assert "A approves" in found[0].words
    assert "step gate: no" in found[1].words
    assert "U resumes" in asked(runs=[replace(failed, state=RunState.INTERRUPTED)])[0].words
    assert asked(runs=[replace(failed, created=NOW - 7 * 3600)]) == [], "what failed long ago is history"


def test_the_worst_comes_first() -> None:
    version = Version("m", 4, NOW, aliases=("challenger",), verdict=Verdict.PASS)
    found = asked(
        runs=[replace(RUN, state=RunState.FAILED)],
        environments=[
            replace(SERVES, differences=(Difference(Kind.ALIAS, "champion", "alias champion is on version 2"),)),
            replace(SERVES, name="staging", proxy_alive=False),
        ],
        alerts=[
            Alert(1, "drift", "production", "input-drift", "firing", NOW),
            Alert(2, "old", "production", "x", "resolved", NOW),
        ],
        agent=AgentStatus(False, 7, heartbeat=NOW - 120),
        versions=[version],
    )
    assert [need.subject for need in found] == ["staging", "production", "drift", "agent", "run 1", "v4"]
    assert "last seen 2m" in found[3].words


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR, None])
def test_only_a_challenger_that_passed_is_offered(verdict: Verdict | None) -> None:
    assert asked(versions=[Version("m", 4, NOW, aliases=("challenger",), verdict=verdict)]) == []


def test_enter_goes_where_the_need_is(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "waits for approval" in text(pilot.app), "the run that waits")
        table = pilot.app.screen.query_one("#needs")
        table.focus()
        await pilot.press("g")
        for _ in range(10):
            if "waits for approval" in getattr(table.current, "words", ""):
                break
            await pilot.press("j")
        run_id = table.current.run_id
        await pilot.press("enter")
        await settled(pilot)
        await until(pilot, lambda: f"Steps of run {run_id}" in text(pilot.app), "the run itself")

    drive(app(screen="overview"), script)
