"""An environment that a person stops: what ends, that it stays ended, what is said of it, and what brings it back."""

from __future__ import annotations

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from podium.core.changes import plan
from podium.core.delivery.environment import healing, history
from podium.core.delivery.repair import plan as repairs
from podium.core.delivery.rollout import change_steps, recovery
from podium.core.delivery.rollout import stop as stopping
from podium.core.delivery.status import status as environments
from podium.core.domain.attention import needs
from podium.core.domain.delivery import Condition, DeploymentState, EnvironmentStatus, How
from podium.core.domain.plans import RESTS_ON_PREFIX, Plan
from podium.core.domain.repair import DifferenceKind, Severity
from podium.core.domain.rollout import WARM_UP
from podium.core.domain.runs import Run, RunState, Trigger
from podium.core.engine.context import StepContext
from podium.core.errors import NotFound, Refused, RunFailed
from podium.core.journal import Journal

from tests.delivery.light import World, replace_phase
from tests.runner.scale import scaled
from tests.support import wait_until


def planned(world: World, verb: str, **arguments: Any) -> Plan:
    return plan(world.project, world.journal, verb, "staging", **arguments)


def carry_out(world: World, found: Plan, why: str = "") -> Any:
    """As the operation's worker does."""
    run = Run(7, found.verb, found.target, RunState.RUNNING, Trigger.PERSON, "anna from desk", 0.0, why=why)
    seen = {RESTS_ON_PREFIX + key: value for key, value in found.rests_on.items()}
    context = StepContext(
        world.project, run, found.verb, {**found.arguments, **seen, "target": found.target}, _journal=world.journal
    )
    return {"stop": stopping.stop, "start": change_steps.start}[found.verb](context)


def stop(world: World, why: str = "") -> Any:
    return carry_out(world, planned(world, "stop"), why)


def status(world: World) -> EnvironmentStatus:
    return environments.status(world.project, world.journal, world.environment)


def heal(world: World) -> list[str]:
    return healing.heal_environment(world.project, world.journal, world.environment)


def test_the_last_version_of_a_model_that_serves_is_deleted(serving: World) -> None:
    assert status(serving).differences == ()
    serving.journal.versions.replace(serving.project.mlflow.model, [], "read")
    said = [each.words for each in status(serving).differences]
    assert "version 2 serves but was deleted from the registry" in said


def nothing_answers(world: World) -> bool:
    def refused() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", world.port)) != 0

    # A thread of a proxy that was ended may hold its port for a moment longer than its process is there.
    return wait_until(refused, 5)


@pytest.fixture
def serving(world: World) -> World:
    for number in (1, 2):
        world.version(number)
        world.deploy(number)
    return world


def test_the_plan_says_what_ends_and_that_nothing_answers(serving: World) -> None:
    found = planned(serving, "stop")
    assert [(each.subject, each.before, each.after) for each in found.changes] == [
        ("traffic of staging", "version 2", "none"),
        ("version 2", "2 replicas", "none"),
        ("version 1", "2 replicas, warm", "none"),
        ("proxy", f"http://127.0.0.1:{serving.port}", "nothing answers"),
    ]
    assert "end 4 replicas" in found.steps and "podium start -e staging" in found.warnings[0]
    assert (found.refusal, found.nothing_to_do, found.type_to_confirm) == ("", "", "")
    assert plan(serving.project, serving.journal, "stop", "production").type_to_confirm == "production"


def test_a_stop_ends_everything_and_the_agent_leaves_it_so(serving: World) -> None:
    rows = serving.runtime.replicas()
    results = stop(serving, "maintenance")
    assert results["version"] == 2 and len(results["ended"]) == 5
    assert not any(serving.runtime.driver.alive(row) for row in rows) and nothing_answers(serving)
    assert heal(serving) == [] and recovery.recover(serving.project, serving.journal) == []
    assert nothing_answers(serving)
    found = status(serving)
    assert found.stopped is not None
    assert (found.stopped.who, found.stopped.why, found.stopped.run_id) == ("anna from desk", "maintenance", 7)
    assert (found.health.condition, found.health.words) == (Condition.STOPPED, "stopped by anna")
    assert found.differences == () and found.serving == 2 and found.answers == {}
    assert needs(runs=(), environments=[found], alerts=(), agent=None, versions=(), now=0.0) == []
    with Journal.open(serving.journal.path) as another:
        assert history.stopped(another, "staging") == found.stopped


def test_a_request_in_flight_is_answered(world: World) -> None:
    world.change(replicas=1)
    world.version(1, delay=1.0)
    world.deploy(1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(predict, world.port)
        wait_until(lambda: any(stat.sessions for stat in world.runtime.proxy.stats() if stat.kind == "server"), 5)
        stop(world)
        assert answer.result() == 200, world.evidence()


def predict(port: int) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=scaled(10))
    try:
        client.request("POST", "/invocations", b'{"inputs": [[1.0]]}', {"Content-Type": "application/json"})
        return client.getresponse().status
    finally:
        client.close()


