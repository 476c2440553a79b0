"""The engine stops, dies and comes back in the middle of changes, and the line to it breaks, with traffic on.

With live-restore the containers go on without their engine, and not one request may be lost. Without it they end
with the engine: what came meanwhile is lost to everybody, and all has to be as it was, without a hand, once the
engine is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from podium.core.containers import Engine, open_engine
from podium.core.containers.engine.address import parse
from podium.core.containers.images import build
from podium.core.domain.delivery import DeploymentState
from podium.core.domain.runs import Run
from podium.core.errors import Unreachable

from tests.chaos import invariants
from tests.chaos.engine import evidence
from tests.chaos.world import Client, World
from tests.runner.scale import scaled
from tests.servers import images
from tests.servers.dockerd import Dockerd
from tests.servers.sshd import Sshd
from tests.support import wait_until

pytestmark = pytest.mark.in_turn(1)

AWAY = 2.0  # seconds


def until_phase(world: World, run: Run, phase: str) -> None:
    wait_until(
        lambda: world.phase() == phase or world.cockpit.runs.get(run.id).run.state.finished,
        30,
        interval=0.005,
        what=f"phase {phase}",
    )


def until_share(world: World, run: Run) -> None:
    """Until the canary has its first share of the traffic."""
    ledger = world.cockpit.journal.ledger
    wait_until(
        lambda: (
            any(row.data.get("share") for row in ledger.open()) or world.cockpit.runs.get(run.id).run.state.finished
        ),
        30,
        interval=0.005,
    )


def consistent(world: World, client: Client, engine: Engine) -> None:
    try:
        world.settled(60)
        problems = invariants.broken(world, client, engine)
    except AssertionError as error:
        problems = [str(error)]
    assert not problems, "\n".join([*problems, world.evidence(), evidence(world, engine)])


@pytest.mark.timeout(300)
def test_live_containers_serve_on_while_the_engine_is_away(
    own_dockerd: Callable[..., Dockerd], docker_world: Callable[..., World]
) -> None:
    dockerd = own_dockerd(live_restore=True)
    with open_engine(parse(dockerd.address)) as engine:
        world = docker_world(engine)
        world.start_agent()
        world.done(world.promote(1))
        client = world.client()
        for version, strategy, moment in (
            (2, "blue-green", "read"),
            (3, "canary", "canary"),
            (2, "rolling", "healthy"),
        ):
            world.configure(strategy)
            client.fresh()
            run = world.promote(version)
            until_share(world, run) if moment == "canary" else until_phase(world, run, moment)
            dockerd.kill() if moment == "healthy" else dockerd.stop()
            time.sleep(AWAY)
            dockerd.start()
            consistent(world, client, engine)
            # Whoever changes something waits for an engine that is being restarted.
            assert world.history()[0] is DeploymentState.SUCCEEDED, world.evidence()
        seen = client.close()
        assert seen.failed == 0, f"{seen.failures[:5]} … {seen.failures[-5:]}\n{world.evidence()}"


@pytest.mark.timeout(300)
def test_containers_that_end_with_their_engine_come_back_with_it(
    own_dockerd: Callable[..., Dockerd], docker_world: Callable[..., World]
) -> None:
    dockerd = own_dockerd()
    with open_engine(parse(dockerd.address)) as engine:
        world = docker_world(engine)
        world.start_agent()
        world.done(world.promote(1))
        client = world.client()
        for version, moment in ((2, ""), (3, "started"), (2, "aliased")):
            client.fresh()
            run = world.promote(version) if moment else None
            if run is not None:
                until_phase(world, run, moment)
            stopped = time.time()
            dockerd.stop()
            time.sleep(AWAY)
            dockerd.start()
            consistent(world, client, engine)
            assert client.fresh().failed == 0
            settled = time.time()
            lost = [at for at, _ in client.look().failures if at > stopped]
            assert lost and max(lost) < settled
        moments = [at for at, _ in client.close().failures]
        assert moments


@pytest.mark.parametrize("builder", [build.BUILDKIT, build.CLASSIC])
def test_an_engine_that_dies_in_the_middle_of_a_build(own_dockerd: Callable[..., Dockerd], builder: str) -> None:
    """The build ends at once and says why; the next one goes through, and nothing of the first runs on."""
    dockerd = own_dockerd()
    with open_engine(parse(dockerd.address)) as engine:
        base = images.ensure(engine.api, images.SHELL)
        marker = f"--marker={dockerd.root.name}"
        slow = f"FROM {base}\nRUN echo {marker} && sleep 600\n"
        lines: list[str] = []
        error: list[BaseException] = []

        def work() -> None:
            try:
                build.build(engine, build.BuildRequest(context(slow), "chaos:1"), say=lines.append, builder=builder)
            except BaseException as caught:
                error.append(caught)

        thread = threading.Thread(target=work)
        thread.start()
        wait_until(
            lambda: any(marker in line and "RUN" not in line for line in lines),
            30,
            what="the build is in its long step",
        )
        dockerd.kill()
        thread.join(scaled(15))
        assert not thread.is_alive() and isinstance(error[0], Unreachable) and error[0].hint, error
        dockerd.start()
        assert build.build(
            engine,
            build.BuildRequest(context(f"FROM {base}\nRUN true\n"), "chaos:1"),
            say=lines.append,
            builder=builder,
        ).image_id
        assert engine.api.containers() == [] and engine.api.images("chaos")[0]["RepoTags"] == ["chaos:1"]


def context(dockerfile: str) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([images.archive({"Dockerfile": dockerfile.encode()})])


@pytest.mark.timeout(300)
def test_a_line_that_is_cut_in_the_middle_of_a_change(
    docker_world: Callable[..., World], engine: Engine, ssh_engine: str, ssh_server: Sshd
) -> None:
    world = docker_world(engine, host=ssh_engine)
    world.start_agent()
    world.done(world.promote(1))
    client = world.client()
    for version, strategy, moment in (
        (2, "blue-green", "started"),
        (3, "canary", "canary"),
        (1, "blue-green", "shifted"),
    ):
        world.configure(strategy)
        client.fresh()
        run = world.promote(version)
        until_share(world, run) if moment == "canary" else until_phase(world, run, moment)
        ssh_server.line.cut()
        wait_until(lambda: world.unsettled(), 10, what="the cut is told")
        time.sleep(AWAY)
        ssh_server.line.restore()
        consistent(world, client, engine)
        assert world.history()[0] is DeploymentState.SUCCEEDED, world.evidence()
    seen = client.close()
    assert seen.failed == 0, f"{seen.failures[:5]} … {seen.failures[-5:]}\n{world.evidence()}"
