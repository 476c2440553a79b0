"""The process of a change is killed while its containers come and go: nothing stays that nobody knows of, and not
one request is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.delivery.environment import healing, history
from podium.core.delivery.rollout import phases, recovery
from podium.core.delivery.rollout.rollout import Rollout
from podium.core.delivery.status import status
from podium.core.domain.delivery import DeploymentState
from podium.core.domain.rollout import CLEAN_UP, SHIFT, START, WAIT_HEALTHY

from tests.delivery.docker.docked import Docked
from tests.delivery.light import Load, Verb, replace_phase
from tests.delivery.rollout.test_crash import crash, settled
from tests.support import wait_until

pytestmark = pytest.mark.in_turn(12, of="containers")


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Docked(tmp_path, engine, replicas=1)
    yield made
    made.close()


@pytest.mark.in_turn(1)
@pytest.mark.parametrize(
    ("when", "phase"),
    [
        ("spawn", "-"),
        ("before", START),
        ("after", WAIT_HEALTHY),
        ("before", SHIFT),
        ("after", SHIFT),
        ("before", CLEAN_UP),
    ],
)
def test_a_deploy_killed_at_a_phase_is_undone_or_finished(docked: Docked, when: str, phase: str) -> None:
    docked.version(1)
    docked.version(2)
    docked.deploy(1)
    with Load(docked.port, rate=100) as load:
        crash(docked, "deploy", 2, when, phase)
        [line] = recovery.recover(docked.project, docked.journal)
    assert load.failures == [], docked.evidence()
    finished = phases.reached(phase, SHIFT) and (phase, when) != (SHIFT, "before")
    assert line.endswith("was finished" if finished else "was undone")
    assert history.serving(docked.journal, "staging", docked.project.mlflow.model) == (
        2 if finished else 1
    ) and docked.answers() == ("2" if finished else "1")
    settled(docked)
    # The engine lists what it removes until it is done.
    wait_until(
        lambda: docked.things() == {"containers": 4 if finished else 3, "networks": 1, "volumes": 0},
        what=str([(each["Names"], each["Status"]) for each in docked.containers()]),
    )


def test_a_first_deploy_killed_leaves_nothing(docked: Docked) -> None:
    docked.version(1)
    crash(docked, "deploy", 1, "after", WAIT_HEALTHY)
    assert docked.things()["containers"] == 3
    recovery.recover(docked.project, docked.journal)
    assert docked.things() == {"containers": 0, "networks": 0, "volumes": 0} and docked.runtime.replicas() == []


def test_a_replica_that_was_killed_comes_back_and_one_that_lost_its_address_is_followed(docked: Docked) -> None:
    docked.change(replicas=2)
    docked.version(1)
    docked.deploy(1)
    one, other = docked.runtime.replicas()
    with Load(docked.port, rate=100) as load:
        docked.engine.api.kill(one.container, "SIGKILL")
        wait_until(lambda: settles(docked), 20)
        # Somebody else gets its address while it is stopped: it is made anew at another one, and the proxy follows.
        docked.engine.api.stop(other.container, timeout=1)
        thief = squat(docked, other.address)
        wait_until(lambda: settles(docked), 20)
        moved = next(row for row in docked.runtime.replicas() if row.id == other.id)
        assert moved.address != other.address
        docked.engine.api.remove_container(thief, force=True)
        # One that is removed by hand is made anew.
        docked.engine.api.remove_container(one.container, force=True)
        wait_until(lambda: settles(docked), 20)
        wait_until(lambda: load.total > 300)
    assert load.failures == [], docked.evidence()
    assert docked.things()["containers"] == 4 and len({row.container for row in docked.runtime.replicas()}) == 2


def settles(docked: Docked) -> bool:
    # What was done to a container behind our back is seen when the last look at the engine is forgotten.
    docked.driver.place.listing.forget()
    done = healing.heal_environment(docked.project, docked.journal, docked.environment)
    return not done and status.status(docked.project, docked.journal, docked.environment).differences == ()


def squat(docked: Docked, address: str) -> str:
    """A container of nobody's at that address."""
    [network] = docked.engine.api.networks(filters={"label": docked.mark})
    image = docked.containers("proxy")[0]["ImageID"]
    api = docked.engine.api
    wanted = api.create_networking_config({network["Name"]: api.create_endpoint_config(ipv4_address=address)})
    made = api.create_container(
        image,
        ["sleep", "60"],
        networking_config=wanted,
        host_config=api.create_host_config(network_mode=network["Name"]),
    )["Id"]
    api.start(made)
    assert docked.engine.inspect(made)["NetworkSettings"]["Networks"][network["Name"]]["IPAddress"] == address
    return made


def test_an_engine_that_is_away_leaves_a_failed_change_to_whoever_looks_next(
    docked: Docked, monkeypatch: pytest.MonkeyPatch
) -> None:
    from podium.core.containers.engine.errors import EngineAway
    from podium.core.delivery.drivers.docker.place import EngineObjects

    docked.version(1)
    docked.version(2)
    docked.deploy(1)

    def gone(*_: object) -> None:
        raise EngineAway("the engine is away")

    def cut(real: Verb) -> Verb:
        def start(rollout: Rollout) -> None:
            real(rollout)
            away.setattr(EngineObjects, "find", gone)
            raise EngineAway("the engine is away")

        return start

    with pytest.MonkeyPatch.context() as away:
        replace_phase(monkeypatch, START, cut)
        with pytest.raises(EngineAway):
            docked.deploy(2)
        assert recovery.recover(docked.project, docked.journal) == [] and len(docked.journal.ledger.open()) == 1
    [line] = recovery.recover(docked.project, docked.journal)
    assert line.endswith("was undone") and docked.journal.ledger.history("staging")[0].state is DeploymentState.FAILED
    settled(docked)
    assert docked.things()["containers"] == 3 and docked.answers() == "1"
