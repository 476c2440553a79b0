"""Containers held against rows, without an engine: what is told of each, how grave it is, and what a repair would
do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.containers.engine import labels as names
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.status.container_differences import beside, compare
from podium.core.domain.containers import Container, EngineSnapshot
from podium.core.domain.delivery import Replica, ReplicaState
from podium.core.domain.repair import DifferenceKind, Severity

from tests.delivery.light import MODEL, World

ROW = Replica(
    "staging-v1-1",
    "staging",
    1,
    "v1-1",
    8080,
    ReplicaState.READY,
    weight=100,
    container="c1",
    image="sha256:right",
    digest="sha256:files",
)


@pytest.fixture
def runtime(world: World, tmp_path: Path) -> EnvironmentRuntime:
    world.version(1)
    world.change(driver="docker")  # which asks its engine nothing here
    return world.runtime


def container(runtime: EnvironmentRuntime, **more: Any) -> Container:
    labels = {names.VERSION: "1", names.MODEL: MODEL, names.COMMIT: f"{1:040x}", names.DIGEST: "sha256:files"}
    known = Container(
        "c1",
        "c1",
        "staging",
        "replica",
        "running",
        0.0,
        image_id="sha256:right",
        replica=ROW.id,
        labels=labels,
        networks=(runtime.driver.owned_names().network,),
    )
    return replace(known, **more)


def test_one_that_is_as_it_should_be(runtime: EnvironmentRuntime) -> None:
    assert compare(runtime, ROW, container(runtime), busy=False) == []


@pytest.mark.parametrize(
    ("more", "kind", "words", "repair"),
    [
        (
            {"image_id": "sha256:" + "f" * 64},
            DifferenceKind.IMAGE,
            "runs image ffffffffffff instead of right",
            "replace",
        ),
        ({"labels": {names.VERSION: "7"}}, DifferenceKind.LABELS, "labelled with version 7 instead of 1", "replace"),
        (
            {"labels": {names.COMMIT: "e" * 40, names.MODEL: "other"}},
            DifferenceKind.LABELS,
            "model other instead of tiny, commit eeeeeeeeeeee instead of",
            "replace",
        ),
        (
            {"labels": {names.DIGEST: "sha256:other"}},
            DifferenceKind.LABELS,
            "digest sha256:other instead of sha256:files",
            "replace",
        ),
        ({"networks": ("bridge",)}, DifferenceKind.NETWORK, "is not on the environment's network", "connect"),
        ({"health": "unhealthy"}, DifferenceKind.UNHEALTHY, "is unhealthy", "restart"),
    ],
)
def test_what_differs(
    runtime: EnvironmentRuntime, more: dict[str, Any], kind: DifferenceKind, words: str, repair: str
) -> None:
    [found] = compare(runtime, ROW, container(runtime, **more), busy=False)
    assert (
        (found.kind, found.subject, found.severity) == (kind, ROW.id, Severity.PROBLEM)
        and words in found.words
        and found.repair.startswith(repair)
    )
    [idle] = compare(runtime, replace(ROW, weight=0), container(runtime, **more), busy=False)
    assert idle.severity is Severity.WARNING, "nobody's requests go there"
    assert compare(runtime, ROW, container(runtime, **more), busy=True) == [], "a running change explains it"


@pytest.mark.parametrize(
    ("restarts", "severity", "times"), [(1, Severity.WARNING, "once"), (3, Severity.PROBLEM, "3 times")]
)
def test_restarts_are_told_and_left_to_people(
    runtime: EnvironmentRuntime, restarts: int, severity: Severity, times: str
) -> None:
    [found] = compare(runtime, ROW, container(runtime, restarts=restarts), busy=False)
    assert (found.kind, found.severity, found.repairable) == (
        DifferenceKind.RESTARTED,
        severity,
        False,
    ) and times in found.words
    assert (
        compare(
            runtime,
            replace(ROW, state=ReplicaState.STOPPED),
            container(runtime, restarts=restarts, state="exited"),
            busy=False,
        )
        == []
    )


def test_what_nobody_here_made(runtime: EnvironmentRuntime) -> None:
    from podium.core.delivery.drivers.docker.create import EngineNames

    called = EngineNames(runtime.project, "staging")
    ours = [
        container(runtime),
        Container("p", called.proxy(1), "staging", names.PROXY_ROLE, "running", 0.0),
        Container("q", called.proxy(2), "staging", names.PROXY_ROLE, "running", 0.0),
        Container("s", "shadow", "staging", names.SHADOW_ROLE, "running", 0.0),
        Container("n", "coming", "staging", names.REPLICA_ROLE, "created", 0.0, replica="staging-v2-1"),
    ]
    foreign = [
        Container("x", "by-hand", "staging", names.REPLICA_ROLE, "running", 0.0),
        Container("y", "copy", "staging", names.REPLICA_ROLE, "running", 0.0, replica=ROW.id),
        Container("z", "third-proxy", "staging", names.PROXY_ROLE, "running", 0.0),
    ]
    coming = Replica("staging-v2-1", "staging", 2, "v2-1", 8080, ReplicaState.STARTING)
    found = beside(runtime, [ROW, coming], EngineSnapshot("staging", "", 0.0, (*ours, *foreign)))
    assert [each.subject for each in found] == ["by-hand", "copy", "third-proxy"]
    assert all(
        each.kind is DifferenceKind.STRAY and each.repair == f"remove the container {each.subject}" for each in found
    )
