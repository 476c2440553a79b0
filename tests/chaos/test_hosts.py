"""Several hosts, of which one is killed, cut off, frozen and brought back in the middle of a promotion, a canary or a
rollback: nobody who asks another host loses a request, all hosts serve one version afterwards, and one that was cut off
during a rollback does not go on serving what was taken back.

Which host it is and when comes from the seed; `PODIUM_CHAOS_SEED=… PODIUM_CHAOS_HOSTS=… pytest tests/chaos/test_hosts.py`
repeats it. One round is drawn; three have each kind of fault and of change once; `make soak` has 30.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

import pytest
from podium.core.delivery.rollout import phases
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import ReplicaState
from podium.core.domain.project import Strategy
from podium.core.errors import PodiumError

from tests.delivery.hosts.hosted import Changing, Hosted, Outside
from tests.runner import turns
from tests.runner.scale import scaled
from tests.servers.nodes import Node, Nodes
from tests.support import wait_until

ROUNDS = int(os.environ.get("PODIUM_CHAOS_HOSTS", "1"))
# Each process of one run has to draw the same rounds (tests/runner/turns.py).
SEED = int(os.environ.get("PODIUM_CHAOS_SEED") or os.environ.get(turns.SEED) or random.randrange(1_000_000))
FAULTS: dict[str, tuple[Callable[[Node], None], Callable[[Node], None]]] = {
    "cut off": (Node.cut, Node.mend),
    "frozen": (Node.freeze, Node.thaw),
    "killed": (Node.kill, Node.boot),
}
CHANGES = ("promotion", "canary", "rollback")
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def world(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    made = Hosted(
        tmp_path_factory.mktemp("hosts"),
        nodes,
        lease=scaled(12.0),  # who renews it shares the machine with all that the test does
        health_timeout=scaled(60.0),
        strategy=Strategy(drain=2.0),
    )
    made.agent.start()
    for number in (1, 2):
        made.version(number)
    made.deploy(1)
    made.deploy(2)
    yield made
    made.close()


def rounds() -> list[tuple[str, str, int]]:
    """In each round another kind of fault and of change, so that three of them have each once."""
    chosen = random.Random(SEED)
    faults, changes = [*FAULTS], [*CHANGES]
    chosen.shuffle(faults)
    chosen.shuffle(changes)
    return [(faults[n % 3], changes[(n + n // 3) % 3], chosen.randrange(1_000_000)) for n in range(ROUNDS)]


@pytest.mark.parametrize(("fault", "change", "seed"), rounds())
def test_a_host_is_lost_in_the_middle(
    world: Hosted, monkeypatch: pytest.MonkeyPatch, fault: str, change: str, seed: int
) -> None:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    chosen = random.Random(seed)
    victim = chosen.choice(world.nodes)
    others = [node for node in world.nodes if node is not victim]
    before = world.answers()
    wanted = "1" if before == "2" else "2"
    print(f"PODIUM_CHAOS_SEED={SEED} {victim.ip} is {fault} during a {change} from {before} to {wanted}")
    harm, heal = FAULTS[fault]
    with Outside(world) as load:
        wait_until(lambda: load.total > 30, what="requests are answered")
        changing = Changing(world, change, int(wanted))
        time.sleep(chosen.uniform(0.0, 2.0))
        harm(victim)
        harmed = time.time()
        try:
            changing.join()
            serving = wanted if changing.error is None else before
            wait_until(lambda: all(world.answers_of(node) == serving for node in others), 60, what="the others agree")
            wait_until(lambda: victim.ip in world.hosts_driver.absent(), 60, what="it is told that it is away")
            assert any(victim.ip in each.words for each in seen(world).differences)
            if fault == "cut off":
                wait_until(lambda: inside(victim, world.port) in (503, 0), 60, what="its lease has run out")
        finally:
            heal(victim)
        wait_until(lambda: not world.hosts_driver.absent(), 120, what="it is there again")
        wait_until(lambda: serves(world, victim, serving), 60, what="it serves what all serve")
        wait_until(lambda: whole(world, serving), 120, what="all is as it should be")
    # What was on its way when the host was lost, its proxy may have held: each of the other hosts has one client.
    failed = load.failed(victim)
    assert [each for each in failed if each[1] > harmed] == [], (changing.error, failed[:5], world.said[-20:])
    assert len(failed) <= len(others), failed
    assert changing.error is None or isinstance(changing.error, PodiumError)


def seen(world: Hosted):
    return environments.status(world.project, world.journal, world.environment)


def serves(world: Hosted, node: Node, version: str) -> bool:
    """Whether a host that came back serves it already: until its lease is renewed and its replicas are there it refuses."""
    return world.ask(node)[0] == 200 and world.answers_of(node) == version


def whole(world: Hosted, serving: str) -> bool:
    rows = [row for row in world.journal.replicas.of("staging") if row.version == int(serving)]
    ready = len(rows) == 3 and all(row.state is ReplicaState.READY and row.weight for row in rows)
    return ready and not world.runtime.proxy.drifted(world.runtime.traffic.layout())


def inside(node: Node, port: int) -> int:
    """What a host that is cut off answers whoever still reaches it: the status, 0 for none."""
    import subprocess
    import sys

    code = (
        "import http.client, sys\n"
        f"c = http.client.HTTPConnection('127.0.0.1', {port}, timeout=5)\n"
        "c.request('GET', '/version'); print(c.getresponse().status)"
    )
    command = ["nsenter", f"--net=/run/netns/{node.name}", sys.executable, "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(20), check=False)
    return int(done.stdout or 0)
