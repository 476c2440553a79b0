"""A project that serves is moved with `mv` and copied with `cp -a`, with requests coming in all the time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from podium.core.cockpit import Cockpit
from podium.core.delivery.host import daemon
from podium.core.delivery.host.paths import INSTANCES, numbered
from podium.core.domain.delivery import How, ReplicaState
from podium.core.domain.runs import RunState
from podium.core.errors import Refused
from podium.core.identity.home import Home

from tests.chaos.world import ENVIRONMENT, World
from tests.runner.scale import scaled
from tests.support import wait_until

Worlds = Callable[..., World]


@pytest.fixture
def serving(make_world: Worlds) -> World:
    """A project whose agent runs, and that serves version 2 after version 1."""
    world = make_world("light", replicas=1)
    world.start_agent()
    for version in (1, 2):
        world.done(world.promote(version))
    world.settled()
    return world


def proxies(home: Path) -> list[int]:
    directory = home / ".podium/environments" / ENVIRONMENT
    return [
        pid
        for instance in INSTANCES
        for pid, _ in daemon.find_command("haproxy", str(directory / numbered("haproxy.cfg", instance)))
    ]


def rows(cockpit: Cockpit) -> dict[str, int | None]:
    return {each.id: each.pid for each in cockpit.journal.replicas.all()}


def copied(world: World) -> Path:
    target = world.home.with_name("copy")
    subprocess.run(["cp", "-a", str(world.home), str(target)], check=True, timeout=scaled(60))
    return target


@pytest.mark.timeout(240)
def test_a_project_that_serves_is_moved(serving: World) -> None:
    world, old = serving, serving.home
    before, agent = rows(world.cockpit), world.cockpit.agent.status().pid
    client = world.client()
    client.fresh()
    world.cockpit.close()
    world.home = old.rename(old.with_name("elsewhere"))
    said: list[str] = []
    world.cockpit = Cockpit.open(world.home, say=said.append)
    status = world.cockpit.environments.get(ENVIRONMENT)
    assert (status.serving, status.proxy_alive) == (2, True) and said and str(old) in said[0], said
    assert rows(world.cockpit) == before and all(psutil.pid_exists(pid) for pid in before.values() if pid)
    wait_until(lambda: not proxies(old), 20, what="the old proxy has ended with its last connections")
    assert len(proxies(world.home)) == len(INSTANCES)
    wait_until(
        lambda: str(world.home) in psutil.Process(agent).cmdline() and world.cockpit.agent.status().alive,
        20,
        what="the agent has followed",
    )
    assert world.cockpit.agent.status().pid == agent and not old.exists()
    plan = world.cockpit.changes.plan(How.ROLLBACK, ENVIRONMENT)
    run = world.cockpit.changes.apply(plan, confirmed=plan.type_to_confirm, why="moved")
    assert run is not None
    world.done(run)
    assert client.fresh().by_version() == {1}
    world.done(world.promote(3))
    assert client.fresh().by_version() == {3}
    world.done(world.cockpit.runs.start("release"))
    world.settled()
    assert world.cockpit.agent.stop()
    assert client.close().failed == 0, world.evidence()
    assert not old.exists(), "nothing makes the old place anew"


@pytest.mark.timeout(240)
def test_a_run_that_is_under_way_is_moved_and_resumed(make_world: Worlds) -> None:
    world = make_world("light", replicas=1)
    text = (world.home / "podium.yaml").read_text()
    text = text.replace("run: 'true'", "run: 'test -e go || { touch began; sleep 600; }'")
    (world.home / "podium.yaml").write_text(text)
    world.cockpit.project.reload()
    run = world.cockpit.runs.start("release")
    wait_until((world.home / "began").exists, 20, what="the step runs")
    worker = world.worker(run)
    world.cockpit.close()
    world.home = world.home.rename(world.home.with_name("elsewhere"))
    said: list[str] = []
    world.cockpit = Cockpit.open(world.home, say=said.append)
    assert world.cockpit.runs.get(run.id).run.state is RunState.INTERRUPTED
    assert f"podium resume {run.id}" in " ".join(said)
    assert worker is not None and worker.status() == psutil.STATUS_ZOMBIE, "it waits for this process to collect it"
    (world.home / "go").touch()
    world.cockpit.runs.resume(run.id)
    world.done(run)


@pytest.mark.timeout(240)
def test_a_copy_touches_nothing_of_the_original_and_is_adopted(serving: World) -> None:
    world = serving
    client = world.client()
    client.fresh()
    place = copied(world)
    said: list[str] = []
    copy = Cockpit.open(place, say=said.append)
    status = copy.environments.get(ENVIRONMENT)
    assert status.serving == 2 and {each.state for each in status.replicas} == {ReplicaState.DEAD}
    assert str(world.home) in said[0] and copy.project.copy_of == str(world.home) and len(said) == 1
    assert len(copy.runs.list()) == len(world.cockpit.runs.list()) and not copy.agent.status().alive
    refused = [
        copy.agent.stop,
        copy.agent.start,
        copy.agent.run,
        copy.environments.stop,
        lambda: copy.changes.plan(How.DEPLOY, ENVIRONMENT, version=1),
        lambda: copy.runs.start("release"),
        lambda: copy.runs.resume(1),
        lambda: copy.models.quarantine(copy.models.version(1), why="a test"),
    ]
    for change in refused:
        with pytest.raises(Refused, match="is a copy of") as caught:
            change()
        assert "podium adopt" in caught.value.hint
    assert world.cockpit.agent.status().alive and client.fresh().failed == 0
    plan = copy.project.plan_adoption()
    assert f"{world.port}" in " ".join(plan.warnings), "the port that the original holds is named"
    assert {each.subject for each in plan.changes} >= {ENVIRONMENT, "agent", "locks"}
    copy.project.adopt(plan)
    assert copy.project.copy_of == "" and copy.journal.replicas.all() == []
    noted = Home.read(place / ".podium"), Home.read(world.home / ".podium")
    assert noted[0] and noted[1] and noted[0].id != noted[1].id
    text = (place / "podium.yaml").read_text().replace(f"port: {world.port}", f"port: {world.port + 1}")
    (place / "podium.yaml").write_text(text)
    other = World.__new__(World)
    other.__dict__.update({**world.__dict__, "home": place, "port": world.port + 1, "cockpit": copy, "clients": []})
    other.agent_process = None
    try:
        other.start_agent()
        copy.project.reload()
        plan = copy.changes.plan(How.DEPLOY, ENVIRONMENT, version=1)
        run = copy.changes.apply(plan, confirmed=plan.type_to_confirm)
        assert run is not None
        other.done(run)
        assert copy.agent.stop()
        assert copy.environments.stop()
        assert world.cockpit.agent.status().alive and client.fresh().by_version() == {2}
    finally:
        other.close()
    assert client.close().failed == 0, world.evidence()


@pytest.mark.timeout(240)
def test_a_backup_in_the_place_of_a_directory(serving: World) -> None:
    """While what it names still runs it is refused as a copy; afterwards it is the project itself."""
    world = serving
    place, kept = copied(world), world.home.with_name("kept")
    world.cockpit.close()
    world.kill_agent()
    world.home.rename(kept)
    shutil.rmtree(kept)
    place.rename(world.home)
    world.cockpit = Cockpit.open(world.home)
    pid = next(pid for pid, _ in daemon.find(f"{world.home}:{ENVIRONMENT}-v2-1"))
    assert f"process {pid}" in world.cockpit.project.copy_of or "still runs" in world.cockpit.project.copy_of
    for pid, started in [each for v in (1, 2) for each in daemon.find(f"{world.home}:{ENVIRONMENT}-v{v}-1")]:
        daemon.stop(pid, started, grace=1.0)
    world.cockpit.close()
    identity = Home.read(world.home / ".podium")
    world.cockpit = Cockpit.open(world.home)
    assert world.cockpit.project.copy_of == ""
    now = Home.read(world.home / ".podium")
    assert now and identity and now.id == identity.id and now.place.inode == os.stat(world.home / ".podium").st_ino
    world.start_agent()
    wait_until(lambda: not world.unsettled(), 40, what="the agent heals what it finds dead")
