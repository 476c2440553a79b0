"""A new version has to predict before it gets traffic: its own input example, else what was captured last."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.rollout import plans, verify
from podium.core.domain.delivery import DeploymentState, How
from podium.core.errors import RunFailed

from tests.delivery.light import World


def capture(world: World, *, status: int = 200, content_type: str | None = "application/json") -> None:
    directory = world.runtime.directory / "capture"
    directory.mkdir(exist_ok=True)
    record = {
        "at": time.time(),
        "request_id": "a",
        "version": "1",
        "status": status,
        "seconds": 0.1,
        "content_type": content_type,
        "input": '{"inputs": [[1.0]]}',
        "output": "{}",
    }
    with (directory / "capture-1.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def test_with_nothing_to_predict_it_says_so(world: World) -> None:
    world.version(1, example=False)
    capture(world, status=500)
    capture(world, content_type="text/csv")
    world.deploy(1)
    told = next(line for line in world.said if line.startswith("warm-up: "))
    assert "nothing to predict with: the model has no input example, and no request was captured" in told


@pytest.mark.parametrize("host", ["ssh://build@elsewhere", ""])
def test_captures_of_another_machine_are_not_copied_for_a_warm_up(
    world: World, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    world.change(driver="docker", host=host)
    asked: list[bool] = []

    class Captures:
        def captures(self) -> Path:
            asked.append(True)
            return world.runtime.directory / "capture"

    runtime = world.runtime
    monkeypatch.setattr(EnvironmentRuntime, "driver", Captures())
    told = verify.warm_up(runtime, [], world.project.home)
    assert told.startswith("nothing to predict with: the model has no input example, and no request was captured")
    assert asked == ([] if host else [True])


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"status": 500}, "answers the last captured request with 500"),
        ({"delay": 5}, "does not answer the last captured request"),
    ],
)
def test_the_last_captured_request_is_asked_and_a_failure_is_undone(
    world: World, monkeypatch: pytest.MonkeyPatch, behaviour: dict[str, object], words: str
) -> None:
    monkeypatch.setattr(verify, "FIRST_ANSWER_TIMEOUT", 2.0)
    world.version(1)
    world.version(2, example=False, **behaviour)
    world.deploy(1)
    capture(world)
    plan = plans.plan(world.project, world.journal, How.DEPLOY, "staging", 2)
    assert "wait until they are healthy, and have each predict" in plan.steps
    with pytest.raises(RunFailed, match=words):
        world.deploy(2)
    assert world.journal.ledger.history("staging")[0].state is DeploymentState.FAILED
    assert world.answers() == "1" and world.runtime.replicas(2) == []


def test_a_captured_request_that_the_new_version_refuses_is_no_failure(world: World) -> None:
    world.version(1, example=False, status=400)
    capture(world)
    world.deploy(1)
    assert "warm-up: 3 predictions of the last captured request on each of 2 replicas" in world.said
