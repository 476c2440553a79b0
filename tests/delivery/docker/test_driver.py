"""Replicas in containers: a version goes up, another takes over, and the way back, with traffic on and not one
request lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.containers.engine.address import of_environment
from podium.core.delivery.environment import healing
from podium.core.delivery.rollout import phases, plans
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import How, ReplicaState
from podium.core.errors import RunFailed

from tests.delivery.docker.docked import Docked
from tests.delivery.light import Load
from tests.support import wait_until


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Docked(tmp_path, engine)
    yield made
    made.close()


def status(docked: Docked):
    return environments.status(docked.project, docked.journal, docked.environment)


def test_up_over_and_back_without_losing_a_request(docked: Docked) -> None:
    docked.version(1)
    docked.version(2)
    docked.deploy(1)
    assert docked.answers() == "1" and status(docked).differences == ()
    with Load(docked.port, rate=200) as load:
        wait_until(lambda: load.total > 50)
        docked.deploy(2)
        now = status(docked)
        assert (
            now.differences == ()
            and now.serving == 2
            and (now.rollback_to, now.rollback_note) == (1, "version 1 is warm")
        )
        wait_until(lambda: '{"predictions": [2]}' in load.answers)
        back = docked.rollback(1)
        wait_until(lambda: load.total > 400)
    assert load.failures == [], docked.evidence()
    assert "start_seconds" not in back.data, "what was warm had nothing to start before it was given the traffic"
    assert docked.answers() == "1" and status(docked).differences == ()


def test_a_plan_names_the_images(docked: Docked) -> None:
    docked.change(replicas=1)
    docked.version(1)
    docked.version(2)
    docked.deploy(1)
    project, journal = docked.project, docked.journal
    image = next(
        each for each in plans.plan(project, journal, How.DEPLOY, "staging", 2).changes if each.subject == "image"
    )
    known = {
        version: journal.images.get(project.mlflow.model, version, str(of_environment(project, docked.environment)))
        for version in (1, 2)
    }
    assert known[1] is not None and image.before == known[1].reference[:19]
    assert image.after == (known[2].reference[:19] if known[2] else "to be brought there, or built")


def test_how_a_replica_is_created(docked: Docked) -> None:
    docked.change(replicas=1, memory=128 << 20, cpus=0.5, capture=1.0)
    docked.version(1)
    docked.deploy(1)
    [replica] = docked.containers("replica")
    found = docked.engine.inspect(replica["Id"])
    host = found["HostConfig"]
    assert (
        host["ReadonlyRootfs"]
        and host["CapDrop"] == ["ALL"]
        and host["SecurityOpt"] == ["no-new-privileges"]
        and host["Init"]
    )
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (128 << 20, 128 << 20, 500_000_000)
    assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"} and "/tmp" in host["Tmpfs"]
    assert not host["PortBindings"], "the proxy reaches it at its own address"
    assert (host["RestartPolicy"]["Name"], host["CpuShares"]) == ("unless-stopped", 1024), "it has been healthy"
    labels = found["Config"]["Labels"]
    wanted = {
        names.ENVIRONMENT: "staging",
        names.REPLICA: "staging-v1-1",
        names.VERSION: "1",
        names.MODEL: "tiny",
        names.COMMIT: f"{1:040x}",
        names.RUN: "1",
    }
    assert {key: labels[key] for key in wanted} == wanted and labels[names.DIGEST].startswith("sha256:")
    assert replica["Names"][0].startswith("/podium-tiny-staging-v1-1-00000000-")
    [row] = docked.runtime.replicas()
    assert (
        (row.container, row.port, row.pid) == (replica["Id"], 8080, None)
        and row.address.count(".") == 3
        and row.image == found["Image"]
    )
    assert len(docked.containers("proxy")) == 2
    for proxy in docked.containers("proxy"):
        found = docked.engine.inspect(proxy["Id"])
        assert (
            found["HostConfig"]["NetworkMode"] == "host"
            and found["HostConfig"]["ReadonlyRootfs"]
            and found["HostConfig"]["CapDrop"] == ["ALL"]
        )
    environments.stop(docked.project, docked.journal, docked.environment)
    assert docked.things() == {"containers": 0, "networks": 0, "volumes": 0}


def test_versions_are_kept_warm_then_stopped_then_removed(docked: Docked) -> None:
    docked.change(replicas=1, keep=1, keep_stopped=1)
    for number in (1, 2, 3, 4):
        docked.version(number)
        docked.deploy(number)
    states = {row.id: row.state for row in docked.runtime.replicas()}
    assert states == {
        "staging-v4-1": ReplicaState.READY,
        "staging-v3-1": ReplicaState.WARM,
        "staging-v2-1": ReplicaState.STOPPED,
    }
    assert len(docked.containers("replica")) == 3 and len(docked.containers("replica", stopped=False)) == 2
    assert (
        status(docked).differences == ()
        and healing.heal_environment(docked.project, docked.journal, docked.environment) == []
    )
    [kept] = [row for row in docked.runtime.replicas() if row.state is ReplicaState.STOPPED]
    with Load(docked.port) as load:
        wait_until(lambda: load.total > 20)
        back = docked.rollback(2)
        wait_until(lambda: '{"predictions": [2]}' in load.answers)
    assert load.failures == [] and "traffic_seconds" in back.data
    [row] = docked.runtime.replicas(2)
    assert row.container == kept.container, "the same container was started again"
    assert status(docked).differences == ()


def test_a_change_that_fails_leaves_a_stopped_version_as_it_was(docked: Docked) -> None:
    docked.change(replicas=1, keep=0, keep_stopped=2)
    docked.version(1, start=1.0)
    docked.version(2)
    docked.deploy(1)
    docked.deploy(2)
    [before] = docked.runtime.replicas(1)
    assert before.state is ReplicaState.STOPPED
    note = status(docked).rollback_note
    assert note == "version 1 is stopped and kept: it has to be started again first"
    docked.change(health_timeout=0.3)
    with pytest.raises(RunFailed, match="staging-v1-1 is not healthy after"):
        docked.deploy(1)
    [after] = docked.runtime.replicas(1)
    assert (after.state, after.container) == (ReplicaState.STOPPED, before.container) and docked.answers() == "2"
    assert status(docked).differences == () and len(docked.containers("replica", stopped=False)) == 1
    docked.change(health_timeout=20.0)
    docked.rollback(1)
    assert docked.answers() == "1" and docked.runtime.replicas(1)[0].container == before.container


def test_what_a_container_said_and_how_it_ended_is_told(docked: Docked) -> None:
    docked.change(replicas=1)
    docked.version(1)
    docked.version(2, crash=True)
    docked.deploy(1)
    with pytest.raises(RunFailed) as caught:
        docked.deploy(2)
    text = str(caught.value)
    assert (
        "staging-v2-1 ended while it was starting" in text
        and "No module named 'a_package_that_is_not_there'" in text
        and "\x1b" not in text
    )
    assert "It ended with exit code 1." in text
    assert "a_package_that_is_not_there" in (docked.runtime.directory / "staging-v2-1.log").read_text()
    assert docked.answers() == "1" and docked.runtime.replicas(2) == [] and len(docked.containers("replica")) == 1
    assert status(docked).differences == ()


def test_an_address_stays_a_replicas_whatever_is_restarted_in_whatever_order(docked: Docked) -> None:
    docked.version(1)
    docked.version(2)
    docked.deploy(1)
    docked.deploy(2)
    before = {row.container: row.address for row in docked.runtime.replicas()}
    assert len(set(before.values())) == 4
    # As an engine does after a reboot, with nobody of ours there: all end, and come back in another order.
    for container in before:
        docked.engine.api.stop(container, timeout=1)
    for container in reversed(before):
        docked.engine.api.start(container)
    after = {one["Id"]: one["NetworkSettings"]["Networks"] for one in docked.containers("replica")}
    assert {container: next(iter(networks.values()))["IPAddress"] for container, networks in after.items()} == before
    wait_until(lambda: answered(docked) == "2", 20)
    assert {answered(docked) for _ in range(20)} == {"2"}


def answered(docked: Docked) -> str:
    try:
        return docked.answers()
    except (AssertionError, OSError):
        return ""
