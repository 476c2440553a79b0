"""Containers held against rows, without an engine: what is told of each, how grave it is, and what a repair would do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.containers import labels as names
from podium.core.delivery.container_differences import beside, compare, network
from podium.core.delivery.site import Site
from podium.core.domain.containers import Container, Picture
from podium.core.domain.delivery import Replica, ReplicaState
from podium.core.domain.repair import Kind, Severity

from tests.delivery.light import MODEL, World

ROW = Replica("staging-v1-1", "staging", 1, "v1-1", 8080, ReplicaState.READY, weight=100, container="c1", image="sha256:right", digest="sha256:files")


@pytest.fixture
def site(world: World, tmp_path: Path) -> Site:
    world.version(1)
    return world.site


def container(site: Site, **more: Any) -> Container:
    labels = {names.VERSION: "1", names.MODEL: MODEL, names.COMMIT: f"{1:040x}", names.DIGEST: "sha256:files"}
    known = Container("c1", "c1", "staging", "replica", "running", 0.0, image_id="sha256:right", replica=ROW.id, labels=labels, networks=(network(site),))
    return replace(known, **more)


def test_one_that_is_as_it_should_be(site: Site) -> None:
    assert compare(site, ROW, container(site), busy=False) == []


@pytest.mark.parametrize(
    ("more", "kind", "words", "repair"),
    [
        ({"image_id": "sha256:" + "f" * 64}, Kind.IMAGE, "runs image ffffffffffff instead of right", "replace"),
        ({"labels": {names.VERSION: "7"}}, Kind.LABELS, "labelled with version 7 instead of 1", "replace"),
        ({"labels": {names.COMMIT: "e" * 40, names.MODEL: "other"}}, Kind.LABELS, "model other instead of tiny, commit eeeeeeeeeeee instead of", "replace"),
        ({"labels": {names.DIGEST: "sha256:other"}}, Kind.LABELS, "digest sha256:other instead of sha256:files", "replace"),
        ({"networks": ("bridge",)}, Kind.NETWORK, "is not on the environment's network", "connect"),
        ({"health": "unhealthy"}, Kind.UNHEALTHY, "is unhealthy", "restart"),
    ],
)
def test_what_differs(site: Site, more: dict[str, Any], kind: Kind, words: str, repair: str) -> None:
    [found] = compare(site, ROW, container(site, **more), busy=False)
    assert (found.kind, found.subject, found.severity) == (kind, ROW.id, Severity.PROBLEM) and words in found.words and found.repair.startswith(repair)
    [idle] = compare(site, replace(ROW, weight=0), container(site, **more), busy=False)
    assert idle.severity is Severity.WARNING, "nobody's requests go there"
    assert compare(site, ROW, container(site, **more), busy=True) == [], "a change under way explains it"


@pytest.mark.parametrize(("restarts", "severity", "times"), [(1, Severity.WARNING, "once"), (3, Severity.PROBLEM, "3 times")])
def test_restarts_are_told_and_left_to_people(site: Site, restarts: int, severity: Severity, times: str) -> None:
    [found] = compare(site, ROW, container(site, restarts=restarts), busy=False)
    assert (found.kind, found.severity, found.repairable) == (Kind.RESTARTED, severity, False) and times in found.words
    assert compare(site, replace(ROW, state=ReplicaState.STOPPED), container(site, restarts=restarts, state="exited"), busy=False) == []


def test_what_nobody_here_made(site: Site) -> None:
    from podium.core.delivery.drivers.docker_create import Names

    called = Names(site.project, "staging")
    ours = [
        container(site),
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
    found = beside(site, [ROW, coming], Picture("staging", "", 0.0, (*ours, *foreign)))
    assert [each.subject for each in found] == ["by-hand", "copy", "third-proxy"]
    assert all(each.kind is Kind.STRAY and each.repair == f"remove the container {each.subject}" for each in found)
