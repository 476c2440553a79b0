"""What people do to containers by hand: noticed by events, shown by status, put right by repair with traffic on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from docker.types import IPAMConfig, IPAMPool
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.delivery.drivers import StartedReplica
from podium.core.delivery.drivers.docker.create import EngineNames
from podium.core.delivery.drivers.docker.driver import DockerDriver
from podium.core.delivery.environment import healing
from podium.core.delivery.repair import plan as repair
from podium.core.delivery.rollout import phases
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import EnvironmentStatus, ReplicaState
from podium.core.domain.repair import DifferenceKind
from podium.core.errors import Refused
from podium.core.identity.account import whoami
from podium.core.identity.processes import started_at
from podium.core.triggers.containers import EnvironmentWatchers
from podium.core.triggers.jobs import EndingHalted

from tests.delivery.docker.docked import Docked
from tests.delivery.light import Load
from tests.servers.pausing import pause
from tests.support import wait_until

NOTICED = 5.0


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Docked(tmp_path, engine)
    yield made
    made.close()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Docked]:
    """With the eyes of an agent, and none of its healing. One for all these tests: each leaves it mended."""
    made = Docked(tmp_path_factory.mktemp("watched"), engine)
    job = EnvironmentWatchers(made.said.append)
    try:
        made.version(1)
        made.deploy(1)
        made.journal.agent.claim(os.getpid(), started_at(os.getpid()) or 0.0, whoami())
        job(made.project, made.journal)
        wait_until(lambda: made.journal.snapshots.get("staging"), what="the first snapshot")
        yield made
    finally:
        job.close()
        made.close()


def status(docked: Docked) -> EnvironmentStatus:
    return environments.status(docked.project, docked.journal, docked.environment)


def kinds(docked: Docked) -> set[tuple[DifferenceKind, str]]:
    return {(each.kind, each.subject) for each in status(docked).differences}


def picture_says(docked: Docked, test: Callable[[dict[str, str]], bool], within: float = NOTICED) -> None:
    """Until the snapshot's containers, as {name: state}, pass."""

    def passes() -> bool:
        snapshot = docked.journal.snapshots.get("staging")
        return snapshot is not None and test({each.replica or each.role: each.state for each in snapshot.containers})

    wait_until(passes, within, what=str(docked.journal.snapshots.get("staging")))


def repaired(docked: Docked, remove: list[str] | None = None) -> None:
    # What was sent to a replica that is paused is answered when it goes on: nobody waits here for requests to get
    # through before.
    with Load(docked.port) as load:
        assert repair.carry_out(docked.runtime, who="anna", remove=remove)["left"] == []
        seen = load.total
        wait_until(lambda: load.total > seen + 20)
    assert load.failures == [], docked.evidence()
    # Where an agent follows, its snapshot of the engine comes a moment after what was done there.
    wait_until(lambda: status(docked).differences == (), NOTICED, what=str(status(docked).differences))
    assert {row.state for row in docked.runtime.replicas(1)} == {ReplicaState.READY}


@pytest.mark.in_turn(2)
@pytest.mark.parametrize("how", ["kill", "stop", "pause", "remove"])
def test_a_replica_that_somebody_ended_is_noticed_shown_and_mended(watched: Docked, how: str) -> None:
    first, second = watched.runtime.replicas()
    api = watched.engine.api
    do = {
        "kill": lambda: api.kill(first.container),
        "stop": lambda: api.stop(first.container, timeout=1),
        "pause": lambda: pause(api, first.container),
        "remove": lambda: api.remove_container(first.container, force=True),
    }[how]
    do()
    state = {"kill": "exited", "stop": "exited", "pause": "paused", "remove": None}[how]
    picture_says(watched, lambda seen: seen.get(first.id) == state and seen.get(second.id) == "running")
    kind = {
        "kill": DifferenceKind.STOPPED,
        "stop": DifferenceKind.STOPPED,
        "pause": DifferenceKind.PAUSED,
        "remove": DifferenceKind.GONE,
    }[how]
    wait_until(lambda: {(kind, first.id), (DifferenceKind.MISSING, "staging")} <= kinds(watched), 1.0)
    words = next(each.words for each in status(watched).differences if each.kind is kind)
    assert {"kill": "exit code 137", "stop": "exit code", "pause": "is paused", "remove": "its container was removed"}[
        how
    ] in words
    repaired(watched)


