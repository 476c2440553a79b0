"""Rollouts with light replicas and a real HAProxy."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from podium.core.delivery.environment import healing, history
from podium.core.delivery.environment.lock import lock_name
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.host import ports
from podium.core.delivery.proxy.proxy import Proxy, ProxyLayout, of_process
from podium.core.delivery.rollout import carry_out, phases, plans
from podium.core.delivery.rollout.carry_out import RolloutRequest
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import DeploymentState, How, Replica, ReplicaState
from podium.core.domain.project import AnalysisRule, Strategy
from podium.core.domain.runs import Trigger
from podium.core.errors import NotFound, Refused, RunFailed, UsageError
from podium.core.journal import Journal

from tests.delivery.light import Load, World
from tests.support import free_port, wait_until


def test_first_deploy_serves_and_the_second_takes_over_without_losing_a_request(world: World) -> None:
    world.version(1)
    world.version(2)
    first = world.deploy(1)
    assert first.state is DeploymentState.SUCCEEDED and first.digest.startswith("sha256:") and world.answers() == "1"
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        world.deploy(2)
        wait_until(lambda: '{"predictions": [2]}' in load.answers)
    assert load.failures == [] and load.total > 40
    assert {r.state for r in world.runtime.replicas(1)} == {ReplicaState.WARM}
    assert world.weights() == {"v1-1": 0, "v1-2": 0, "v2-1": 100, "v2-2": 100}
    status = environments.status(world.project, world.journal, world.environment)
    assert (status.serving, status.previous, status.rollback_to) == (2, 1, 1)
    assert status.differences == () and status.rollback_note == "version 1 is warm" and status.proxy_alive


def test_rollback_to_the_warm_version_is_fast_loses_nothing_and_quarantines(world: World) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    world.deploy(2)
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        done = world.rollback(1, why="errors")
        wait_until(lambda: '{"predictions": [1]}' in load.answers)
    assert load.failures == [], world.evidence()
    assert "start_seconds" not in done.data and "traffic_seconds" in done.data, (
        "nothing is started before the traffic moves"
    )
    entry = world.journal.quarantine.find("tiny", 2)
    assert entry is not None and entry.commit == f"{2:040x}" and entry.why == "errors"
    with pytest.raises(NotFound, match="no earlier good version") as caught:
        plans.plan(world.project, world.journal, How.ROLLBACK, "staging", None)
    assert "version 2 served before and is quarantined: errors (by anna)" in caught.value.message
    assert "podium rollback 2 -e staging --force" in caught.value.hint
    status = environments.status(world.project, world.journal, world.environment)
    assert status.rollback_to is None
    assert status.why_not_rollback() == "version 2 served before and is quarantined: errors (by anna)"


def test_quarantined_version_is_refused_to_triggers_and_needs_a_reason_from_people(world: World) -> None:
    world.version(1)
    world.version(2)
    world.version(3)
    world.deploy(1)
    world.journal.quarantine.add("tiny", 2, f"{2:040x}", "anna", "bad on holidays")
    with pytest.raises(Refused, match="quarantined"):
        world.deploy(2, trigger=Trigger.PUSH, force="whatever")
    with pytest.raises(Refused, match="bad on holidays"):
        world.deploy(2)
    assert world.deploy(2, force="I looked at it").forced
    # Another version of the same commit is refused to a trigger too.
    world.journal.versions.update(replace(world.runtime.version(3), commit=f"{2:040x}"))
    with pytest.raises(Refused, match="commit is quarantined"):
        world.deploy(3, trigger=Trigger.SCHEDULE)


def test_rollback_to_a_version_that_is_not_warm_starts_it_first(world: World) -> None:
    world.change(keep=0)
    world.version(1)
    world.version(2)
    world.deploy(1)
    world.deploy(2)
    assert world.runtime.replicas(1) == []
    status = environments.status(world.project, world.journal, world.environment)
    assert status.rollback_note == "version 1 has to be started first"
    world.rollback(1)
    assert world.answers() == "1"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("loading\nTraceback (most recent call last):\n  File x\nKeyError: 'lag'\nbye\n", " It said: KeyError: 'lag'"),
        ("loading\nno such column\n\n", " It said: no such column"),
        ("", " It wrote no log."),
        ("\n  \n", " It wrote no log."),
    ],
)
def test_the_first_line_of_a_failure_says_what_the_log_says(world: World, log: str, said: str) -> None:
    """Lists show no more than that line."""
    replica = Replica("staging-v1-1", "staging", 1, "v1-1", 20_000, ReplicaState.STARTING)
    path = world.runtime.log(replica)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(log)
    assert world.runtime.lifecycle.failure_report(replica).split("\n")[0] == said


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"crash": True}, r"(?s)ended while it was starting.*a_package_that_is_not_there(?!\x1b)"),
        ({"start": 60}, "not healthy after 1 s"),
        ({"status": 500}, "answers its own input example with 500"),
    ],
)
def test_model_that_cannot_serve_leaves_the_old_one_serving(
    world: World, behaviour: dict[str, object], words: str
) -> None:
    world.version(1)
    world.version(2, **behaviour)
    world.deploy(1)
    before = {r.pid for r in world.runtime.replicas()}
    world.change(health_timeout=1.0)
    with Load(world.port) as load:
        with pytest.raises(RunFailed, match=words) as caught:
            world.deploy(2)
    assert load.failures == [] and caught.value.hint
    assert {r.pid for r in world.runtime.replicas()} == before
    assert world.journal.ledger.history("staging")[0].state is DeploymentState.FAILED
    assert history.serving(world.journal, "staging", "tiny") == 1 and world.weights() == {"v1-1": 100, "v1-2": 100}


def test_model_without_example_that_answers_errors_is_taken_out_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 5.0)
    world.version(1)
    world.version(2, example=False, status=500)
    world.deploy(1)
    with Load(world.port, rate=400) as load:
        wait_until(lambda: load.total > 20)
        with pytest.raises(RunFailed, match="requests with errors"):
            world.deploy(2)
    assert world.answers() == "1" and world.runtime.replicas(2) == []


def test_failed_first_deploy_leaves_nothing_running(world: World) -> None:
    world.version(1, crash=True)
    with pytest.raises(RunFailed):
        world.deploy(1)
    assert world.runtime.replicas() == [] and not world.runtime.proxy.alive()


def test_port_in_use_is_named_with_its_owner(world: World) -> None:
    world.version(1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", world.port))
        other.listen()
        with pytest.raises(
            UsageError, match=rf"port {world.port} of environment staging is in use by pid {os.getpid()}"
        ) as caught:
            world.deploy(1)
    assert "environments.staging.port" in caught.value.hint and world.runtime.replicas() == []


@pytest.fixture
def neighbour(tmp_path: Path) -> Iterator[World]:
    """Another project of this machine and account."""
    (tmp_path / "neighbour").mkdir()
    made = World(tmp_path / "neighbour")
    yield made
    made.close()


def test_a_port_of_another_project_is_not_shared_with_it(world: World, neighbour: World) -> None:
    """The kernel would let two proxies of one account have it, and give each half of the connections."""
    world.version(1)
    world.deploy(1)
    neighbour.version(7)
    own = neighbour.port
    neighbour.change(port=world.port)
    pids = "|".join(map(str, world.proxy_pids()))
    with pytest.raises(UsageError, match=rf"port {world.port} of environment staging is in use by pid ({pids}) "):
        neighbour.deploy(7)
    # Neither when its own proxy runs already, and only its port is changed.
    neighbour.change(port=own)
    neighbour.deploy(7)
    neighbour.version(8)
    neighbour.change(port=world.port)
    with pytest.raises(UsageError, match=rf"in use by pid ({pids}) "):
        neighbour.deploy(8)
    with pytest.raises(UsageError, match=rf"in use by pid ({pids}) "):
        neighbour.runtime.traffic.sync()
    assert {world.answers() for _ in range(20)} == {"1"}


def test_of_two_projects_that_take_one_port_at_once_one_is_refused(world: World, neighbour: World) -> None:
    layouts = [ProxyLayout("127.0.0.1", world.port, ()) for _ in range(2)]
    for _ in range(4):
        proxies = [of_process(each.runtime.directory, "staging") for each in (world, neighbour)]
        start = threading.Barrier(2)
        refused: list[str] = []

        def take(proxy: Proxy, layout: ProxyLayout) -> None:
            start.wait()  # noqa: B023 (both have ended before the next round)
            try:
                proxy.ensure(layout)
            except UsageError as error:
                refused.append(str(error))  # noqa: B023

        threads = [threading.Thread(target=take, args=pair) for pair in zip(proxies, layouts, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1 and f"port {world.port} " in refused[0]
        assert sorted(proxy.alive() for proxy in proxies) == [False, True]
        for proxy in proxies:
            proxy.stop()


def test_changed_port_is_taken_over_by_a_new_proxy(world: World) -> None:
    world.version(1)
    world.deploy(1)
    old = world.proxy_pids()
    world.change(port=free_port())
    assert world.runtime.traffic.sync() and len(world.proxy_pids()) == 2 and not set(world.proxy_pids()) & set(old)
    assert world.answers() == "1"


def test_rolling_goes_replica_by_replica(world: World) -> None:
    world.change(strategy=Strategy("rolling", drain=2.0))
    world.version(1)
    world.version(2)
    world.deploy(1)
    seen: list[dict[str, int]] = []
    with Load(world.port) as load:
        wait_until(lambda: load.total > 10)
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                seen.append(world_weights())
                time.sleep(0.02)

        first = world.runtime.proxy.instances[0]

        def world_weights() -> dict[str, int]:
            return {s.name: s.weight for s in first.stats() if s.kind == "server"}

        thread = threading.Thread(target=look)
        thread.start()
        world.deploy(2)
        stop.set()
        thread.join()
    assert {"v1-1": 0, "v1-2": 100, "v2-1": 100, "v2-2": 0} in seen
    assert load.failures == [] and world.answers() == "2"


CANARY = Strategy(
    "canary", weights=(25, 50), interval=1.0, drain=2.0, analysis=(AnalysisRule("error_rate", at_most=0.01),)
)


def test_canary_passes_on_good_answers(world: World) -> None:
    world.change(strategy=CANARY)
    world.version(1)
    world.version(2)
    world.deploy(1)
    with Load(world.port, rate=400) as load:
        world.deploy(2)
    assert load.failures == [] and world.answers() == "2"
    assert sum("pass: error_rate 0" in line for line in world.said) == 2


def test_canary_that_answers_errors_goes_back(world: World) -> None:
    world.change(strategy=CANARY)
    world.version(1)
    world.version(2, example=False, status=500)
    world.deploy(1)
    with Load(world.port, rate=400, clients=8) as load:
        with pytest.raises(RunFailed, match="ends in fail at 25 %"):
            world.deploy(2)
        failed = len(load.failures)
        total = load.total
        wait_until(lambda: load.total > total + 50)
    assert len(load.failures) == failed < load.total / 2
    assert world.weights() == {"v1-1": 100, "v1-2": 100}


def test_canary_without_traffic_never_passes(world: World) -> None:
    world.change(strategy=replace(CANARY, interval=0.1))
    world.version(1)
    world.version(2)
    world.deploy(1)
    with pytest.raises(RunFailed, match="ends in error at 25 %: error_rate was not measured"):
        world.deploy(2)
    assert world.answers() == "1"


def test_second_change_is_told_who_holds_the_environment(world: World) -> None:
    world.version(1)
    with world.journal.locks.take(lock_name("staging"), "ben from 10.0.0.7", "promote of version 9"):
        with pytest.raises(Refused) as caught:
            world.deploy(1)
    assert re.search(rf"ben from 10\.0\.0\.7 since \d{{4}}.*promote of version 9.*{os.getpid()}", caught.value.message)
    assert environments.status(world.project, world.journal, world.environment).locked_by == ""


def test_of_two_changes_at_once_one_is_refused_and_the_other_done(world: World) -> None:
    world.version(1)
    world.version(2, start=1.0)
    world.version(3, start=1.0)
    world.deploy(1)
    outcomes: dict[int, object] = {}

    def deploy(number: int) -> None:
        with Journal.open(world.journal.path) as journal:
            runtime = EnvironmentRuntime(world.project, journal, world.environment)
            try:
                outcomes[number] = carry_out.carry_out(runtime, RolloutRequest(How.DEPLOY, number, f"person {number}"))[
                    0
                ].state
            except Refused as error:
                outcomes[number] = error.message

    threads = [threading.Thread(target=deploy, args=(number,)) for number in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [number for number, outcome in outcomes.items() if outcome is DeploymentState.SUCCEEDED]
    assert f"person {winner} since" in str(outcomes[5 - winner]) and world.answers() == str(winner)


def test_world_that_changed_since_the_plan_is_refused(world: World) -> None:
    world.version(1)
    world.version(2)
    world.version(3)
    world.deploy(1)
    plan = plans.plan(world.project, world.journal, How.DEPLOY, "staging", 3)
    world.deploy(2)
    with pytest.raises(Refused, match="serving was 1 and is 2"):
        world.deploy(3, seen=plan.rests_on)


def test_killed_replica_loses_no_request_and_comes_back(world: World) -> None:
    world.version(1)
    world.deploy(1)
    victim = world.runtime.replicas()[0]
    assert victim.pid
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        os.kill(victim.pid, signal.SIGKILL)
        # The proxy may find it down a moment before it is gone.
        wait_until(
            lambda: (
                f"{victim.id} is dead"
                in map(str, environments.status(world.project, world.journal, world.environment).differences)
            )
        )
        [told] = healing.heal_environment(world.project, world.journal, world.environment)
        assert told.startswith(f"staging: {victim.id} was gone: it ended by SIGKILL, its log ends with: ")
        assert told.endswith("; started it again")
        wait_until(lambda: all(world.runtime.lifecycle.healthy(replica) for replica in world.runtime.replicas()))
    # A request that the replica had begun to answer may end with it; HAProxy repeats all others.
    assert load.failures == [], world.evidence()
    wait_until(lambda: not healing.heal_environment(world.project, world.journal, world.environment))
    back = next(r for r in world.runtime.replicas() if r.id == victim.id)
    assert back.state is ReplicaState.READY and back.restarts == 1 and back.port == victim.port
    assert ports.reserve(back.port) is None, "it is kept from others who look for a free one, as it was before"


def test_killed_proxy_is_back_at_once_with_its_weights(world: World) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    world.deploy(2)
    for number in world.proxy_pids():
        os.kill(number, signal.SIGKILL)
    wait_until(lambda: not world.runtime.proxy.alive())
    assert healing.heal_environment(world.project, world.journal, world.environment) == [
        "staging: the proxy was gone; started it again"
    ]
    assert world.answers() == "2", "when it is said to be back, it answers"
    assert world.weights() == {"v1-1": 0, "v1-2": 0, "v2-1": 100, "v2-2": 100}


def test_a_proxy_whose_pid_nobody_noted_is_not_left_beside_the_next_one(world: World) -> None:
    world.version(1)
    world.deploy(1)
    lost = world.proxy_pids()[1]
    (world.runtime.directory / "haproxy-2.pid").unlink()
    assert healing.heal_environment(world.project, world.journal, world.environment) == [
        "staging: an instance of the proxy was gone; started it again"
    ]
    assert lost not in world.proxy_pids() and len(world.proxy_pids()) == 2
    wait_until(lambda: not psutil.pid_exists(lost))


@pytest.mark.parametrize("number", [0, 1])
def test_an_instance_of_the_proxy_that_is_killed_costs_what_it_was_answering_at_most(world: World, number: int) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    with Load(world.port, clients=4) as load:
        wait_until(lambda: load.total > 50)
        os.kill(world.proxy_pids()[number], signal.SIGKILL)
        wait_until(lambda: not world.runtime.proxy.whole())
        status = environments.status(world.project, world.journal, world.environment)
        assert (
            tuple(map(str, status.differences)) == (f"instance {number + 1} of the proxy does not run",)
            and status.proxy_alive
        )
        # What is changed meanwhile is done by the one that is left, and known to the other one when it is back.
        world.runtime.traffic.weigh({row.id: 50 if row.slot == "v1-1" else 100 for row in world.runtime.replicas()})
        seen = load.total
        wait_until(lambda: load.total > seen + 50)
        assert healing.heal_environment(world.project, world.journal, world.environment) == [
            "staging: an instance of the proxy was gone; started it again"
        ]
        assert world.weights() == {"v1-1": 50, "v1-2": 100} and len(world.proxy_pids()) == 2
        world.deploy(2)
        wait_until(lambda: '{"predictions": [2]}' in load.answers)
    assert len(load.failures) <= 4, world.evidence()
    assert environments.status(world.project, world.journal, world.environment).differences == ()


def test_healing_writes_nothing_when_all_is_well_and_waits_for_operations(world: World) -> None:
    world.version(1)
    world.deploy(1)
    wait_until(lambda: not healing.heal_environment(world.project, world.journal, world.environment))
    before = world.journal.data_version()
    assert healing.heal_environment(world.project, world.journal, world.environment) == []
    assert world.journal.data_version() == before
    victim = world.runtime.replicas()[0]
    assert victim.pid
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: not world.runtime.driver.alive(victim))
    with world.journal.locks.take(lock_name("staging"), "anna", "promote"):
        assert healing.heal_environment(world.project, world.journal, world.environment) == []


def test_weights_that_somebody_changed_behind_our_back_are_told_and_put_right(world: World) -> None:
    world.version(1)
    world.deploy(1)
    for instance in world.runtime.proxy.instances:
        instance.runtime.set_weights({"v1-1": 3})
        status = environments.status(world.project, world.journal, world.environment)
        assert tuple(map(str, status.differences)) == ("the proxy gives staging-v1-1 weight 3 instead of 100",)
        healing.heal_environment(world.project, world.journal, world.environment)
        assert world.weights() == {"v1-1": 100, "v1-2": 100}


def test_stop_ends_everything_and_the_next_deploy_starts_it_again(world: World) -> None:
    world.version(1)
    world.deploy(1)
    rows = world.runtime.replicas()
    assert len(environments.stop(world.project, world.journal, world.environment)) == 3
    assert not any(world.runtime.driver.alive(r) for r in rows) and not world.runtime.proxy.alive()
    assert healing.heal_environment(world.project, world.journal, world.environment) == []
    status = environments.status(world.project, world.journal, world.environment)
    assert status.stopped is not None and status.differences == () and status.answers == {}
    plan = plans.plan(world.project, world.journal, How.DEPLOY, "staging", 1)
    assert not any("already serves" in warning for warning in plan.warnings)
    world.deploy(1)
    status = environments.status(world.project, world.journal, world.environment)
    assert world.answers() == "1" and status.stopped is None


def test_only_as_many_earlier_versions_stay_warm_as_are_asked_for(world: World) -> None:
    world.change(replicas=1, keep=2)
    for number in (1, 2, 3, 4):
        world.version(number)
        world.deploy(number)
    assert {r.version: r.state for r in world.runtime.replicas()} == {
        2: ReplicaState.WARM,
        3: ReplicaState.WARM,
        4: ReplicaState.READY,
    }


def test_long_request_in_flight_is_answered_by_the_version_that_began_it(world: World) -> None:
    world.change(keep=0, replicas=1)
    world.version(1, delay=1.0)
    world.version(2)
    world.deploy(1)
    with Load(world.port, clients=1, rate=10) as load:
        wait_until(lambda: load.total >= 1, 5)
        world.deploy(2)
        wait_until(lambda: '{"predictions": [2]}' in load.answers, 5)
    assert load.failures == [], world.evidence()
