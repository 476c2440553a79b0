"""Processes that somebody stopped answer nobody, while the kernel goes on giving them connections."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.delivery.environment import halted, healing
from podium.core.delivery.proxy.placement import ProcessProxyHost
from podium.core.identity.processes import started_at
from podium.core.triggers.jobs import EndingHalted

from tests.delivery.light import World
from tests.support import wait_until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, replicas=2)
    made.version(1)
    made.deploy(1)
    yield made
    made.close()


def proxy_pid(world: World, instance: int) -> int:
    found = ProcessProxyHost(world.runtime.directory, "staging", instance).pid()
    assert found is not None
    return found


def test_a_stopped_instance_of_the_proxy_is_taken_out_and_started_again(world: World) -> None:
    pid = proxy_pid(world, 2)
    os.kill(pid, signal.SIGSTOP)
    said: list[str] = []
    job = EndingHalted(said.append)
    wait_until(lambda: halted.halted(world.project, world.journal, world.environment), 20)
    job(world.project, world.journal)
    assert said == [] and started_at(pid) is not None, "a debugger may stop a process for a moment"
    job(world.project, world.journal)
    assert said == ["staging: instance 2 of the proxy was stopped by a signal and answered nobody; ended it"]
    wait_until(lambda: started_at(pid) is None, 20)
    # Each asks over a connection of its own: without a listener that is stopped none of them hangs.
    assert {world.answers() for _ in range(40)} == {"1"}
    assert healing.heal_environment(world.project, world.journal, world.environment) == [
        "staging: an instance of the proxy was gone; started it again"
    ]
    assert proxy_pid(world, 2) != pid
    job(world.project, world.journal)
    job(world.project, world.journal)
    assert len(said) == 1


def test_a_stopped_replica_is_ended_and_its_request_is_answered_by_another(world: World) -> None:
    row = world.runtime.replicas()[0]
    assert row.pid and row.pid_started
    os.kill(row.pid, signal.SIGSTOP)
    found = wait_until(lambda: halted.halted(world.project, world.journal, world.environment), 20)
    assert found == {(row.pid, row.pid_started): row.id}
    assert len(halted.end(world.environment, found)) == 1
    assert {world.answers() for _ in range(10)} == {"1"}


def test_an_instance_that_runs_and_answers_nobody_is_started_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those on another machine are found, and those that hang."""
    pid, other = proxy_pid(world, 1), proxy_pid(world, 2)

    def heal() -> list[str]:
        return healing.heal_environment(world.project, world.journal, world.environment)

    os.kill(pid, signal.SIGSTOP)
    assert world.runtime.proxy.instances[0].mute() and not world.runtime.proxy.instances[1].mute()
    assert heal() == [], "it may only be slow, and keeps what it holds"
    monkeypatch.setattr(halted, "SILENT_SECONDS", 0.0)
    assert heal() == ["staging: instance 1 of the proxy answered nobody; started it again"]
    assert proxy_pid(world, 1) != pid and proxy_pid(world, 2) == other and heal() == []
    assert {world.answers() for _ in range(40)} == {"1"}
    # One that cannot be asked, for want of descriptors here or of its socket, is not silent.
    Path(world.runtime.proxy.instances[1].placement.socket).unlink()
    assert not world.runtime.proxy.instances[1].mute() and heal() == [] and proxy_pid(world, 2) == other


def test_one_that_goes_on_is_left_alone_and_so_is_another_process_of_its_number(world: World) -> None:
    pid = proxy_pid(world, 1)
    started = started_at(pid)
    assert started is not None
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: halted.halted(world.project, world.journal, world.environment), 20)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not halted.halted(world.project, world.journal, world.environment), 20)
    assert halted.end(world.environment, {(pid, started): "a proxy"}) == []
    os.kill(pid, signal.SIGSTOP)
    assert halted.end(world.environment, {(pid, started - 1000.5): "a proxy"}) == []
    os.kill(pid, signal.SIGCONT)
    assert started_at(pid) == started


def test_what_runs_on_another_machine_is_not_looked_for_on_this_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    of = world.journal.replicas.of
    monkeypatch.setattr(world.journal.replicas, "of", lambda name: asked.append(name) or of(name))
    there = replace(world.environment, driver="docker", host="ssh://elsewhere")
    for environment in (there, replace(there, host="tcp://elsewhere")):
        assert halted.halted(world.project, world.journal, environment) == {} and not asked
    assert halted.halted(world.project, world.journal, replace(there, host="unix:///run/here.sock")) == {}
    assert asked == ["staging"], "an engine of this machine has its processes here"
