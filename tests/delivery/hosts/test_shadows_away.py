"""A host is lost with the shadows of a replay on it: they are ended when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.delivery.replay import shadows
from podium.core.delivery.rollout import phases
from podium.core.domain.delivery import Replica
from podium.core.errors import PodiumError, Unreachable

from tests.delivery.hosts.hosted import Hosted
from tests.runner.scale import scaled
from tests.servers.nodes import Node, Nodes
from tests.support import free_port, wait_until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def hosted(tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Hosted(tmp_path, nodes, port=free_port(), stale="serve", health_timeout=scaled(60.0), keep_stopped=0)
    for number in (1, 2):
        made.version(number)
        made.runtime.driver.prepare(number)
    made.deploy(1)
    yield made
    for node in nodes:
        node.mend()
    made.close()


def started(them: shadows.Shadows) -> list[Replica]:
    return [them.start("champion", 1, ""), them.start("candidate", 2, "")]


def shadows_on(hosted: Hosted, node: Node) -> int:
    wanted = [hosted.mark, "podium.role=shadow"]
    return len(hosted.engine_of(node.ip).containers(wanted))


def notes(hosted: Hosted) -> list[str]:
    return [*hosted.journal.values.all("shadows ")]


def lost(hosted: Hosted, node: Node) -> None:
    """The host is away, and whoever asks it notes that."""
    node.cut()

    def noticed() -> bool:
        for row in hosted.journal.replicas.of("staging"):
            hosted.hosts_driver.alive(row)
        return node.ip in hosted.hosts_driver.absent()

    wait_until(noticed, 60, what="somebody notices that it is away")


def test_what_a_lost_host_runs_of_a_replay_is_ended_when_it_is_back(hosted: Hosted) -> None:
    first, *_, last = hosted.nodes
    with shadows.Shadows(hosted.runtime, who="anna", why="replay of version 2") as them:
        assert {row.host for row in started(them)} == {first.ip} and shadows_on(hosted, first) == 2
        first.cut()
    assert hosted.said[-1].startswith(f"shadows of a replay on staging may be left on {first.ip}")
    assert hosted.journal.locks.all() == [] and shadows_on(hosted, first) == 2
    with pytest.raises(Unreachable, match=f"may be left on {first.ip}"):
        shadows.sweep(hosted.project, hosted.journal)
    with shadows.Shadows(hosted.runtime, who="anna", why="replay of version 2") as them:
        assert first.ip not in {row.host for row in started(them)}, "the others can have a replay meanwhile"
    assert [shadows_on(hosted, node) for node in hosted.nodes] == [2, 0, 0] and notes(hosted) == ["shadows staging"]
    hosted.agent.start()
    first.mend()
    told: list[str] = []

    def swept() -> list[str]:
        try:
            told.extend(shadows.sweep(hosted.project, hosted.journal))
        except PodiumError:
            return []
        return told

    wait_until(swept, 120, what="the host is there again, and what was left on it is ended")
    # A sweep that begins before the host counts as there may end one of them, and is not done.
    assert told[0].startswith("staging: ended ") and "that a replay left behind" in told[0]
    assert shadows_on(hosted, first) == 0 and notes(hosted) == [] and hosted.journal.locks.all() == []
    lost(hosted, last)
    with shadows.Shadows(hosted.runtime, who="anna", why="replay of version 2") as them:
        started(them)
    assert notes(hosted) == [], "a host that was away before can have nothing of this one"
    assert shadows.sweep(hosted.project, hosted.journal) == []
