"""What a Git host is told of environments."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.domain.delivery import DeploymentState
from podium.core.domain.hosts import StatusState

from tests.hosting.scene import SHA, Scene

OTHER = "f" * 40


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_deployment_is_told_when_it_begins_and_when_it_ended(scene: Scene) -> None:
    made = scene.deploy(7, state=None)
    scene.send()
    (there,) = scene.host.deployments("production")
    assert (there.sha, there.state, there.url) == (SHA, StatusState.PENDING, "")
    scene.journal.ledger.finish(made.id, DeploymentState.SUCCEEDED)
    scene.send()
    (there,) = scene.host.deployments("production")
    assert there.state is StatusState.SUCCESS


def test_an_address_that_others_can_reach_is_linked(tmp_path: Path) -> None:
    scene = Scene(tmp_path, bind="10.1.2.3")
    scene.deploy(7)
    scene.send()
    assert scene.host.deployments()[0].url == "http://10.1.2.3:5100"


def test_a_version_without_a_commit_is_nothing_for_the_host(scene: Scene) -> None:
    scene.deploy(7, sha="")
    scene.send()
    assert scene.host.deployments() == []
    assert scene.waiting() == []


def test_one_that_failed_does_not_hide_what_serves(scene: Scene) -> None:
    scene.deploy(6)
    scene.deploy(7, sha=OTHER, state=DeploymentState.UNDONE)
    scene.send()
    assert [(each.sha, str(each.state)) for each in scene.host.deployments()] == [(SHA, "success"), (OTHER, "failure")]


def test_what_serves_is_told_last_even_if_an_older_one_ends_after_it(scene: Scene) -> None:
    older = scene.deploy(6, state=None)
    newer = scene.deploy(7, sha=OTHER)
    scene.journal.ledger.finish(older.id, DeploymentState.SUCCEEDED)
    scene.send()
    told = [call for call in scene.host.asked if call == "set_deployment"]
    assert newer.id > older.id
    assert told, "both were told"
    with scene.host._state("") as state:
        assert state["deployments"][state["last"]["production"]]["sha"] == OTHER


def test_one_that_is_told_twice_is_one(scene: Scene) -> None:
    made = scene.deploy(7, state=None)
    scene.send()
    scene.journal.ledger.finish(made.id, DeploymentState.SUCCEEDED)
    scene.send()
    scene.journal.ledger.finish(made.id, DeploymentState.SUCCEEDED)
    scene.send()
    assert len(scene.host.deployments()) == 1
