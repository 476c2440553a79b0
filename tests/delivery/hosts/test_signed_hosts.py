"""`verify: required` over several hosts: each of them starts only the image that was signed, whoever starts it again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.containers.engine import labels as names
from podium.core.delivery.environment.healing import heal_environment
from podium.core.delivery.rollout import phases
from podium.core.domain.delivery import Replica
from podium.core.errors import Refused, Unreachable
from podium.core.signatures.required import _judged

from tests.conftest import required
from tests.delivery.docker.test_signed_docker import exchange, sign
from tests.delivery.hosts.hosted import Hosted
from tests.delivery.signing import let_anna_sign
from tests.runner.scale import scaled
from tests.servers.nodes import Nodes
from tests.support import free_port, wait_until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def hosted(tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    required("" if shutil.which("ssh-keygen") else "ssh-keygen")
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Hosted(
        tmp_path / "world",
        nodes,
        verify="required",
        replace=scaled(1.0),
        port=free_port(),
        lease=scaled(15.0),
        health_timeout=scaled(60.0),
    )
    let_anna_sign(made, tmp_path)
    yield made
    made.close()


def on(hosted: Hosted, host: str) -> Replica:
    """Returns the replica of a host."""
    return next(row for row in hosted.journal.replicas.of("staging") if row.host == host)


def container(hosted: Hosted, host: str) -> dict[str, Any]:
    return hosted.engine_of(host).inspect(on(hosted, host).container)


def helpers(hosted: Hosted, host: str = "") -> list[str]:
    """Returns the relays on all hosts, or on one: they are made of a serving image."""
    role = f"{names.ROLE}={names.RELAY_ROLE}"
    engines = [hosted.engine_of(host)] if host else hosted.engines
    return [each["Id"] for engine in engines for each in engine.containers([hosted.mark, role], stopped=True)]


def replicas(hosted: Hosted, host: str = "") -> list[dict[str, Any]]:
    """Returns the containers of replicas on all hosts, or on one, whatever their state."""
    role = f"{names.ROLE}={names.REPLICA_ROLE}"
    engines = [hosted.engine_of(host)] if host else hosted.engines
    return [each for engine in engines for each in engine.containers([hosted.mark, role], stopped=True)]


def test_each_host_starts_only_the_image_that_was_signed(hosted: Hosted) -> None:
    hosted.agent.start()
    hosted.version(1)
    with pytest.raises(Refused, match="nobody has signed it"):
        hosted.deploy(1)
    fleet = hosted.hosts_driver.fleet
    hosted.hosts_driver._bring(1, fleet.present)  # now each host has it, by the same digest
    for host in fleet.present:
        with pytest.raises(Unreachable, match="no image yet that is signed that could run the relay"):
            host.transport._image()
    assert sign(hosted, 1) == 1
    _judged.cache_clear()
    hosted.deploy(1)
    assert hosted.answers() == "1" and len(hosted.spread(1)) == len(hosted.nodes)
    (image,) = {each["ImageID"] for each in replicas(hosted)}
    _an_engine_restarts_it_by_itself(hosted, image)
    hosted.agent.close()  # from here on what it does is done here, a turn at a time
    _the_image_of_one_host_is_exchanged(hosted, image)
    _a_host_is_away_and_nobody_may_sign_any_more(hosted)


def _an_engine_restarts_it_by_itself(hosted: Hosted, image: str) -> None:
    host = hosted.nodes[0].ip
    before = container(hosted, host)
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    wait_until(lambda: container(hosted, host)["State"]["Pid"] not in (0, before["State"]["Pid"]), 60)
    after = container(hosted, host)
    assert (after["Id"], after["Image"]) == (before["Id"], image), "the same container, of the image that was signed"
    assert after["RestartCount"] == before["RestartCount"] + 1, "it was the engine, not the agent"


def _the_image_of_one_host_is_exchanged(hosted: Hosted, image: str) -> None:
    """And what ran of it is gone: nothing is made of the other one, be it a helper, and the other hosts serve on."""
    node, engine = hosted.nodes[1], hosted.engine_of(hosted.nodes[1].ip)
    whole = b"".join(engine.api.get_image(image))
    for each in (on(hosted, node.ip).container, *helpers(hosted, node.ip)):
        engine.api.remove_container(each, force=True)
    exchange(hosted, 1, engine)
    said = healed_until(hosted, node.ip, "no image yet that is signed")
    assert replicas(hosted, node.ip) == [] and helpers(hosted, node.ip) == [], said
    others = [each for each in hosted.nodes if each is not node]
    assert {hosted.answers_of(each) for each in others} == {"1"}
    engine.api.load_image(whole)
    healed_until(hosted, f"{node.ip} answers again")
    wait_until(lambda: hosted.answers_of(node) == "1", 60)
    assert {each["ImageID"] for each in replicas(hosted)} == {image}


def _a_host_is_away_and_nobody_may_sign_any_more(hosted: Hosted) -> None:
    """What would be started elsewhere is checked, too."""
    away = hosted.nodes[2]
    row = on(hosted, away.ip)
    (hosted.project.home / "allowed_signers").write_text("")
    _judged.cache_clear()
    away.cut()
    try:
        assert row.id in healed_until(hosted, "its key is none of", row.id)
        assert hosted.answers_of(hosted.nodes[0]) == "1", "what runs is left alone"
    finally:
        away.mend()


def healed_until(hosted: Hosted, *words: str) -> str:
    """Heals until that says a line with these words; returns it."""
    found: list[str] = []

    def told() -> bool:
        found.extend(heal_environment(hosted.project, hosted.journal, hosted.environment))
        return any(all(each in line for each in words) for line in found)

    wait_until(told, 120, what=f"healing says {words}")
    return next(line for line in found if all(each in line for each in words))
