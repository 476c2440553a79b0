"""One environment on a Swarm: up, over and back with traffic from outside; replicas leave a paused node one after the
other, and a drained one all at once; a node is lost in the middle of a promotion; what is wrong is said."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.delivery.environment import observed
from podium.core.delivery.environment.healing import heal_environment
from podium.core.delivery.environment.replica_logs import LogFollower
from podium.core.delivery.environment.replica_shell import open_shell
from podium.core.delivery.repair import plan as repair
from podium.core.delivery.rollout import phases
from podium.core.delivery.status import status as environments
from podium.core.domain.repair import DifferenceKind
from podium.core.errors import Refused, RunFailed, UsageError

from tests.conftest import required
from tests.delivery.docker.test_signed_docker import sign
from tests.delivery.hosts.hosted import Changing, Outside
from tests.delivery.signing import let_anna_sign
from tests.delivery.swarm.swarmed import Swarmed
from tests.runner.scale import scaled
from tests.servers.nodes import Node
from tests.servers.swarm import Swarm
from tests.support import wait_until

pytestmark = pytest.mark.timeout(900)
CLIENTS = 4


@pytest.fixture
def swarmed(tmp_path: Path, swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Swarmed]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Swarmed(tmp_path, swarm, health_timeout=scaled(60.0))
    yield made
    made.close()
    for node in swarm.nodes:
        swarm.set_availability(node, "active")


def seen(swarmed: Swarmed):
    return environments.status(swarmed.project, swarmed.journal, swarmed.environment)


def whole(swarmed: Swarmed, version: int) -> bool:
    """Tells whether all replicas of the version serve, and the proxy knows where."""
    rows = [row for row in swarmed.journal.replicas.of("staging") if row.version == version]
    there = swarmed.placed()
    ready = len(rows) == swarmed.environment.replicas and all(row.weight and row.id in there for row in rows)
    # That something was started again stays to be read for a while.
    return ready and not [each for each in seen(swarmed).differences if each.kind is not DifferenceKind.RESTARTED]


def traffic(swarmed: Swarmed) -> Outside:
    """Requests of several clients to the manager, where the proxy is."""
    return Outside(swarmed, hosts=[swarmed.nodes[0]] * CLIENTS)


def test_it_is_seen_kept_right_and_stopped(swarmed: Swarmed) -> None:
    swarmed.change(replicas=2, constraints=("node.hostname != n3",))
    for number in (1, 2):
        swarmed.version(number)
    swarmed.deploy(1)
    swarmed.deploy(2)
    assert swarmed.answers() == "2" and set(swarmed.placed().values()) <= {"n1", "n2"}
    for row in swarmed.journal.replicas.of("staging"):
        [service] = [each for each in swarmed.services().values() if each.id == row.container]
        assert service.spec["EndpointSpec"]["Mode"] == "dnsrr" and not service.spec["EndpointSpec"].get("Ports")
    assert seen(swarmed).differences == ()
    _it_is_looked_at(swarmed)
    _it_is_repaired(swarmed)
    environments.stop(swarmed.project, swarmed.journal, swarmed.environment)
    wait_until(lambda: swarmed.left() == [], 60, what="nothing of it is left on any node")


def _it_is_looked_at(swarmed: Swarmed) -> None:
    snapshot = observed.snapshot(swarmed.runtime, fresh=True)
    assert snapshot is not None and snapshot.message == ""
    replicas = {each.replica: each for each in snapshot.containers if each.role == "replica"}
    rows = {row.id: row for row in swarmed.journal.replicas.of("staging")}
    assert replicas.keys() == rows.keys()
    placed = swarmed.placed()
    for name, each in replicas.items():
        assert (each.id, each.address, each.node) == (rows[name].container, rows[name].address, placed[name])
        assert each.state == "running" and each.service
    assert {each.role for each in snapshot.containers} == {"replica", "proxy", "relay"}
    with pytest.raises(Refused, match="is a task of a Swarm on n"):
        open_shell(swarmed.runtime, next(iter(rows)))
    follower = LogFollower(swarmed.project, swarmed.journal, swarmed.environment)
    try:
        wait_until(lambda: {name for name, _ in _read(follower)} == rows.keys(), 30, what="all have said something")
    finally:
        follower.close()


def _read(follower: LogFollower):
    follower.catch_up()
    return follower.read(all=True)


def _it_is_repaired(swarmed: Swarmed) -> None:
    """Somebody removed the service of a replica, and the proxy's door."""
    from podium.core.containers.engine import swarm as services

    row = next(each for each in swarmed.journal.replicas.of("staging") if each.weight)
    services.remove(swarmed.engines[0], row.container)
    [door] = swarmed.containers("relay")
    swarmed.engine.api.remove_container(door["Id"], force=True)
    swarmed.swarm_driver.swarm.services.forget()
    found = seen(swarmed).differences
    assert DifferenceKind.GONE in {each.kind for each in found if each.subject == row.id}, found
    assert repair.carry_out(swarmed.runtime, who="anna")["left"] == []
    assert swarmed.answers() == "2"
    assert seen(swarmed).differences == ()


