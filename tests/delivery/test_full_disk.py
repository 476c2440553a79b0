"""A full disk: what serves is kept alive, and an earlier version comes back. On a small file system in memory, which
only root can make."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core import reserve
from podium.core.errors import PodiumError
from podium.core.triggers.jobs import Healing, Reserve

from tests.delivery.light import World
from tests.runner.scale import scaled
from tests.support import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "disk"
    made.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(made)], check=True)
    yield made
    subprocess.run(["umount", "--lazy", str(made)], check=True)


@pytest.fixture
def world(disk: Path) -> Iterator[World]:
    made = World(disk, replicas=2)
    for version in (1, 2):
        made.version(version)
        made.deploy(version)
    yield made
    made.close()


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        try:
            while file.write(b"x" * 65_536) == 65_536:
                pass
            while file.write(b"x"):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return filler


def test_a_dead_replica_is_started_again_and_the_version_before_comes_back(disk: Path, world: World) -> None:
    Reserve()(world.project, world.journal)
    assert (world.project.state / "reserve").stat().st_blocks * 512 >= reserve.RESERVE_BYTES, "it is really taken"
    filler = fill(disk)
    [row, _] = world.runtime.replicas(2)
    assert row.pid
    os.kill(row.pid, signal.SIGKILL)
    wait_until(lambda: not world.runtime.driver.alive(row), 20)
    said: list[str] = []
    heal = Healing(said.append)

    def healed() -> bool:
        heal(world.project, world.journal)
        return all(each.state.value == "ready" for each in world.runtime.replicas(2))

    wait_until(healed, 30)
    assert "were kept for this are free now; make room" in "\n".join(said)
    assert not (world.project.state / "reserve").exists()
    fill(disk)
    with pytest.raises((PodiumError, OSError)):
        world.rollback(1)
    assert world.answers() == "2"
    filler.unlink()
    Reserve()(world.project, world.journal)
    fill(disk)
    assert reserve.release(world.project.state)
    world.rollback(1)
    assert world.answers() == "1"


def test_a_small_disk_keeps_none_and_one_with_room_gives_nothing_back(disk: Path, tmp_path: Path) -> None:
    state = disk / ".podium"
    assert not reserve.keep(state), "no state, nothing to keep"
    state.mkdir()
    (disk / "filler").write_bytes(b"x" * (200 << 20))
    assert not reserve.keep(state)
    (disk / "filler").unlink()
    (state / "reserve").touch()  # by one that was killed at that moment
    assert reserve.keep(state) and reserve.keep(state)
    assert (state / "reserve").stat().st_blocks * 512 >= reserve.RESERVE_BYTES
    assert reserve.release(state) == "" and (state / "reserve").exists()


def test_an_agent_starts_on_a_full_disk(disk: Path, world: World) -> None:
    """Else nothing that dies would be started again: the room that is kept for it is given back."""
    (disk / "podium.yaml").write_text("project: tiny\n")
    Reserve()(world.project, world.journal)
    fill(disk)
    process = subprocess.Popen(
        [sys.executable, "-m", "podium.cli", "watch", "-C", str(disk)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        wait_until(lambda: world.journal.agent.status().pid == process.pid or process.poll() is not None, 30)
        assert process.poll() is None, process.communicate()[0]
        assert not (world.project.state / "reserve").exists()
    finally:
        process.terminate()
        said = process.communicate(timeout=scaled(20))[0].decode()
    assert "were kept for this are free now; make room" in said
