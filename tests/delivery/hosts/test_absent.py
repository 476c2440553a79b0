"""When a host counts as away, and since when; under which address the others reach it."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine.address import Address
from podium.core.containers.engine.errors import EngineAway, NothingLeft
from podium.core.delivery.drivers import DriverContext
from podium.core.delivery.drivers.docker.driver import DockerDriver
from podium.core.delivery.drivers.hosts import addresses, fleet
from podium.core.errors import UsageError

from tests.delivery.light import World
from tests.support import wait_until


@pytest.fixture
def host(tmp_path: Path, engine: Engine) -> Iterator[fleet.Host]:
    world = World(tmp_path, replicas=1)
    setting = DriverContext(world.project, world.journal, world.environment, world.runtime.directory, lambda _: None)
    yield fleet.Host("there", engine.address, setting)
    world.close()


def silent_since(host: fleet.Host) -> tuple[float, float]:
    """When a host was asked that does not answer for half a second, and since when it counts as away."""
    asked: list[float] = []

    def work(_: DockerDriver) -> None:
        asked.append(time.time())
        time.sleep(0.5)
        raise EngineAway("it does not answer")

    with pytest.raises(EngineAway):
        host.ask(work)
    assert host.state.absent is not None
    return asked[0], host.state.absent.since


def test_it_is_away_since_it_was_asked_and_not_since_nobody_waits_any_longer(host: fleet.Host) -> None:
    asked, since = silent_since(host)
    assert since < asked + 0.25, "so that `replace` does not begin a whole time-out later"


def test_it_may_have_answered_until_a_time_out_ago(host: fleet.Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked of it may be much, such as taking an image."""
    monkeypatch.setattr(fleet, "TIMEOUT", 0.1)
    asked, since = silent_since(host)
    assert since > asked + 0.25


def test_what_this_process_lacks_says_nothing_of_the_host(host: fleet.Host) -> None:
    def work(driver: DockerDriver) -> None:
        with driver.place.engine.doing("starting it"):
            raise OSError(errno.EMFILE, "Too many open files")

    with pytest.raises(NothingLeft, match=r"starting it: this machine cannot open the connection"):
        host.ask(work)
    assert host.present


def asked(host: fleet.Host) -> bool:
    return any(thread.name == f"host {host.address}" for thread in threading.enumerate())


def test_one_that_is_lost_is_asked_whatever_this_machine_lacks_meanwhile(
    host: fleet.Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "_PROBE_INTERVAL", 0.05)
    real, failing = fleet.shared, [OSError(errno.ENOSPC, "no room"), RuntimeError("can't start new thread")]

    def shared(address: Address, *, timeout: int) -> Engine:
        if failing:
            raise failing.pop()
        return real(address, timeout=timeout)

    monkeypatch.setattr(fleet, "shared", shared)
    host.state.lost("it does not answer")
    wait_until(lambda: host.state.answers)
    assert not failing and not asked(host)


def test_one_that_nobody_needs_is_asked_no_more(host: fleet.Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "_PROBE_INTERVAL", 0.05)
    monkeypatch.setattr(fleet, "_FORGET_SECONDS", 0.2)
    real, there = fleet.shared, threading.Event()

    def shared(address: Address, *, timeout: int) -> Engine:
        if not there.is_set():
            raise EngineAway("it does not answer")
        return real(address, timeout=timeout)

    monkeypatch.setattr(fleet, "shared", shared)
    host.state.lost("it does not answer")
    wait_until(lambda: not asked(host), what="podium.yaml has it no longer")
    assert not host.present
    there.set()
    host.state.needed()  # it has it again
    wait_until(lambda: host.state.answers)


def test_an_address_is_looked_up_again_and_kept_while_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    now, known = [1000.0], ["10.0.0.1"]

    def look_up(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if not known:
            raise OSError("no such name")
        return [(0, 0, 0, "", (each, 0)) for each in ["127.0.1.1", *known]]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(addresses.time, "monotonic", lambda: now[0])
    found = addresses.Addresses()
    assert found.of("b") == "10.0.0.1"
    known[:] = ["10.0.0.9", "10.0.0.1"]
    now[0] += 100
    assert found.of("b") == "10.0.0.1", "it still has this one"
    known[:] = ["10.0.0.9"]
    assert found.of("b") == "10.0.0.1"
    now[0] += 100
    assert found.of("b") == "10.0.0.9"
    known.clear()
    now[0] += 100
    assert found.of("b") == "10.0.0.9"
    with pytest.raises(UsageError, match="this machine knows no address of it"):
        found.of("c")