@pytest.mark.in_turn(1, of="long stories")
def test_up_over_and_back_and_off_a_node_without_losing_a_request(swarmed: Swarmed) -> None:
    swarmed.agent.start()
    for number in (1, 2):
        swarmed.version(number)
    swarmed.deploy(1)
    assert len(set(swarmed.placed().values())) == 3, "they are spread"
    assert all(len(each.tasks) == 1 for each in swarmed.services().values()), "none was started a second time for that"
    with traffic(swarmed) as load:
        _counts(load)
        swarmed.deploy(2)
        assert swarmed.answers() == "2"
        back = swarmed.rollback(1)
        _counts(load)
        assert "start_seconds" not in back.data, "what was warm had nothing to start"
        _leaves(swarmed, swarmed.nodes[1])
        _counts(load)
        assert load.failures == [], (load.failures[:5], swarmed.said[-20:])
        # The Swarm ends all that is there at once, and starts it elsewhere: what was asked is answered first.
        swarmed.swarm.set_availability(swarmed.nodes[2], "drain")
        wait_until(lambda: whole(swarmed, 1) and not swarmed.on(swarmed.nodes[2]), 120, what="it is empty")
        _counts(load)
    assert load.failures == [], (load.failures[:5], swarmed.said[-20:])
    assert set(swarmed.placed().values()) == {"n1"}


def _counts(load: Outside) -> None:
    before = load.total
    wait_until(lambda: load.total > before + 60)


def _leaves(swarmed: Swarmed, node: Node) -> None:
    assert swarmed.on(node)
    swarmed.swarm.set_availability(node, "pause")
    wait_until(lambda: not swarmed.on(node), 120, what="nothing runs there")
    wait_until(lambda: whole(swarmed, 1), 120, what="all serve elsewhere")
    names = {row.id for row in swarmed.journal.replicas.of("staging")}
    assert sorted(names) == sorted(each.labels["podium.replica"] for each in swarmed.services().values())


@pytest.mark.in_turn(1, of="long stories")
def test_a_node_is_lost_in_the_middle_of_a_promotion(swarmed: Swarmed) -> None:
    swarmed.agent.start()
    for number in (1, 2):
        swarmed.version(number)
    swarmed.deploy(1)
    victim = swarmed.nodes[2]
    assert swarmed.on(victim)
    with traffic(swarmed) as load:
        _counts(load)
        changing = Changing(swarmed, "promotion", 2)
        wait_until(lambda: any(row.version == 2 for row in swarmed.journal.replicas.of("staging")))
        harmed = time.time()
        victim.kill()
        try:
            changing.join()
            serving = 2 if changing.error is None else 1
            wait_until(lambda: whole(swarmed, serving), 180, what="all its replicas serve on the nodes that are left")
            assert set(swarmed.placed().values()) <= {"n1", "n2"}
            _counts(load)
        finally:
            victim.boot()
        wait_until(lambda: swarmed.swarm.answers(victim), 60, what="it is back")
        swarmed.version(3)
        swarmed.deploy(3)
        where = [name for row, name in swarmed.placed().items() if row.startswith("staging-v3-")]
        assert sorted(where) == ["n1", "n2", "n3"], "the node that is empty does not get all of them"
        _counts(load)
    # What it was answering when it was lost is lost with it: each client has one request at a time.
    assert len(load.failures) <= CLIENTS, load.failures
    assert all(each[1] <= harmed for each in load.failures), (harmed, load.failures)
    assert swarmed.answers() == "3" and changing.error is None, changing.error


