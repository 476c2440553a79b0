"""One environment on three hosts, as the example has it: a version goes up, another takes over, and the way back, with
traffic from outside to every host and not one request lost; a host that leaves podium.yaml; what a plan says without an
agent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.config.loading import from_text
from podium.core.containers.engine import labels as names
from podium.core.containers.images.sending import SavedImage, send
from podium.core.delivery.environment import healing
from podium.core.delivery.rollout import phases, plans
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import How
from podium.core.errors import Refused
from podium.core.journal import Journal

from tests.delivery.hosts.hosted import Hosted, Outside
from tests.runner.scale import scaled
from tests.servers import images
from tests.servers.nodes import Nodes
from tests.support import free_port, wait_until

pytestmark = pytest.mark.timeout(900)
EXAMPLE = Path(__file__).parents[3] / "examples/flights/podium.hosts.yaml"


@pytest.fixture
def hosted(tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    """What the example says of its environment, on other machines and with a light model."""
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    written = from_text(EXAMPLE.read_text(), str(EXAMPLE), tmp_path, tmp_path, {}).environments["production"]
    kept = ("bind", "open", "replace", "replicas", "keep", "capture", "strategy")
    made = Hosted(
        tmp_path,
        nodes,
        **{key: getattr(written, key) for key in kept},
        port=free_port(),
        lease=scaled(15.0),
        health_timeout=scaled(60.0),
    )
    made.change(strategy=replace(made.environment.strategy, interval=scaled(0.5), analysis=(), drain=2.0))
    yield made
    made.close()


def seen(hosted: Hosted):
    return environments.status(hosted.project, hosted.journal, hosted.environment)


@pytest.mark.in_turn(1, of="long stories")
def test_up_over_and_back_on_three_hosts_without_losing_a_request(hosted: Hosted) -> None:
    for number in (1, 2):
        hosted.version(number)
    refusal = plans.plan(hosted.project, hosted.journal, How.DEPLOY, "staging", 1).refusal
    assert "no agent watches this project" in refusal
    hosted.agent.start()
    hosted.deploy(1)
    assert hosted.answers() == "1" and hosted.spread(1) == dict.fromkeys((node.ip for node in hosted.nodes), 1)
    now = seen(hosted)
    assert now.differences == (), now.differences
    with Outside(hosted) as load:
        wait_until(lambda: load.total > 60)
        hosted.deploy(2)
        wait_until(lambda: all('{"predictions": [2]}' in each for each in load.answers.values()))
        back = hosted.rollback(1)
        seen_so_far = load.total
        wait_until(lambda: load.total > seen_so_far + 60)
    assert load.failures == [], (load.failures[:5], hosted.said)
    assert "start_seconds" not in back.data, "what was warm on every host had nothing to start"
    assert hosted.answers() == "1" and seen(hosted).differences == ()
    # Of the second version only what the hosts did not have was sent.
    sent = [line for line in hosted.said if line.startswith("sending image")]
    assert sum("without" in line for line in sent) == 2, sent
    _one_is_away_for_too_long(hosted)
    _one_leaves(hosted)


def _one_is_away_for_too_long(hosted: Hosted) -> None:
    """After `replace` its replicas are started elsewhere; when it is back it has nothing of them any more."""
    hosted.change(replace=scaled(1.0))
    away = hosted.nodes[1]
    away.cut()
    try:
        wait_until(
            lambda: (
                away.ip not in hosted.spread(1)
                and all(row.state == "ready" for row in hosted.journal.replicas.of("staging") if row.version == 1)
            ),
            180,
            what="its replica serves on another host",
        )
        assert {hosted.answers_of(node) for node in hosted.nodes if node is not away} == {"1"}
        assert any(away.ip in each.words and "elsewhere" in each.words for each in seen(hosted).differences)
    finally:
        away.mend()
    wait_until(lambda: not hosted.hosts_driver.absent(), 120, what="it is there again")
    role = f"{names.ROLE}={names.REPLICA_ROLE}"
    wanted = {row.container for row in hosted.journal.replicas.of("staging")}
    left = {each["Id"] for each in hosted.engine_of(away.ip).containers([hosted.mark, role])}
    assert left <= wanted, "what was started elsewhere runs there no more"
    wait_until(lambda: hosted.answers_of(away) == "1", 60, what="it answers as all do")


def _one_leaves(hosted: Hosted) -> None:
    """A host is taken out of podium.yaml: its replicas are started on the others."""
    left = hosted.environment.hosts[-1]
    hosted.change(hosts=hosted.environment.hosts[:-1])
    with Journal.open(hosted.journal.path) as journal:
        wait_until(
            lambda: (
                healing.heal_environment(hosted.project, journal, hosted.environment) == []
                and left.name not in hosted.spread(1)
            ),
            120,
            what="it has nothing any more",
        )
    assert sum(hosted.spread(1).values()) == 3
    assert {hosted.answers_of(node) for node in hosted.nodes[:-1]} == {"1"}


def test_an_image_is_sent_without_what_is_there_and_never_to_another_kind_of_machine(
    nodes: Nodes, tmp_path: Path
) -> None:
    hosted = Hosted(tmp_path, nodes)
    try:
        source, target = hosted.engines[:2]
        images.ensure(source.api, images.SHELL)
        with SavedImage(source, images.SHELL, tmp_path) as saved:
            whole, none = saved.size(0), saved.size(len(saved.layers))
            assert none < whole / 10 and sum(map(len, saved.pieces(0))) >= whole
            assert list(tmp_path.glob(".image-*")) == [], "its file has no name that could be left behind"
            said: list[str] = []
            send(saved, target, (), say=said.append)
            assert target.api.inspect_image(saved.id)["Id"] == saved.id
            saved.machine = "linux/of-another-kind"
            with pytest.raises(Refused, match="of-another-kind"):
                send(saved, hosted.engines[2], (), say=said.append)
    finally:
        hosted.close()
