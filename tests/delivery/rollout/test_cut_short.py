"""Changes that fail or are told to end late, or while they are put back: what serves stays true to the ledger, and
the last good version serves."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from podium.core.delivery.environment import healing, history
from podium.core.delivery.environment import lock as guard
from podium.core.delivery.proxy.proxy import Proxy
from podium.core.delivery.rollout import canary, recovery, undo
from podium.core.delivery.rollout.aliases import AliasProcess
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import CanaryRequest, Deployment, DeploymentState, ReplicaState
from podium.core.domain.rollout import DRAIN, MOVE_ALIASES, SHIFT, VERIFY
from podium.core.errors import Interrupted, PodiumError, Refused, RunFailed, Unreachable
from podium.core.journal import Journal
from podium.core.triggers.jobs import Healing

from tests.delivery.light import Load, World, replace_phase
from tests.delivery.rollout.test_canary import promotion, strategy
from tests.delivery.rollout.test_crash import crash
from tests.runner.scale import scaled
from tests.support import free_port, wait_until


@pytest.fixture
def serving(world: World) -> World:
    """One replica; version 1 serves."""
    world.change(replicas=1)
    world.version(1)
    world.deploy(1)
    return world


@contextmanager
def told_to_end(world: World, when: Callable[[Journal], object], by: signal.Signals = signal.SIGUSR1) -> Iterator[None]:
    """As a worker's step is: a signal that raises Interrupted in the main thread, once `when` holds."""

    def interrupt(*_: object) -> None:
        raise Interrupted("told to end")

    def watch() -> None:
        with Journal.open(world.project.state / "journal.db") as journal:
            while not over.wait(0.005):
                if when(journal):
                    os.kill(os.getpid(), by)
                    return

    over = threading.Event()
    before = signal.signal(by, interrupt)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(by, before)


def at(phase: str) -> Callable[[Journal], object]:
    return lambda journal: any(row.phase == phase for row in journal.ledger.open())


def healed(world: World) -> None:
    wait_until(lambda: not healing.heal_environment(world.project, world.journal, world.environment))


def test_a_verified_version_serves_on_when_the_old_one_is_slow_to_end(world: World) -> None:
    world.change(replicas=1, keep=0)
    world.version(1, stubborn=True)
    world.version(2)
    world.deploy(1)
    with Load(world.port) as load:
        with told_to_end(world, at(VERIFY)), pytest.raises(Interrupted):
            world.deploy(2)
        wait_until(lambda: load.total > 20)
    assert load.failures == [], world.evidence()
    assert world.answers() == "2" and history.serving(world.journal, "staging", "tiny") == 2
    row = world.journal.ledger.history("staging")[0]
    assert (row.state, row.message) == (DeploymentState.SUCCEEDED, "told to end when traffic had moved")
    assert {row.version for row in world.runtime.replicas()} == {2}, "the old one was put away all the same"


