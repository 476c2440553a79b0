"""What every driver has to do. Subclass `DriverConformance` in a test module, with a fixture `bench` that returns a
`DriverBench` for the driver under test; nothing here knows any of them."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from podium.core import plugins
from podium.core.delivery.drivers import Driver
from podium.core.delivery.environment.late import end_late
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.host.paths import INSTANCES
from podium.core.domain.capabilities import DriverCapabilities
from podium.core.domain.delivery import DeploymentState, How, Replica
from podium.core.domain.rollout import NOTE

from tests.delivery.light import World
from tests.support import wait_until


class DriverBench:
    """A world with the driver under test. `left` returns whatever of the environment is still there: processes,
    containers, networks; `disconnect` takes a replica off its network, None where there is no such thing."""

    def __init__(
        self, world: World, left: Callable[[], list[str]], disconnect: Callable[[Replica], None] | None = None
    ) -> None:
        self.world, self.left, self.disconnect = world, left, disconnect
        self.runtime = world.runtime

    @property
    def driver(self) -> Driver:
        return self.runtime.driver

    @property
    def can(self) -> DriverCapabilities:
        return plugins.driver_capabilities(self.world.environment.driver)

    def another(self) -> EnvironmentRuntime:
        """The environment as another process sees it."""
        return self.world.runtime

    def start(self, version: int = 1, number: int = 1, **behaviour: object) -> Replica:
        if not self.world.runtime.files.directory(version).exists():
            self.world.version(version, **behaviour)
        return self.runtime.lifecycle.start(version, number, f"sha256:{version}")

    def healthy(self, version: int = 1, number: int = 1, **behaviour: object) -> Replica:
        row = self.start(version, number, **behaviour)
        wait_until(lambda: self.runtime.lifecycle.healthy(row), 30, what=f"{row.id} is healthy")
        return row

    def version_of(self, row: Replica) -> str:
        """What the replica says that it is."""
        status, body = self.driver.transport.http(row.address, row.port, "GET", "/version", timeout=5.0)[:2]
        assert status == 200, (status, body)
        return str(json.loads(body)["version"])

    def gone(self, row: Replica) -> None:
        wait_until(lambda: not self.another().driver.alive(row), 30, what=f"{row.id} does not run")
        assert not self.runtime.lifecycle.healthy(row)

    def close(self) -> None:
        for row in self.world.journal.replicas.of(self.world.environment.name):
            with suppress(Exception):
                self.driver.stop(row, grace=0.5)
        self.world.close()


class DriverConformance:
    """The tests. A replica is `tests/delivery/light_server.py`, whose version says how it behaves."""

    @pytest.fixture
    def bench(self) -> Iterator[DriverBench]:
        raise NotImplementedError("give this class a fixture `bench` of the driver under test")

    def test_a_replica_answers_where_its_row_says(self, bench: DriverBench) -> None:
        row = bench.healthy()
        assert row.pid is not None or row.container
        assert bool(row.container) is bench.can.engine
        assert bench.version_of(row) == "1"
        assert bench.driver.alive(row)
        assert not bench.driver.is_restarting(row)
        assert bench.driver.current_address(row) == row.address

    def test_it_is_nobodys_child(self, bench: DriverBench) -> None:
        """So it survives whatever started it, and is known to the next process by its row alone."""
        row = bench.healthy()
        if row.pid is not None:
            with open(f"/proc/{row.pid}/stat") as file:
                assert int(file.read().rpartition(")")[2].split()[1]) != os.getpid()
        other = bench.another()
        assert other.driver.alive(row) and other.lifecycle.healthy(row)

    def test_two_replicas_are_told_apart(self, bench: DriverBench) -> None:
        one, other, third = bench.healthy(1, 1), bench.healthy(1, 2), bench.healthy(2, 1)
        assert len({(row.address, row.port) for row in (one, other, third)}) == 3
        assert [bench.version_of(row) for row in (one, other, third)] == ["1", "1", "2"]
        bench.driver.stop(other, grace=2.0)
        bench.gone(other)
        assert bench.driver.alive(one) and bench.driver.alive(third)

    def test_a_port_is_free_and_the_one_that_was_wanted_where_it_can_be(self, bench: DriverBench) -> None:
        first = bench.driver.port(0, ())
        assert 0 < first < 65536
        row = bench.healthy()
        again = bench.another().driver.port(row.port, ())
        shared = bench.driver.port(0, {row.port}) != row.port
        assert not shared or again != row.port, "what a replica listens on is not free where they share an address"

    def test_stopped_it_is_gone_and_stopping_it_again_is_no_error(self, bench: DriverBench) -> None:
        row = bench.healthy()
        bench.driver.stop(row, grace=2.0)
        bench.gone(row)
        assert not bench.driver.kept(row)
        bench.driver.stop(row, grace=2.0)
        bench.another().driver.stop(replace(row, pid=None, container=""), grace=2.0)

    def test_one_that_ignores_being_told_to_end_is_ended(self, bench: DriverBench) -> None:
        row = bench.healthy(stubborn=True)
        bench.driver.stop(row, grace=1.0)
        bench.gone(row)

    def test_one_that_is_kept_can_be_started_again_and_else_nothing_was_done(self, bench: DriverBench) -> None:
        row = bench.healthy()
        bench.driver.enable_restart(row)
        if not bench.driver.stop_keeping(row, grace=2.0):
            assert bench.driver.alive(row) and bench.runtime.lifecycle.healthy(row) and not bench.driver.kept(row)
            return
        bench.gone(row)
        assert bench.another().driver.kept(row)
        again = bench.runtime.lifecycle.launch(row)
        bench.runtime.lifecycle.wait_healthy([row.id])
        assert (again.id, again.container) == (row.id, row.container)
        bench.driver.stop(again, grace=2.0)
        assert not bench.driver.kept(again)

    def test_one_that_dies_at_once_leaves_its_last_words(self, bench: DriverBench) -> None:
        row = bench.start(crash=True)
        wait_until(lambda: not bench.driver.alive(row), 30, what="it has died")
        log = bench.runtime.log(row)
        report = bench.driver.failure_report(row, log)
        assert "No module named 'a_package_that_is_not_there'" in report
        assert "a_package_that_is_not_there" in log.read_text()
        assert not bench.driver.is_restarting(row), "before it was healthy nothing starts it again"

    def test_a_healthy_one_may_come_back_by_itself_from_then_on(self, bench: DriverBench) -> None:
        row = bench.healthy()
        bench.driver.enable_restart(row)
        bench.driver.enable_restart(row)
        assert bench.driver.alive(row) and bench.runtime.lifecycle.healthy(row)
        bench.driver.stop(row, grace=2.0)
        bench.gone(row)

    def test_one_that_was_started_and_never_noted_is_found_by_its_marker(self, bench: DriverBench) -> None:
        lost, noted = bench.healthy(1, 1), bench.healthy(1, 2)
        other = bench.another()
        assert other.driver.stop_lost(other.marker("staging-v9-1")) == 0
        assert other.driver.stop_lost(other.marker(lost.id)) == 1
        bench.gone(lost)
        assert other.driver.stop_lost(other.marker(lost.id)) == 0
        assert other.driver.alive(noted)

    def test_one_that_came_after_its_rollout_was_undone_is_ended(self, bench: DriverBench) -> None:
        """Its engine was asked for it by a worker that was killed, and had it ready after the undo."""
        came, wanted = bench.healthy(1, 1), bench.healthy(1, 2)
        other, ledger = bench.another(), bench.runtime.journal.ledger
        other.journal.replicas.remove(other.name, came.id)
        row = ledger.begin(
            environment=other.name, how=How.PROMOTE, model="m", to_version=1, from_version=None, who="anna"
        )
        ledger.phase(row.id, NOTE, {"new": [came.id, wanted.id]})
        assert end_late(other) == [] and other.driver.alive(came), "its rollout is under way"
        ledger.finish(row.id, DeploymentState.UNDONE, "told to end")
        [told] = end_late(other)
        assert came.id in told
        bench.gone(came)
        assert other.driver.alive(wanted), "what has a row is no business of this"
        assert end_late(other) == []

    def test_an_environment_answers_through_its_proxy(self, bench: DriverBench) -> None:
        bench.world.version(1)
        bench.world.version(2)
        bench.world.deploy(1)
        assert bench.world.answers() == "1"
        assert get(bench.another().driver.url()) == "1"
        bench.world.deploy(2)
        assert get(bench.another().driver.url()) == "2"
        assert bench.driver.proxy.alive() and bench.driver.proxy.whole()

    def test_when_all_was_stopped_a_teardown_leaves_nothing(self, bench: DriverBench) -> None:
        bench.world.version(1)
        bench.world.deploy(1)
        runtime = bench.another()
        runtime.proxy.stop()
        for row in runtime.replicas():
            runtime.driver.stop(row, grace=2.0)
            runtime.journal.replicas.remove(runtime.name, row.id)
        assert all(isinstance(line, str) for line in runtime.driver.teardown())
        wait_until(lambda: not bench.left(), 20, what="nothing is left")
        assert runtime.driver.teardown() == [], "there was nothing left to remove"

    def test_preparing_and_the_end_of_a_rollout_touch_nothing_that_serves(self, bench: DriverBench) -> None:
        row = bench.healthy()
        bench.driver.prepare(1)
        bench.driver.after_rollout()
        assert bench.driver.alive(row) and bench.runtime.lifecycle.healthy(row)

    def test_what_comes_before_a_start_is_estimated(self, bench: DriverBench) -> None:
        bench.world.version(1)
        seconds, why = bench.driver.start_cost(1)
        assert seconds >= 0.0 and (why or not seconds)

    def test_captures_are_in_a_directory_of_this_machine(self, bench: DriverBench) -> None:
        bench.healthy()
        assert bench.runtime.directory in bench.driver.captures().parents

    def test_it_names_what_it_owns_on_its_engine(self, bench: DriverBench) -> None:
        owned = bench.driver.owned_names()
        assert bool(owned.proxies) is bench.can.engine
        if bench.can.engine:
            assert set(owned.proxies) == set(INSTANCES)
            assert set(owned.proxies.values()) <= owned.helpers.keys()

    def test_one_that_was_taken_off_its_network_can_be_connected_again(self, bench: DriverBench) -> None:
        row = bench.healthy()
        if bench.disconnect is None:
            bench.driver.connect(row)
            assert bench.runtime.lifecycle.healthy(row)
            return
        bench.disconnect(row)
        assert not bench.runtime.lifecycle.healthy(row)
        bench.driver.connect(row)
        found = replace(row, address=bench.another().driver.current_address(row))
        wait_until(lambda: bench.runtime.lifecycle.healthy(found), 20, what="it is reached again")


def get(url: str) -> str:
    """The version that answers at an environment's address."""
    where = urlsplit(url)
    assert where.hostname is not None
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=5)
    try:
        connection.request("GET", "/version")
        return str(json.loads(connection.getresponse().read())["version"])
    finally:
        connection.close()
