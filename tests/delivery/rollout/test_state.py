"""A rollout's state in the ledger: rows as the version before has written them are read, undone and finished."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from podium.core.delivery.environment import history
from podium.core.delivery.rollout import phases, recovery
from podium.core.domain.delivery import DeploymentState, How, ReplicaState
from podium.core.domain.rollout import (
    CLEAN_UP,
    DRAIN,
    MOVE_ALIASES,
    NOTE,
    SHIFT,
    START,
    VERIFY,
    WAIT_HEALTHY,
    WARM_UP,
    RolloutState,
)

from tests.delivery.light import World

# What stood in `data` after each phase, letter by letter.
READ = '{"weights": {"staging-v1-1": 100}, "new": ["staging-v2-1"], "proxy": true, "stopped": []}'
HEALTHY = READ[:-1] + ', "start_seconds": 0.112}'
SHIFTED = HEALTHY[:-1] + ', "share": 100, "traffic_seconds": 0.317}'
AFTER_CANARY = HEALTHY[:-1] + ', "share": 100, "canary": null, "traffic_seconds": 9.6}'
CANARY = (
    HEALTHY[:-1] + ', "share": 25, "canary": {"stage": 1, "weights": [5, 25], "share": 25, "state": "paused",'
    ' "since": 1722300000.5, "until": null, "results": [], "verdict": null, "message": "paused by anna"}}'
)
ALIASED = '{"aliases": {"champion": 1, "previous": null}, ' + SHIFTED[1:]
OLD = {
    "": "{}",
    NOTE: READ,
    START: READ,
    WAIT_HEALTHY: HEALTHY,
    WARM_UP: HEALTHY,
    SHIFT: SHIFTED,
    MOVE_ALIASES: ALIASED,
    DRAIN: ALIASED,
    VERIFY: ALIASED,
    CLEAN_UP: ALIASED,
}


def old_row(world: World, phase: str, data: str, how: How = How.DEPLOY) -> int:
    """A row as a process of the version before has left it, its new version started and with the traffic it had by
    then."""
    runtime, reached = world.runtime, phases.reached
    if reached(phase, START):
        runtime.lifecycle.start(2, 1, "sha256:2")
    if reached(phase, WAIT_HEALTHY):
        runtime.lifecycle.wait_healthy(["staging-v2-1"])
        runtime.traffic.sync()
    if reached(phase, SHIFT):
        runtime.traffic.wait_up(["v2-1"])
        runtime.traffic.weigh({"staging-v1-1": 0, "staging-v2-1": 100})
    ledger = world.journal.ledger
    row = ledger.begin(environment="staging", how=how, model="tiny", to_version=2, from_version=1, who="anna")
    with closing(sqlite3.connect(world.project.state / "journal.db", timeout=10.0)) as database, database:
        database.execute("UPDATE deployments SET phase = ?, data = ? WHERE id = ?", (phase, data, row.id))
    return row.id


@pytest.fixture
def serving(world: World) -> World:
    world.change(replicas=1)
    world.version(1)
    world.version(2)
    world.deploy(1)
    return world


@pytest.mark.parametrize("phase", OLD)
def test_a_row_of_the_version_before_is_undone_or_finished(serving: World, phase: str) -> None:
    # This environment carries no alias and has no registry: there is none to move back.
    data = json.dumps({key: value for key, value in json.loads(OLD[phase]).items() if key != "aliases"})
    number = old_row(serving, phase, data)
    [line] = recovery.recover(serving.project, serving.journal)
    finished = phases.reached(phase, SHIFT)
    assert line.endswith("was finished" if finished else "was undone")
    row = serving.journal.ledger.get(number)
    assert row.state is (DeploymentState.SUCCEEDED if finished else DeploymentState.UNDONE)
    assert serving.answers() == ("2" if finished else "1")
    assert serving.weights() == ({"v1-1": 0, "v2-1": 100} if finished else {"v1-1": 100})
    assert row.data.items() >= json.loads(data).items()


def test_a_row_of_the_version_before_that_was_given_up_is_undone_however_far_it_came(serving: World) -> None:
    number = old_row(serving, SHIFT, SHIFTED[:-1] + ', "given_up": "most answers were errors"}')
    recovery.recover(serving.project, serving.journal)
    row = serving.journal.ledger.get(number)
    assert (row.state, row.message) == (DeploymentState.FAILED, "most answers were errors; undone")
    assert history.serving(serving.journal, "staging", "tiny") == 1 and serving.answers() == "1"


def test_a_replica_that_a_row_of_the_version_before_calls_new_stays_where_it_had_traffic(serving: World) -> None:
    (row,) = serving.runtime.replicas()
    data = '{"weights": {"staging-v1-1": 100}, "new": ["staging-v1-1"], "proxy": true, "stopped": []}'
    old_row(serving, NOTE, data)
    recovery.recover(serving.project, serving.journal)
    assert [(each.id, each.state) for each in serving.runtime.replicas()] == [(row.id, ReplicaState.READY)]


@pytest.mark.parametrize("text", [*dict.fromkeys(OLD.values()), CANARY, '{"given_up": "the engine is away"}'])
def test_what_is_read_is_written_back_under_the_same_keys(text: str) -> None:
    assert RolloutState.from_json(json.loads(text)).to_json() == json.loads(text)


def test_a_canary_that_is_over_is_none() -> None:
    state = RolloutState.from_json(json.loads(AFTER_CANARY))
    assert state.canary is None and "canary" not in state.to_json() and state.share == 100


def test_keys_of_another_version_survive() -> None:
    data: dict[str, Any] = {"share": 25, "colour": ["green"], "later": {"a": None}}
    assert RolloutState.from_json(data).to_json() == data


def test_values_that_make_no_sense_count_as_not_there() -> None:
    odd: dict[str, Any] = {"weights": None, "new": "x", "proxy": "yes", "stopped": 3, "share": "all", "canary": []}
    assert RolloutState.from_json(odd) == RolloutState()
