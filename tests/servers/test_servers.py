"""The tests' own servers do what other tests rely on: they start, refuse, break, recover, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from podium.core.containers import Engine, open_engine
from podium.core.containers.engine.address import parse
from podium.core.errors import PodiumError, Unreachable

from tests.runner.scale import scaled
from tests.servers import images
from tests.servers.dockerd import Dockerd
from tests.servers.registry import Registry
from tests.servers.sshd import Sshd
from tests.servers.tls import TlsEngine
from tests.support import wait_until


def test_an_image_goes_to_the_registry_and_comes_back_by_digest(
    engine: Engine, shell_image: str, image_registry: Registry
) -> None:
    name = f"{image_registry.address}/servers/shell"
    engine.api.tag(shell_image, name, "1")
    lines = engine.api.push(name, "1", stream=True, decode=True)
    [digest] = [line["aux"]["Digest"] for line in lines if "aux" in line]
    try:
        assert image_registry.get("servers/shell/tags/list") == {"name": "servers/shell", "tags": ["1"]}
        engine.api.remove_image(f"{name}:1")
        engine.api.pull(f"{name}@{digest}")
        assert engine.api.inspect_image(f"{name}@{digest}")["Id"]
    finally:
        for each in engine.api.images(name):
            for reference in [*(each["RepoTags"] or []), *(each["RepoDigests"] or [])]:
                if reference.startswith(name):
                    engine.api.remove_image(reference, noprune=True)


def test_a_registry_with_a_password_lets_only_that_in(private_registry: Registry, engine: Engine) -> None:
    assert private_registry.get("_catalog") == {"repositories": []}
    assert (
        engine.api.login("anna", "a-password-of-tests", registry=private_registry.address)["Status"]
        == "Login Succeeded"
    )
    with pytest.raises(Exception, match=r"401|unauthorized"):
        engine.api.login("anna", "wrong", registry=private_registry.address, reauth=True)


def test_the_engine_over_ssh_and_its_line_cut_and_mended(ssh_engine: str, ssh_server: Sshd) -> None:
    with open_engine(parse(ssh_engine)) as far:
        assert far.info()["ServerVersion"]
        ssh_server.line.cut()
        with pytest.raises(PodiumError):
            far.info()
    with pytest.raises(Unreachable):
        open_engine(parse(ssh_engine))
    ssh_server.line.restore()
    with open_engine(parse(ssh_engine)) as far:
        assert far.info()["ServerVersion"]


def test_silence_on_the_line_is_noticed(ssh_engine: str, ssh_server: Sshd) -> None:
    with open_engine(parse(ssh_engine)) as far:
        assert far.info()["ServerVersion"]
        ssh_server.line.freeze()
        with pytest.raises(PodiumError):
            far.info()


def test_an_engine_behind_tls(tls_engine: TlsEngine) -> None:
    with open_engine(parse(tls_engine.address, tls=str(tls_engine.tls))) as engine:
        assert engine.info()["ServerVersion"]
    with pytest.raises(Unreachable):
        open_engine(parse(tls_engine.address, tls=str(tls_engine.other)))


@pytest.mark.parametrize("live", [False, True])
def test_an_engine_of_ones_own_stops_starts_and_leaves_nothing(own_dockerd: Callable[..., Dockerd], live: bool) -> None:
    dockerd = own_dockerd(live_restore=live)
    bridges = {dockerd.bridge}
    with open_engine(parse(dockerd.address)) as engine:
        image = images.ensure(engine.api, images.SHELL)
        network = engine.api.create_network("inside")["Id"]
        bridges.add(f"br-{network[:12]}")
        assert bridges <= set(os.listdir("/sys/class/net"))
        config = engine.api.create_host_config(network_mode="inside")
        made = engine.api.create_container(image, ["sleep", "1000"], host_config=config)["Id"]
        engine.api.start(made)
        pid = engine.api.inspect_container(made)["State"]["Pid"]
        dockerd.stop()
        assert psutil.pid_exists(pid) == live
        with pytest.raises(Unreachable):
            engine.info()
        dockerd.start()
        assert engine.api.inspect_container(made)["State"]["Running"] == live and network
        dockerd.kill()
        dockerd.start()
        assert engine.api.inspect_container(made)["State"]["Running"] == live
    dockerd.close()
    assert not dockerd.root.exists() and not psutil.pid_exists(pid)
    assert str(dockerd.root) not in Path("/proc/self/mountinfo").read_text()
    wait_until(lambda: not bridges.intersection(os.listdir("/sys/class/net")), what="bridges are gone")
    assert (
        str(dockerd.root)
        not in subprocess.run(["ps", "-ef"], capture_output=True, text=True, timeout=scaled(10), check=True).stdout
    )