def test_told_to_end_when_a_phase_has_just_been_written_it_counts(
    serving: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.version(2)
    write = serving.journal.ledger.phase

    def interrupted_after(number: int, phase: str, data: Any) -> None:
        write(number, phase, data)
        if phase == VERIFY:
            monkeypatch.undo()
            raise Interrupted("told to end")

    monkeypatch.setattr(serving.journal.ledger, "phase", interrupted_after)
    with pytest.raises(Interrupted):
        serving.deploy(2)
    row = serving.journal.ledger.history("staging")[0]
    assert (row.to_version, row.state) == (2, DeploymentState.SUCCEEDED) and serving.answers() == "2"


def test_told_to_end_twice_it_is_the_agent_that_puts_the_old_version_away(world: World) -> None:
    world.change(replicas=1, keep=0)
    world.version(1, stubborn=True)
    world.version(2)
    world.deploy(1)
    again = "told to end: traffic has moved already, so the remaining phases are finished first"
    with (
        told_to_end(world, at(VERIFY)),
        told_to_end(world, lambda _: again in world.said, signal.SIGUSR2),
        pytest.raises(Interrupted),
    ):
        world.deploy(2)
    assert world.said[-1] == "not all phases could be finished; the agent or the next rollout finishes them"
    (row,) = world.journal.ledger.open()
    assert (row.phase, world.answers()) == (VERIFY, "2")
    [line] = recovery.recover(world.project, world.journal)
    assert line.endswith("was finished")
    assert history.serving(world.journal, "staging", "tiny") == 2
    assert [(row.version, row.state) for row in world.runtime.replicas()] == [(2, ReplicaState.READY)]
    assert environments.status(world.project, world.journal, world.environment).differences == ()


def test_a_rollback_whose_traffic_has_moved_is_what_serves(serving: World) -> None:
    serving.version(2, delay=1.5)
    serving.deploy(2)
    with Load(serving.port, clients=1, rate=10) as load:
        wait_until(lambda: load.total >= 1)
        with told_to_end(serving, at(MOVE_ALIASES)), pytest.raises(Interrupted):
            serving.rollback(1)
        wait_until(lambda: '{"predictions": [1]}' in load.answers)
    row = serving.journal.ledger.history("staging")[0]
    assert (row.state, row.message) == (DeploymentState.SUCCEEDED, "told to end when traffic had moved")
    assert history.serving(serving.journal, "staging", "tiny") == 1 and serving.answers() == "1"
    assert serving.journal.quarantine.find("tiny", 2) is not None
    healed(serving)
    assert serving.answers() == "1"
    assert environments.status(serving.project, serving.journal, serving.environment).differences == ()


def test_a_rollback_that_is_told_to_end_while_its_aliases_move_moves_them_all_the_same(
    serving: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.version(2)
    serving.deploy(2)
    serving.project = replace(serving.project, environments={"staging": serving.environment})  # which carries them now
    asked: list[int] = []

    def move(_: AliasProcess, deployment: Deployment) -> list[str]:
        asked.append(deployment.to_version)
        if len(asked) == 1:
            raise Interrupted("told to end")  # as the signal does while the registry is waited for
        return ["alias champion: version 2 → version 1"]

    monkeypatch.setattr(AliasProcess, "move", move)
    with pytest.raises(Interrupted):
        serving.rollback(1)
    row = serving.journal.ledger.history("staging")[0]
    assert asked == [1, 1] and "alias champion: version 2 → version 1" in serving.said
    assert (row.state, row.message) == (DeploymentState.SUCCEEDED, "told to end when traffic had moved")
    assert serving.answers() == "1"


def test_a_redeploy_that_fails_forgets_no_replica(world: World) -> None:
    """What the model needs is down, and the only replica with it; somebody deploys the same version again. When it
    is back, so is the replica."""
    needed = world.project.home / "needed"
    needed.touch()
    world.change(replicas=1)
    world.version(1, needs=str(needed))
    world.deploy(1)
    needed.unlink()
    (victim,) = world.runtime.replicas()
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: not world.runtime.driver.alive(victim))
    with pytest.raises(RunFailed, match="ended while it was starting"):
        world.deploy(1)
    (row,) = world.runtime.replicas()
    assert (row.id, row.weight) == (victim.id, victim.weight)
    needed.touch()

    def serves() -> bool:
        healing.heal_environment(world.project, world.journal, world.environment)
        return world.runtime.replicas()[0].state is ReplicaState.READY

    wait_until(serves, 20)
    healed(world)
    world.runtime.traffic.wait_up(["v1-1"])
    assert world.answers() == "1" and world.weights() == {"v1-1": 100}


def test_told_to_end_while_it_puts_back_it_is_put_back_by_the_next_who_looks(serving: World) -> None:
    serving.version(2, status=500, stubborn=True)
    with told_to_end(serving, lambda _: "undoing what was changed" in serving.said), pytest.raises(Interrupted):
        serving.deploy(2)
    (row,) = serving.journal.ledger.open()
    assert row.data["given_up"]
    [line] = recovery.recover(serving.project, serving.journal)
    assert line.endswith("was undone")
    assert serving.journal.ledger.history("staging")[0].state is DeploymentState.FAILED
    assert serving.answers() == "1" and {row.version for row in serving.runtime.replicas()} == {1}


def test_told_to_end_while_an_interrupted_change_is_settled_nothing_more_begins(world: World) -> None:
    world.change(replicas=1, keep=0)
    world.version(1, stubborn=True)
    for number in (2, 3):
        world.version(number)
    world.deploy(1)
    crash(world, "deploy", 2, "after", SHIFT)
    with told_to_end(world, at(VERIFY)), pytest.raises(Interrupted):
        world.deploy(3)
    assert [(row.to_version, row.state) for row in world.journal.ledger.history("staging")] == [
        (2, DeploymentState.SUCCEEDED),
        (1, DeploymentState.SUCCEEDED),
    ]
    assert world.answers() == "2"


def test_a_canary_that_has_all_traffic_takes_no_more_orders(world: World) -> None:
    world.change(replicas=1)
    with promotion(world, strategy(10, interval=300.0)) as going:
        going.at(10)
        going.request(CanaryRequest.FULL)
        # It is watched for half a second yet.
        wait_until(lambda: at(DRAIN)(going.journal), interval=0.001)
        assert going.status() is None and going.journal.ledger.open()
        with pytest.raises(Refused, match="no canary is running"):
            going.request(CanaryRequest.ABORT)
        assert going.ended() is DeploymentState.SUCCEEDED


def test_to_abort_comes_before_all_traffic(world: World) -> None:
    world.change(replicas=1)
    with promotion(world, strategy(10, interval=300.0)) as going:
        going.at(10)
        with going.journal.transaction():
            canary.request(going.journal, "staging", CanaryRequest.FULL, who="ops")
            canary.request(going.journal, "staging", CanaryRequest.ABORT, who="ops", why="no, wait")
        assert going.ended() is DeploymentState.FAILED
        assert "aborted by ops at 10 %: no, wait" in str(going.error)


def test_fewer_replicas_than_before_leave_none_that_serves_beside_them(world: World) -> None:
    world.change(replicas=3)
    world.version(1)
    world.deploy(1)
    world.change(replicas=2)
    with Load(world.port) as load:
        wait_until(lambda: load.total > 10)
        world.deploy(1)
    assert load.failures == [], world.evidence()
    assert [row.slot for row in world.runtime.replicas()] == ["v1-1", "v1-2"]
    assert world.weights() == {"v1-1": 100, "v1-2": 100}


def test_stopping_waits_for_a_healing_that_has_begun(serving: World) -> None:
    def stop() -> None:
        with Journal.open(serving.project.state / "journal.db") as journal:
            environments.stop(serving.project, journal, serving.environment)

    thread = threading.Thread(target=stop)
    with guard.healing(serving.journal, serving.runtime.directory, "staging") as allowed:
        assert allowed
        thread.start()
        wait_until(lambda: serving.journal.locks.holder(guard.lock_name("staging")))
        time.sleep(0.2)
        assert serving.runtime.replicas() and serving.runtime.proxy.alive()
    thread.join(scaled(20))
    assert serving.runtime.replicas() == [] and not serving.runtime.proxy.alive()


def test_no_change_begins_over_one_that_could_not_be_settled(serving: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever settles it later would take the new one back with it, to the weights from before the old one."""
    for number in (2, 3):
        serving.version(number)
    serving.deploy(2)
    crash(serving, "deploy", 3, "after", SHIFT)
    away = True

    def gone(*_: object) -> None:
        if away:
            raise Unreachable("the engine does not answer")

    weights = undo._weights
    replace_phase(monkeypatch, DRAIN, lambda drain: lambda rollout: (gone(), drain(rollout))[1])
    monkeypatch.setattr(undo, "_weights", lambda *all_: (gone(), weights(*all_)))
    with pytest.raises(Unreachable, match="the interrupted deploy of version 3 could not be finished"):
        serving.rollback(1)
    (row,) = serving.journal.ledger.open()
    assert row.to_version == 3 and serving.journal.quarantine.find("tiny", 2) is None
    away = False
    serving.rollback(1)
    assert serving.journal.ledger.open() == [] and serving.answers() == "1"
    assert history.serving(serving.journal, "staging", "tiny") == 1


def test_a_port_that_could_not_be_taken_is_taken_by_the_next_try(serving: World) -> None:
    """The file alone must not say that the proxy has moved."""
    serving.version(2)
    before = serving.port
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        serving.change(port=other.getsockname()[1])
        with pytest.raises(PodiumError):
            serving.deploy(2)
    assert not serving.runtime.proxy.fits(serving.runtime.traffic.layout())
    serving.deploy(2)
    assert serving.answers() == "2" and serving.port != before


def test_weights_that_change_before_a_new_port_is_taken_do_not_hide_it(serving: World) -> None:
    serving.change(port=free_port())
    serving.runtime.traffic.weigh({row.id: 50 for row in serving.runtime.replicas()})
    assert not serving.runtime.proxy.fits(serving.runtime.traffic.layout())
    serving.runtime.traffic.sync()
    assert serving.answers() == "1" and serving.weights() == {"v1-1": 50}


def test_another_kind_of_driver_takes_nothing_over(serving: World) -> None:
    """It would find none of what runs, and start it all once more."""
    pids = [row.pid for row in serving.runtime.replicas()]
    serving.change(driver="docker")
    for change in (
        lambda: healing.heal_environment(serving.project, serving.journal, serving.environment),
        lambda: serving.deploy(1),
    ):
        with pytest.raises(
            Refused, match=r"was started with driver: process( or \w+)*, and podium\.yaml says docker now"
        ) as caught:
            change()
        assert "set environments.staging.driver to process" in caught.value.hint
    status = environments.status(serving.project, serving.journal, serving.environment)
    serving.change(driver="light")
    assert any("was started with driver: process" in each.words for each in status.differences), status
    assert [row.pid for row in serving.runtime.replicas()] == pids and serving.answers() == "1"


def test_one_environment_that_cannot_be_looked_after_keeps_no_other_from_it(serving: World) -> None:
    lock = serving.runtime.directory / ".healing"
    lock.unlink(missing_ok=True)
    lock.mkdir()  # as a file of somebody else's would, it cannot be opened
    said: list[str] = []
    healing = Healing(said.append)
    healing(serving.project, serving.journal)
    healing(serving.project, serving.journal)
    (line,) = said
    assert line.startswith("staging: ") and ".healing" in line
    serving.journal.ledger.begin(
        environment="gone",
        how=serving.order("deploy", 1).how,
        model="tiny",
        to_version=1,
        from_version=None,
        who="anna",
        why="",
        run_id=None,
        commit="",
        digest="",
        strategy="rolling",
        forced=False,
    )
    row = serving.journal.ledger.begin(
        environment="staging",
        how=serving.order("deploy", 2).how,
        model="tiny",
        to_version=2,
        from_version=1,
        who="anna",
        why="",
        run_id=None,
        commit="",
        digest="",
        strategy="rolling",
        forced=False,
    )
    assert len(recovery.recover(serving.project, serving.journal)) == 1
    assert serving.journal.ledger.get(row.id).state is DeploymentState.RUNNING
    lock.rmdir()
    assert healing(serving.project, serving.journal) is None and said[-1] == "staging: healing works again"
    [settled] = recovery.recover(serving.project, serving.journal)
    assert settled.endswith("was undone")


def test_what_could_not_be_cleaned_up_is_what_it_is_and_goes_the_next_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process cannot be kept, stopped: none may stand in the journal as one that is."""
    world.change(replicas=1, keep=0)
    for number in (1, 2, 3):
        world.version(number)
    world.deploy(1)

    def reset(*_: object) -> None:
        raise Unreachable("the proxy does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(Proxy, "remove", reset)
        deployment = world.deploy(2)
    assert "earlier versions were not all cleaned up" in deployment.message
    assert {row.state for row in world.runtime.replicas(1)} == {ReplicaState.WARM}
    healing.heal_environment(world.project, world.journal, world.environment)
    assert environments.status(world.project, world.journal, world.environment).differences == ()
    world.deploy(3)
    assert {row.version for row in world.runtime.replicas()} == {3}
