"""Replicas of several hosts are started at once: all of them, or none that stays."""

from __future__ import annotations

import io
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers.engine import labels as names
from podium.core.delivery.drivers.docker.create import RUN_DIR
from podium.core.delivery.drivers.docker.driver import DockerDriver
from podium.core.delivery.drivers.docker.proxy import RemoteProxyHost
from podium.core.delivery.environment import healing
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.rollout import carry_out, phases, recovery
from podium.core.domain.delivery import DeploymentState, How, ReplicaState
from podium.core.domain.rollout import START
from podium.core.errors import Interrupted, Refused
from podium.core.journal import Journal

from tests.delivery.hosts.hosted import Hosted
from tests.delivery.rollout.test_crash import crash
from tests.runner.scale import scaled
from tests.servers import images
from tests.servers.nodes import Nodes
from tests.support import free_port, wait_until

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def serving(tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    """Version 1 serves with a replica on each of three hosts; version 2 has its image on all of them."""
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Hosted(
        tmp_path, nodes, replicas=3, port=free_port(), stale="serve", health_timeout=scaled(60.0), keep_stopped=0
    )
    for number in (1, 2):
        made.version(number)
        made.runtime.driver.prepare(number)
    made.deploy(1)
    yield made
    made.close()


def left_of(hosted: Hosted, version: int) -> list[str]:
    """Returns the containers of a version's replicas on all hosts."""
    wanted = [hosted.mark, f"{names.ROLE}={names.REPLICA_ROLE}", f"{names.VERSION}={version}"]
    return [each["Names"][0] for engine in hosted.engines for each in engine.containers(wanted)]


def ensure_only_the_first_serves(hosted: Hosted) -> None:
    assert left_of(hosted, 2) == [] and hosted.spread(2) == {}
    assert hosted.answers() == "1" and hosted.journal.ledger.open() == []
    assert healing.heal_environment(hosted.project, hosted.journal, hosted.environment) == []


def test_hosts_start_theirs_at_once_when_all_have_their_rows(serving: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    met, rows = threading.Barrier(3, timeout=scaled(60)), list[list[str]]()
    begin = DockerDriver._started

    def started(self: DockerDriver, container: str, image: str):
        met.wait()  # nobody passes before all three are here
        with Journal.open(serving.journal.path) as journal:
            rows.append([row.id for row in journal.replicas.of("staging") if row.version == 2 and not row.container])
        met.wait()
        return begin(self, container, image)

    monkeypatch.setattr(DockerDriver, "_started", started)
    serving.deploy(2)
    assert rows == [[f"staging-v2-{number}" for number in (1, 2, 3)]] * 3
    assert serving.answers() == "2"
    assert serving.spread(2) == dict.fromkeys((node.ip for node in serving.nodes), 1)


def test_one_that_cannot_start_ends_the_others_too(serving: Hosted) -> None:
    """A container that belongs to nobody has the name that the second replica needs on the second host."""
    driver = serving.hosts_driver.fleet.hosts[serving.nodes[1].ip].driver
    before = next(row for row in serving.journal.replicas.of("staging") if row.host == serving.nodes[1].ip)
    name = str(driver.place.engine.inspect(before.container)["Name"]).lstrip("/")
    taken = name.replace(before.slot, "v2-2").replace(f"{1:040x}"[:8], f"{2:040x}"[:8])
    engine = serving.engines[1]
    stranger = engine.api.create_container(images.HAPROXY, name=taken)["Id"]
    try:
        with pytest.raises(Refused, match=f"the container {taken} exists already"):
            serving.deploy(2)
        assert serving.journal.ledger.history("staging")[0].state is DeploymentState.FAILED
        started = {line.split()[1] for line in serving.said if line.startswith("started staging-v2")}
        assert "staging-v2-2" not in started
        ensure_only_the_first_serves(serving)
    finally:
        engine.api.remove_container(stranger, force=True)
    serving.deploy(2)
    assert serving.answers() == "2"


def test_an_interruption_between_two_leaves_none(serving: Hosted) -> None:
    def say(text: str) -> None:
        if text.startswith("started staging-v2"):
            raise Interrupted("told to end")

    runtime = EnvironmentRuntime(serving.project, serving.journal, serving.environment, say=say)
    with pytest.raises(Interrupted):
        carry_out.carry_out(runtime, serving.order(How.DEPLOY, 2))
    assert serving.journal.ledger.history("staging")[0].state is DeploymentState.UNDONE
    ensure_only_the_first_serves(serving)


def test_a_process_killed_between_two_is_undone(serving: Hosted) -> None:
    crash(serving, "deploy", 2, "spawn", START)
    rows = [row for row in serving.journal.replicas.of("staging") if row.version == 2]
    assert [row.id for row in rows] == [f"staging-v2-{number}" for number in (1, 2, 3)]
    assert {row.state for row in rows} == {ReplicaState.STARTING} and left_of(serving, 2)
    [line] = recovery.recover(serving.project, serving.journal)
    assert line.endswith("was undone")
    wait_until(lambda: left_of(serving, 2) == [])
    ensure_only_the_first_serves(serving)


def test_a_host_that_goes_away_while_it_starts_leaves_its_replica_to_another(
    serving: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, begin = serving.nodes[2], DockerDriver._started

    def started(self: DockerDriver, container: str, image: str):
        if self.place.address.host == away.ip:
            away.cut()
        return begin(self, container, image)

    monkeypatch.setattr(DockerDriver, "_started", started)
    try:
        serving.deploy(2)
        there = serving.spread(2)
        assert away.ip not in there and there.total() == 3
        assert {serving.answers_of(node) for node in serving.nodes if node is not away} == {"2"}
        assert any("starting staging-v2-3 elsewhere" in line for line in serving.said)
    finally:
        away.mend()
    monkeypatch.setattr(DockerDriver, "_started", begin)
    serving.agent.start()
    wait_until(lambda: not serving.hosts_driver.absent(), 120, what="it is there again")
    wait_until(lambda: len(left_of(serving, 2)) == 3, 120, what="what it started late is gone")


def test_files_of_a_proxy_that_runs_are_replaced_through_the_relay(serving: Hosted) -> None:
    """An engine needs ten times as long to unpack an archive; it does so where the relay may not write."""
    proxies = [each for each in serving.runtime.proxy.instances if isinstance(each.placement, RemoteProxyHost)]
    assert len(proxies) == 6
    replica = serving.journal.replicas.of("staging")[0]
    for weight, writable in ((41, True), (42, False), (43, True)):
        if not writable:
            for each in proxies:
                each.placement.place.engine.api.put_archive(each.placement.container(), RUN_DIR, _unwritable())
        began = time.time_ns()
        serving.runtime.traffic.weigh({replica.id: weight})
        for each in proxies:
            content = _content(each.placement)
            assert f" weight {weight}\n" in content and content == each.placement.config()
        assert (_unpacked(serving, began) == 0) is writable, weight


def _unwritable() -> bytes:
    """The directory of the configuration, as somebody else's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        root = tarfile.TarInfo("proxy")
        root.type, root.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(root)
    return buffer.getvalue()


def _content(proxy: RemoteProxyHost) -> str:
    """The configuration that the container has."""
    container = proxy.container()
    assert container is not None
    parts = proxy.place.engine.fetch(container, str(proxy.home / proxy.path.name))
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
        file = tar.extractfile(proxy.path.name)
        assert file is not None
        return file.read().decode()


def _unpacked(hosted: Hosted, since: int) -> int:
    """How many archives were unpacked in containers since then (nanoseconds since the epoch)."""
    found = 0
    for engine in hosted.engines:
        wanted = {"event": "extract-to-dir", "label": hosted.mark}
        events = engine.api.events(since=since // 10**9, until=int(time.time()) + 1, filters=wanted, decode=True)
        found += sum(event["timeNano"] >= since for event in events)
    return found
