"""A host that is there and cannot take part: the others go on, and what is left there ends when it can again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.delivery.drivers import noted_absent
from podium.core.delivery.drivers.hosts import driver as hosts
from podium.core.delivery.drivers.hosts.driver import HostsDriver
from podium.core.delivery.environment.healing import heal_environment
from podium.core.delivery.rollout import phases
from podium.core.delivery.status import status as environments
from podium.core.errors import RunFailed

from tests.delivery.hosts.hosted import Hosted
from tests.runner.scale import scaled
from tests.servers.nodes import Nodes
from tests.support import free_port, wait_until

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def hosted(tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Hosted(tmp_path, nodes, replicas=3, port=free_port(), stale="serve", health_timeout=scaled(60.0))
    made.version(1)
    made.deploy(1)
    yield made
    made.close()


def heal(hosted: Hosted) -> list[str]:
    return heal_environment(hosted.project, hosted.journal, hosted.environment)


def test_one_that_cannot_have_the_image_keeps_nobody_from_healing_the_others(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def full(driver: HostsDriver, host: hosts.Host, version: int) -> None:
        tried.append(host.name)
        raise RunFailed(f"{host.name}: its disk is full")

    monkeypatch.setattr(HostsDriver, "_bring_to", full)
    monkeypatch.setattr(hosts, "_has_image", lambda driver: str(driver.place.address) != str(last.address))
    last = hosted.hosts_driver.fleet.hosts[hosted.nodes[2].ip]
    last.state.equipped = False  # as it is after a new installation
    victim = next(row for row in hosted.journal.replicas.of("staging") if row.host == hosted.nodes[0].ip)
    hosted.engine_of(victim.host).api.kill(victim.container)
    said: list[str] = []
    wait_until(lambda: said.extend(heal(hosted)) or any(victim.id in line for line in said))
    assert "its disk is full" in noted_absent(hosted.journal, "staging")[last.name].why
    for _ in range(5):
        said += heal(hosted)
    assert tried == [last.name], "what costs so much is not tried again at once"
    assert len([line for line in said if "cannot be put right" in line]) <= 1
    assert hosted.answers_of(hosted.nodes[0]) == "1"

    monkeypatch.undo()
    monkeypatch.setattr(hosts, "_EQUIP_SECONDS", 0.0)
    wait_until(lambda: said.extend(heal(hosted)) or any("was put right" in line for line in said))
    assert noted_absent(hosted.journal, "staging") == {}
    assert hosted.answers() == "1"


def test_what_was_stopped_while_a_host_was_away_for_that_process_alone_ends_there(hosted: Hosted) -> None:
    last = hosted.hosts_driver.fleet.hosts[hosted.nodes[2].ip]
    last.state.lost("the line was cut")
    environments.stop(hosted.project, hosted.journal, hosted.environment)
    assert [line for line in hosted.left() if last.name in line], "nobody could reach it"
    wait_until(lambda: heal(hosted) is not None and hosted.left() == [], 30)
    assert noted_absent(hosted.journal, "staging") == {} and heal(hosted) == []
