"""A row of podium status: what answers during a rollout, and why there is no way back."""

from __future__ import annotations

from dataclasses import replace

from podium.cli.commands.delivery import _status_row
from podium.core.domain.delivery import EnvironmentStatus, How, Replica, ReplicaState, RolloutUnderWay

NEW, OLD = (
    Replica(f"production-v{version}-1", "production", version, f"v{version}-1", 20000 + version, state, weight=weight)
    for version, state, weight in ((2, ReplicaState.READY, 100), (3, ReplicaState.DRAINING, 0))
)


def status(**more: object) -> EnvironmentStatus:
    given = {"replicas": (NEW, OLD), "proxy_alive": True, **more}
    return EnvironmentStatus(
        "production", "process", "http://127.0.0.1:1", True, "champion", "rolling", 3, 2, None, **given
    )  # type: ignore[arg-type]


def test_a_rollback_under_way_says_what_answers_not_what_the_ledger_has() -> None:
    rollout = RolloutUnderWay(9, How.ROLLBACK, 2, 3, "draining", 8, 10)
    row = _status_row(status(rollout=rollout, traffic={2: 1.0}, locked_by="anna"), {})
    assert (row[1], row[4]) == ("v2", "1/1 ready, 1 draining")
    assert "rollback of v2" in row[-1] and "draining (phase 8 of 10), by anna" in row[-1]
    assert "no replica is ready" not in row[-1]
    assert _status_row(status(rollout=rollout, traffic={2: 0.75, 3: 0.25}), {})[1] == "v2 75%, v3 25%"


def test_what_stands_in_the_way_back_is_named() -> None:
    words = "version 2 served before and is quarantined: errors (by anna)"
    serves = replace(NEW, version=3)
    assert _status_row(status(rollback_note=words, replicas=(serves,)), {})[-1] == f"no way back: {words}"
