"""The environment's network where its creation was cut short, or was an earlier Podium's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.types import IPAMConfig, IPAMPool
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.delivery.rollout import phases
from podium.core.delivery.status import status as environments

from tests.delivery.docker.docked import Docked
from tests.delivery.light import Load
from tests.runner.scale import scaled
from tests.support import wait_until


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Docked(tmp_path, engine)
    made.version(1)
    yield made
    made.close()


def made(docked: Docked, subnet: str = "") -> str:
    """Creates the network as an earlier Podium did: of a range if one is given, else half of it."""
    called = docked.driver.place.called
    ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]) if subnet else None
    given = {"driver": "bridge", "labels": called.labels(names.NETWORK_ROLE).all(), "ipam": ipam}
    return str(docked.engine.api.create_network(called.of(), **given)["Id"])


def networks(docked: Docked) -> list[str]:
    return [each["Id"] for each in docked.engine.api.networks(filters={"label": docked.mark})]


def fixed(docked: Docked) -> dict[str, bool]:
    """Which replicas have the address for ever that they have now, by their slots."""
    found: dict[str, bool] = {}
    for row in docked.runtime.replicas():
        [network] = docked.engine.inspect(row.container)["NetworkSettings"]["Networks"].values()
        asked: dict[str, Any] = network["IPAMConfig"] or {}
        assert network["IPAddress"] == row.address
        found[row.slot] = asked.get("IPv4Address") == row.address
    return found


def serves(docked: Docked) -> bool:
    with Load(docked.port) as load:
        wait_until(lambda: load.total > 20)
    status = environments.status(docked.project, docked.journal, docked.environment)
    return load.failures == [] and status.differences == ()


KILLED = """
import os, signal, sys
from docker import APIClient
from pathlib import Path
from podium.core.containers import open_engine
from podium.core.containers.engine.address import parse
from tests.delivery.docker.docked import Docked
create = APIClient.create_network
def then_killed(*given, **more):
    create(*given, **more)
    os.kill(os.getpid(), signal.SIGKILL)
APIClient.create_network = then_killed
Docked(Path(sys.argv[1]), open_engine(parse(sys.argv[2]))).driver.place.network
"""


def test_a_network_that_was_left_half_made_is_made_again(docked: Docked, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(docked.engine.address)]
    done = subprocess.run(command, cwd=root, timeout=scaled(60), check=False)
    [half] = networks(docked)
    assert done.returncode == -9 and docked.engine.api.inspect_network(half)["Containers"] == {}
    docked.deploy(1)
    assert fixed(docked) == {"v1-1": True, "v1-2": True} and serves(docked)
    [whole] = networks(docked)
    assert whole != half and docked.driver.place.network == whole, "and it is kept from now on"


@pytest.mark.parametrize("state", ["running", "exited"])
def test_a_half_made_network_with_a_container_on_it_has_to_do(docked: Docked, shell_image: str, state: str) -> None:
    """Without fixed addresses, which the engine refuses there."""
    half, api = made(docked), docked.engine.api
    command = ["sleep", "600"] if state == "running" else ["true"]
    other = api.create_container(shell_image, command, host_config=api.create_host_config(network_mode=half))["Id"]
    try:
        api.start(other)
        wait_until(lambda: docked.engine.inspect(other)["State"]["Status"] == state)
        docked.deploy(1)
        assert networks(docked) == [half] and fixed(docked) == {"v1-1": False, "v1-2": False} and serves(docked)
        first = docked.runtime.replicas()[0]
        api.disconnect_container_from_network(first.container, half)
        docked.driver.connect(first)
        assert docked.driver.alive(first) and not docked.driver.cut_off(first)
        api.start(other)
    finally:
        api.remove_container(other, force=True)


def test_a_network_of_an_earlier_podium_is_kept(docked: Docked) -> None:
    half = made(docked)
    subnet = docked.engine.api.inspect_network(half)["IPAM"]["Config"][0]["Subnet"]
    docked.engine.api.remove_network(half)
    whole = made(docked, subnet)
    docked.deploy(1)
    assert networks(docked) == [whole] and fixed(docked) == {"v1-1": True, "v1-2": True} and serves(docked)


def test_a_range_that_somebody_takes_meanwhile_is_another_one_then(
    docked: Docked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else gets it between the removal of the first network and the creation of the second."""
    api = docked.driver.place.engine.api
    remove, taken = api.remove_network, list[str]()

    def then_taken(network: str) -> None:
        subnet = api.inspect_network(network)["IPAM"]["Config"][0]["Subnet"]
        remove(network)
        if not taken:
            ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
            taken.append(api.create_network("podium-test-stranger", ipam=ipam)["Id"])

    monkeypatch.setattr(api, "remove_network", then_taken)
    try:
        docked.deploy(1)
        assert taken and fixed(docked) == {"v1-1": True, "v1-2": True} and len(networks(docked)) == 1
    finally:
        for each in taken:
            remove(each)