def test_a_stopped_environment_has_nothing_more_to_stop_or_repair(serving: World) -> None:
    assert planned(serving, "start").nothing_to_do == "staging is not stopped"
    stop(serving)
    assert planned(serving, "stop").nothing_to_do == "staging was stopped by anna from desk"
    assert status(serving).why_not_stop() == "staging was stopped by anna" and status(serving).why_not_start() == ""
    found = planned(serving, "repair")
    assert found.steps == () and "podium start -e staging" in found.nothing_to_do
    with pytest.raises(Refused, match="was stopped by anna"):
        repairs.carry_out(serving.runtime, who="anna")
    assert nothing_answers(serving)


def test_a_start_brings_back_what_served_last(serving: World) -> None:
    stop(serving)
    found = planned(serving, "start")
    assert found.command == "podium start -e staging" and found.warnings == (
        "staging was stopped by anna, and is started again",
    )
    assert [(each.subject, each.before, each.after) for each in found.changes] == [
        ("traffic of staging", "none", "version 2")
    ]
    assert found.steps[:3] == (
        "start 2 replicas of version 2",
        "wait until they are healthy, and have each predict",
        "start the proxy",
    )
    assert carry_out(serving, found, "done")["version"] == 2
    assert serving.answers() == "2"
    after = status(serving)
    assert after.stopped is None and after.differences == () and after.health.condition is Condition.HEALTHY
    row = serving.journal.ledger.history("staging")[0]
    assert (row.how, row.from_version, row.to_version, row.who, row.why) == (How.START, 2, 2, "anna from desk", "done")
    assert after.rollback_to == 1, "what a rollback brings back is as before"
    serving.runtime.driver.stop(serving.runtime.replicas()[0], grace=1.0)
    assert heal(serving), "it is healed again"


@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_another_change_starts_it_too_and_says_so(serving: World, verb: str) -> None:
    stop(serving)
    found = planned(serving, verb, version=1)
    assert "staging was stopped by anna, and is started again" in found.warnings and "start the proxy" in found.steps
    assert found.changes[0].before == "none" and found.versions is not None and found.versions.from_version is None
    serving.deploy(1) if verb == "deploy" else serving.rollback(1)
    assert serving.answers() == "1" and status(serving).stopped is None


def test_a_start_that_fails_leaves_it_stopped(serving: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stop(serving)

    def fail(_: object) -> None:
        raise RunFailed("no")

    with monkeypatch.context() as patch:
        replace_phase(patch, WARM_UP, lambda _: fail)
        with pytest.raises(RunFailed):
            carry_out(serving, planned(serving, "start"))
    assert serving.journal.ledger.history("staging")[0].state is DeploymentState.FAILED
    assert status(serving).health.condition is Condition.STOPPED and nothing_answers(serving)
    carry_out(serving, planned(serving, "start"))
    assert serving.answers() == "2"


def test_a_stop_that_is_cut_short_is_finished_by_the_next(serving: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_: object) -> list[str]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stopping, "end_all", die)
        with pytest.raises(KeyboardInterrupt):
            stop(serving)
    serving.runtime.proxy.stop()
    assert heal(serving) == [], "what a person stops is not healed meanwhile"
    assert nothing_answers(serving)
    found = status(serving)
    assert found.health.condition is Condition.STOPPED
    [left] = found.differences
    assert (left.kind, left.severity, left.repairable) == (DifferenceKind.INTERRUPTED, Severity.WARNING, False)
    assert "4 replicas of staging left" in left.words and planned(serving, "stop").nothing_to_do == ""
    stop(serving)
    assert serving.runtime.replicas() == [] and status(serving).differences == ()


def test_what_a_stop_left_is_not_taken_for_what_served(serving: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "end_all", lambda _: [])
    stop(serving)
    serving.deploy(1)
    assert {row.version for row in serving.runtime.replicas()} == {1} and serving.answers() == "1"


def test_a_plan_to_stop_rests_on_what_served(serving: World) -> None:
    found = planned(serving, "stop")
    serving.deploy(1)
    with pytest.raises(Refused, match="changed since this was planned"):
        carry_out(serving, found)
    assert serving.answers() == "1" and status(serving).stopped is None


def test_what_never_served(world: World) -> None:
    assert planned(world, "stop").nothing_to_do == "nothing runs for staging"
    with pytest.raises(NotFound, match="nothing was deployed to staging yet"):
        planned(world, "start")
    assert "nothing was deployed" in status(world).why_not_start() and status(world).why_not_stop()
