"""The docker driver where things are not as they should be, and the other ways to run it: TLS, HAProxy on the host."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core import plugins
from podium.core.containers import Engine
from podium.core.containers.engine.connections import close_all
from podium.core.delivery.environment import healing
from podium.core.delivery.proxy.placement import ProcessProxyHost
from podium.core.delivery.rollout import phases
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import ReplicaState
from podium.core.errors import NotFound, PodiumError, Refused, RunFailed, UsageError

from tests.delivery.docker.docked import Docked
from tests.delivery.docker.front import Front
from tests.delivery.light import Load
from tests.runner.scale import scaled
from tests.servers import tls
from tests.support import wait_until

pytestmark = pytest.mark.in_turn(12, of="containers")


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Docked(tmp_path, engine, replicas=1)
    yield made
    made.close()


def status(docked: Docked):
    return environments.status(docked.project, docked.journal, docked.environment)


def test_an_engine_behind_tls(docked: Docked, tmp_path: Path) -> None:
    if tls.missing():
        pytest.fail(tls.missing()) if os.environ.get("PODIUM_REQUIRE_SERVERS") else pytest.skip(tls.missing())
    certificates = tls.make(tmp_path / "certificates")
    front = Front(certificates, docked.engine.address.path)
    try:
        docked.change(host=f"tcp://127.0.0.1:{front.port}", tls=str(certificates))
        docked.version(1)
        docked.version(2)
        docked.deploy(1)
        with Load(docked.port, rate=100) as load:
            wait_until(lambda: load.total > 20)
            docked.deploy(2)
            docked.rollback(1)
            wait_until(lambda: load.total > 100)
        assert load.failures == [] and docked.answers() == "1" and status(docked).differences == ()
        environments.stop(docked.project, docked.journal, docked.environment)
        assert docked.things() == {"containers": 0, "networks": 0, "volumes": 0}
        # Certificates of an authority that the engine does not know are not let in, and it is said.
        docked.change(tls=str(tls.make(tmp_path / "others")))
        with pytest.raises(PodiumError, match="is not trusted"):
            docked.deploy(1)
    finally:
        front.close()
        close_all()
        docked.change(host="", tls="")


def test_haproxy_on_the_host_in_front_of_containers(docked: Docked) -> None:
    docked.change(proxy="host")
    docked.version(1)
    docked.version(2)
    docked.deploy(1)
    assert (
        all(isinstance(each.placement, ProcessProxyHost) for each in docked.runtime.proxy.instances)
        and docked.containers("proxy") == []
    )
    with Load(docked.port, rate=100) as load:
        wait_until(lambda: load.total > 20)
        docked.deploy(2)
        wait_until(lambda: '{"predictions": [2]}' in load.answers)
    assert load.failures == [] and status(docked).differences == ()
    docked.change(proxy="host", host="ssh://nobody@127.0.0.1:1")
    with pytest.raises(UsageError, match="proxy is `host`, and its replicas are on ssh://"):
        docked.runtime.proxy.alive()
    docked.change(host="")


def test_another_port_takes_over_without_losing_a_request(docked: Docked) -> None:
    from tests.support import free_port

    docked.version(1)
    docked.deploy(1)
    old = docked.port
    before = {each["Id"] for each in docked.containers("proxy")}
    with Load(old, rate=100) as load:
        wait_until(lambda: load.total > 20)
    assert load.failures == []
    docked.change(port=free_port())
    docked.deploy(1)
    assert docked.answers() == "1" and {each["Id"] for each in docked.containers("proxy")} == before, (
        "HAProxy itself was told, its containers stay"
    )
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", old)) != 0


def test_a_port_that_is_taken_is_told_before_anything_starts(docked: Docked) -> None:
    docked.version(1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", docked.port))
        other.listen()
        with pytest.raises(
            UsageError, match=rf"port {docked.port} of environment staging is in use by pid {os.getpid()}"
        ):
            docked.deploy(1)
    assert docked.things() == {"containers": 0, "networks": 0, "volumes": 0}


def test_a_replica_that_needs_more_memory_than_it_may_have(docked: Docked) -> None:
    docked.change(memory=6 << 20)
    docked.version(1)
    with pytest.raises((RunFailed, PodiumError)) as caught:
        docked.deploy(1)
    assert "for using more memory than its 6 MiB (environments.staging.memory)" in str(caught.value)
    assert docked.containers("replica") == []


def test_a_proxy_image_that_nobody_has(docked: Docked) -> None:
    docked.change(proxy_image="podium-test/no-such-proxy:1")
    docked.version(1)
    with pytest.raises((NotFound, PodiumError), match="podium-test/no-such-proxy:1"):
        docked.deploy(1)
    assert docked.things() == {
        "containers": 0,
        "networks": 0,
        "volumes": 0,
    }, "it was asked for before anything was made"


def test_a_name_that_somebody_else_has(docked: Docked) -> None:
    docked.version(1)
    image = docked.engine.api.images(filters={"label": docked.mark})[0]["Id"]
    name = docked.driver.place.called.proxy(1)
    other = docked.engine.api.create_container(image, name=name)["Id"]
    try:
        with pytest.raises(Refused, match=f"the container {name} exists already"):
            docked.deploy(1)
        assert docked.engine.inspect(other)["Id"] == other
    finally:
        docked.engine.api.remove_container(other, force=True)


def test_an_engine_that_is_gone(docked: Docked, tmp_path: Path) -> None:
    docked.version(1)
    docked.deploy(1)
    docked.change(host=f"unix://{tmp_path}/nowhere.sock")
    now = status(docked)
    assert [row.state for row in now.replicas] == [ReplicaState.UNKNOWN] and not now.proxy_alive
    assert (
        f"no Docker engine answers at unix://{tmp_path}/nowhere.sock" in now.differences[0].words and now.serving == 1
    )
    with pytest.raises(PodiumError, match="no Docker engine answers"):
        healing.heal_environment(docked.project, docked.journal, docked.environment)
    docked.change(host="")
    assert status(docked).differences == () and docked.answers() == "1"


def test_captures_of_containers_are_ours_and_told_apart(docked: Docked) -> None:
    """With the real recorder this is tested where real images are; here that the directory is one that a replica may
    write to."""
    docked.change(replicas=2, capture=1.0)
    docked.version(1)
    docked.deploy(1)
    for container in docked.containers("replica"):
        found = docked.engine.inspect(container["Id"])
        [mount] = [each for each in found["Mounts"] if each["Destination"] == "/var/lib/podium/capture"]
        user = int((found["Config"]["User"] or "10001").partition(":")[0])
        assert (
            Path(mount["Source"]) == docked.runtime.directory / "capture"
            and Path(mount["Source"]).stat().st_uid == user
        )
        told = dict(line.split("=", 1) for line in found["Config"]["Env"])
        assert told["PODIUM_SERVING_CAPTURE_RATE"] == "1.0" and told["PODIUM_SERVING_REPLICA"] in ("v1-1", "v1-2")
        assert told["PODIUM_SERVING_GUARD"] == f"{told['PODIUM_SERVING_CAPTURE_DIR']}/guard"


def test_environments_of_processes_do_not_load_docker(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.delivery.light import World
from podium.core.delivery.environment import healing
from podium.core.delivery.rollout import carry_out
from podium.core.delivery.status import status
world = World(Path(sys.argv[1]))
status.status(world.project, world.journal, world.environment)
healing.heal_environment(world.project, world.journal, world.environment)
world.runtime.proxy.alive()
print(sorted({'docker', 'requests', 'podium.core.containers'} & sys.modules.keys()))
world.close()
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=True,
    )
    assert done.stdout.strip() == "[]", done.stdout


def test_the_table_has_both() -> None:
    assert {"process", "docker"} <= set(plugins.names("drivers"))