@pytest.mark.in_turn(1, of="short stories on a Swarm")
def test_a_rollback_does_without_what_a_lost_node_had(swarmed: Swarmed) -> None:
    """And without what nothing can be started in the place of: the other nodes take no new tasks."""
    for number in (1, 2):
        swarmed.version(number)
        swarmed.deploy(number)
    victim = swarmed.nodes[2]
    lost = {row for row in swarmed.on(victim) if row.startswith("staging-v1-")}
    assert len(lost) == 1
    with traffic(swarmed) as load:
        for node in swarmed.nodes[:2]:
            swarmed.swarm.set_availability(node, "pause")
        victim.kill()
        killed = time.time()
        try:
            wait_until(lambda: {row.id for row in _displaced(swarmed, 1)} == lost, 60, what="the node is given up")
            done = swarmed.rollback(1)
            assert swarmed.answers() == "1" and "start_seconds" not in done.data, done
            _counts(load)
        finally:
            victim.boot()
            for node in swarmed.nodes[:2]:
                swarmed.swarm.set_availability(node, "active")
    assert all(each[1] <= killed for each in load.failures) and len(load.failures) <= CLIENTS, load.failures
    swarmed.agent.start()
    wait_until(lambda: whole(swarmed, 1), 120, what="what was lost serves again")


def _displaced(swarmed: Swarmed, version: int):
    swarmed.swarm_driver.swarm.services.forget()
    return swarmed.runtime.displaced(version)


@pytest.mark.in_turn(1, of="short stories on a Swarm")
def test_only_the_image_that_was_signed_is_started(swarmed: Swarmed, tmp_path: Path) -> None:
    required("" if shutil.which("ssh-keygen") else "ssh-keygen")
    swarmed.change(verify="required", replicas=1)
    keys = tmp_path / "keys"
    keys.mkdir()
    let_anna_sign(swarmed, keys)
    swarmed.version(1)
    with pytest.raises(Refused, match="nobody has signed it"):
        swarmed.deploy(1)
    assert sign(swarmed, 1) == 0
    with pytest.raises(Refused, match=r"its image \w+ is not what was signed"):
        swarmed.deploy(1)  # it was not known yet when the version was signed
    assert swarmed.services() == {}
    assert sign(swarmed, 1) == 1
    swarmed.deploy(1)
    [service] = swarmed.services().values()
    assert service.image == swarmed.journal.images.of(swarmed.runtime.model, 1)[0].image_id
    assert swarmed.answers() == "1"


@pytest.mark.in_turn(1, of="short stories on a Swarm")
def test_what_is_wrong_is_said(swarmed: Swarmed) -> None:
    swarmed.version(1)
    given = swarmed.environment
    swarmed.change(host=swarmed.nodes[1].address, nodes=())
    with pytest.raises(UsageError, match="is no manager of a Swarm: it is a worker"):
        swarmed.runtime.driver.prepare(1)
    swarmed.change(host=given.host)
    swarmed.swarm.set_availability(swarmed.nodes[0], "drain")
    with pytest.raises(Refused, match="the manager n1, where the proxy belongs, has the availability `drain`"):
        swarmed.runtime.driver.prepare(1)
    swarmed.swarm.set_availability(swarmed.nodes[0], "active")
    swarmed.change(nodes=given.nodes, constraints=("node.labels.disk == ssd",))
    with pytest.raises(RunFailed, match="no suitable node"):
        swarmed.deploy(1)
    swarmed.change(constraints=(), nodes=())
    swarmed.deploy(1)
    assert set(swarmed.placed().values()) == {"n1"}, "the others have no image, and nobody brings it there"
    assert any("n2, n3 cannot get the image" in line for line in swarmed.said), swarmed.said
    assert json.loads(swarmed.ask(swarmed.nodes[0])[1])["version"] == "1"
    _the_door_is_closed_for_a_moment(swarmed)


def _the_door_is_closed_for_a_moment(swarmed: Swarmed) -> None:
    """Its container is started again, with another network: the proxy in the old one is of no use to anybody."""
    [door] = swarmed.containers("relay")
    swarmed.agent.claim()
    heal_environment(swarmed.project, swarmed.journal, swarmed.environment)
    swarmed.engine.api.restart(door["Id"], timeout=1)
    done = heal_environment(swarmed.project, swarmed.journal, swarmed.environment)
    assert "staging: the proxy was gone; started it again" in done
    assert swarmed.answers() == "1"