def test_a_proxy_that_somebody_removed_or_paused_comes_back(watched: Docked) -> None:
    def remove(container: str) -> None:
        watched.engine.api.remove_container(container, force=True)

    def proxies() -> list[str]:
        snapshot = watched.journal.snapshots.get("staging")
        return (
            sorted(each.state for each in snapshot.containers if each.role == names.PROXY_ROLE)
            if snapshot is not None
            else []
        )

    def freeze(container: str) -> None:
        pause(watched.engine.api, container)

    for do, words, state in ((freeze, "is paused", ["paused"]), (remove, "does not run", [])):
        for number in (1, 2, 0):
            called = [watched.driver.place.called.proxy(each) for each in ([number] if number else [1, 2])]
            for name in called:
                do(name)
            wait_until(
                lambda state=state, called=called: (
                    proxies() == sorted([*state * len(called), *["running"] * (2 - len(called))])
                ),
                NOTICED,
            )
            told = f"instance {number} of the proxy {words}" if number else f"the proxy {words}"
            wait_until(lambda told=told: told in map(str, status(watched).differences), what=told)
            assert number == 0 or status(watched).proxy_alive
            assert repair.carry_out(watched.runtime, who="anna")["left"] == [] and watched.answers() == "1"
            wait_until(lambda: proxies() == ["running", "running"], NOTICED)


def test_a_proxy_that_is_stopped_in_its_container_is_taken_out(watched: Docked) -> None:
    """The engine goes on saying that it runs. What listens in it is known by its socket, and belongs to this account."""
    name = watched.driver.place.called.proxy(2)
    before = watched.engine.inspect(name)["Id"]
    listens = psutil.Process(watched.engine.inspect(name)["State"]["Pid"])
    inside = [listens, *listens.children(recursive=True)]
    said: list[str] = []
    job = EndingHalted(said.append)
    watched.engine.api.kill(name, "STOP")

    def ended() -> bool:
        job(watched.project, watched.journal)
        return bool(said)

    wait_until(ended, 20)
    assert said == ["staging: instance 2 of the proxy was stopped by a signal and answered nobody; ended it"]
    # Until the kernel has taken its socket away, it gives connections to what is ending.
    wait_until(lambda: not any(each.is_running() for each in inside), 20, what="all of its processes are gone")
    assert {watched.answers() for _ in range(40)} == {"1"}

    def healed() -> bool:  # the engine notices a moment later that it ended, and then the agent's next second mends it
        healing.heal_environment(watched.project, watched.journal, watched.environment)
        return watched.runtime.proxy.whole() and len(watched.runtime.proxy.readings()) == 2

    wait_until(healed, 20)
    assert watched.engine.inspect(name)["Id"] == before or watched.engine.inspect(name)["State"]["Running"]


def test_a_container_made_by_hand_is_told_and_removed_only_when_it_was_shown(watched: Docked, shell_image: str) -> None:
    labels = {**EngineNames(watched.project, "staging").labels(names.REPLICA_ROLE).all(), names.REPLICA: "by-hand"}
    api = watched.engine.api
    made = api.create_container(
        shell_image, ["sleep", "1000"], labels=labels, name=f"podium-test-by-hand-{os.getpid()}"
    )["Id"]
    api.start(made)
    picture_says(watched, lambda seen: seen.get("by-hand") == "running")
    name = f"podium-test-by-hand-{os.getpid()}"
    wait_until(lambda: kinds(watched) == {(DifferenceKind.STRAY, name)}, 1.0)
    plan = repair.plan(watched.project, watched.journal, watched.environment.name)
    assert plan.steps[0] == f"remove the container {name}" and "will be removed" in plan.warnings[0]
    assert plan.arguments == {"remove": name}
    assert repair.carry_out(watched.runtime, who="anna")["left"], "nobody agreed to that"
    repaired(watched, remove=[name])
    assert [each["Id"] for each in watched.containers() if each["Id"] == made] == []


def test_a_replica_off_its_network_is_connected_again(watched: Docked) -> None:
    first = watched.runtime.replicas()[0]
    network = EngineNames(watched.project, "staging").of()
    watched.engine.api.disconnect_container_from_network(first.container, network)
    wait_until(lambda: (DifferenceKind.NETWORK, first.id) in kinds(watched), NOTICED, what="an event of a network")
    # Without traffic: what was underway to it hangs until it times out, as no packet says that it is gone.
    assert repair.carry_out(watched.runtime, who="anna")["left"] == [] and watched.answers() == "1"
    assert network in watched.engine.inspect(first.container)["NetworkSettings"]["Networks"]


def healed(docked: Docked, line: str) -> bool:
    """What containers there are is asked once a second."""
    docked.said += healing.heal(docked.runtime)
    return line in docked.said


@pytest.mark.parametrize("rows", ["serving", "kept warm"])
def test_nobody_gets_the_address_of_a_replica_that_is_cut_off_and_the_agent_connects_it(
    docked: Docked, rows: str
) -> None:
    for version in (1, 2):
        docked.version(version)
    docked.deploy(1)
    first = docked.runtime.replicas(1)[0]
    network = docked.engine.inspect(first.container)["HostConfig"]["NetworkMode"]
    docked.engine.api.disconnect_container_from_network(first.container, network)
    if rows == "kept warm":
        docked.deploy(2)
        assert first.address not in {row.address for row in docked.runtime.replicas(2)}
    wait_until(lambda: healed(docked, f"staging: {first.id} was cut off from its network; connected it again"))
    assert docked.runtime.driver.current_address(first) == first.address
    assert status(docked).differences == ()
    if rows == "kept warm":
        docked.rollback(1)
        with Load(docked.port) as load:
            wait_until(lambda: load.total > 40)
        assert all("1" in answer for answer in load.answers) and load.failures == []


def test_one_that_is_cut_off_while_it_starts_is_connected(docked: Docked, monkeypatch: pytest.MonkeyPatch) -> None:
    started = DockerDriver._started
    cut: list[str] = []

    def then_cut(driver: DockerDriver, container: str, image: str) -> StartedReplica:
        made = started(driver, container, image)
        if not cut:
            cut.append(container)
            network = docked.engine.inspect(container)["HostConfig"]["NetworkMode"]
            docked.engine.api.disconnect_container_from_network(container, network)
        return made

    monkeypatch.setattr(DockerDriver, "_started", then_cut)
    docked.version(1)
    docked.deploy(1)
    assert cut and {row.state for row in docked.runtime.replicas(1)} == {ReplicaState.READY}


def test_a_replica_whose_address_somebody_has_gets_another_one(docked: Docked, shell_image: str) -> None:
    docked.version(1)
    docked.deploy(1)
    first = docked.runtime.replicas(1)[0]
    network = docked.engine.inspect(first.container)["HostConfig"]["NetworkMode"]
    docked.engine.api.disconnect_container_from_network(first.container, network)
    api = docked.engine.api
    stranger = api.create_container(shell_image, ["sleep", "600"], networking_config=None)["Id"]
    try:
        api.start(stranger)
        api.connect_container_to_network(stranger, network, ipv4_address=first.address)
        wait_until(lambda: healed(docked, f"staging: {first.id} was cut off from its network; connected it again"))
        row = docked.runtime.replicas(1)[0]
        assert row.address != first.address and docked.runtime.driver.current_address(row) == row.address
        wait_until(lambda: all(stat.up for stat in docked.runtime.proxy.stats() if stat.kind == "server"))
    finally:
        api.remove_container(stranger, force=True)


def test_a_network_that_somebody_removed_is_made_again_whatever_its_range(docked: Docked) -> None:
    """Its addresses are others then, and none of the old ones may be asked for."""
    docked.version(1)
    docked.deploy(1)
    api, rows = docked.engine.api, docked.runtime.replicas(1)
    network = docked.engine.inspect(rows[0].container)["HostConfig"]["NetworkMode"]
    for each in list(api.inspect_network(network)["Containers"]):
        api.disconnect_container_from_network(each, network, force=True)
    subnet = api.inspect_network(network)["IPAM"]["Config"][0]["Subnet"]
    api.remove_network(network)
    stranger = api.create_network("podium-test-stranger", ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]))["Id"]
    try:
        for row in rows:
            wait_until(
                lambda row=row: healed(docked, f"staging: {row.id} was cut off from its network; connected it again")
            )
        wait_until(lambda: not healing.heal(docked.runtime) and status(docked).differences == (), 30)
        wait_until(lambda: all(stat.up for stat in docked.runtime.proxy.stats() if stat.kind == "server"))
        with Load(docked.port) as load:
            wait_until(lambda: load.total > 40)
        assert load.failures == []
    finally:
        api.remove_network(stranger)


def test_without_an_agent_a_status_looks_for_itself_and_a_change_under_way_is_left_alone(docked: Docked) -> None:
    docked.version(1)
    docked.deploy(1)
    first = docked.runtime.replicas()[0]
    docked.engine.api.kill(first.container)
    wait_until(lambda: (DifferenceKind.STOPPED, first.id) in kinds(docked), 2.0)
    assert docked.journal.snapshots.get("staging") is None
    with docked.journal.locks.take("environment staging", "ben", "a deploy"), pytest.raises(Refused, match="ben"):
        repair.carry_out(docked.runtime, who="anna")


def test_the_only_replica_is_restarted_with_no_request_lost(docked: Docked) -> None:
    docked.change(replicas=1)
    docked.version(1)
    docked.deploy(1)
    [row] = docked.runtime.replicas()
    name = docked.engine.inspect(row.container)["Name"].lstrip("/")
    plan = repair.plan_restart(docked.project, docked.journal, docked.environment.name, replica=name)
    assert plan.arguments == {"restart": row.id} and len(plan.steps) == 5
    before = docked.engine.inspect(row.container)["State"]["StartedAt"]
    with Load(docked.port) as load:
        wait_until(lambda: load.total > 20)
        repair._restart(docked.runtime, row.id, who="anna")
        repair._restart(docked.runtime, "proxy", who="anna")
        seen = load.total
        wait_until(lambda: load.total > seen + 20)
    assert load.failures == [], docked.evidence()
    [after] = docked.runtime.replicas()
    assert after.container == row.container and docked.engine.inspect(row.container)["State"]["StartedAt"] != before
    assert status(docked).differences == () and len(docked.containers("replica")) == 1
