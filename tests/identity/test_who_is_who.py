"""Machines, boots, containers and directories are told apart, whatever they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from podium.core.identity.directory import DirectoryStatus, StateDirectory, path_id
from podium.core.identity.home import home_id
from podium.core.identity.machine import Machine, ProcessLocation, boot_id, here, hostname
from podium.core.identity.processes import started_at, state

from tests.runner.scale import scaled
from tests.support import wait_until

HERE = Machine("anna", "m1", "b1", "pid:[1]")


@pytest.mark.parametrize(
    ("noted", "where"),
    [
        (Machine("anna", "m1", "b1", "pid:[1]"), ProcessLocation.HERE),
        (Machine("renamed", "m1", "b1", "pid:[1]"), ProcessLocation.HERE),
        (Machine("anna", "m1", "b1", "pid:[2]"), ProcessLocation.ANOTHER_CONTAINER),
        (Machine("renamed", "", "b1", "pid:[2]"), ProcessLocation.ANOTHER_CONTAINER),
        (Machine("anna", "m1", "b0", "pid:[1]"), ProcessLocation.EARLIER_BOOT),
        (Machine("renamed", "m1", "b0", "pid:[1]"), ProcessLocation.EARLIER_BOOT),
        (Machine("anna", "m2", "b2", "pid:[1]"), ProcessLocation.ELSEWHERE),
        (Machine("berta", "m2", "b2", "pid:[1]"), ProcessLocation.ELSEWHERE),
        (Machine("anna", "", "b2", "pid:[1]"), ProcessLocation.EARLIER_BOOT),
        (Machine("berta", "", "b2", "pid:[1]"), ProcessLocation.ELSEWHERE),
        (Machine("anna"), ProcessLocation.HERE),
        (Machine("berta"), ProcessLocation.ELSEWHERE),
    ],
)
def test_a_noted_machine_is_judged_by_its_numbers_and_by_its_name_only_without_them(
    noted: Machine, where: ProcessLocation
) -> None:
    assert noted.seen_from(HERE) is where


def test_this_machine_is_here() -> None:
    assert here() == here() and here().seen_from(here()) is ProcessLocation.HERE
    assert here().host == hostname() == os.uname().nodename
    assert here().boot == boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert here().namespace.startswith("pid:[")


def test_the_machines_own_id_is_not_shown() -> None:
    content = Path("/etc/machine-id").read_text().strip() if Path("/etc/machine-id").exists() else ""
    assert not content or content not in here().id


def test_a_machine_in_a_container_has_no_id_of_its_own() -> None:
    """Its /etc/machine-id came with the image, and another machine may run a container of that too."""
    code = (
        "from podium.core.identity.machine import here; one = here(); print(one.id, one.boot, one.namespace, sep='|')"
    )
    done = subprocess.run(
        ["unshare", "--pid", "--fork", sys.executable, "-c", code], capture_output=True, text=True, timeout=scaled(60)
    )
    if done.returncode:
        pytest.skip(f"no namespace of its own here: {done.stderr.strip()[:80]}")
    machine, boot, namespace = done.stdout.strip().split("|")
    assert machine == "" and boot == here().boot and namespace != here().namespace


def test_a_copy_of_a_state_directory_is_not_the_directory(tmp_path: Path) -> None:
    state = tmp_path / "project" / ".podium"
    state.mkdir(parents=True)
    noted = StateDirectory.of(state)
    assert noted.seen(StateDirectory.of(state)) is DirectoryStatus.SAME
    shutil.copytree(tmp_path / "project", tmp_path / "copy")
    assert noted.seen(StateDirectory.of(tmp_path / "copy" / ".podium")) is DirectoryStatus.COPIED
    (tmp_path / "project").rename(tmp_path / "moved")
    assert noted.seen(StateDirectory.of(tmp_path / "moved" / ".podium")) is DirectoryStatus.MOVED
    shutil.copytree(tmp_path / "moved", tmp_path / "project")
    assert noted.seen(StateDirectory.of(state)) is DirectoryStatus.COPIED, "another one in the same place"


def test_a_state_directory_is_the_same_under_a_link_and_after_its_device_got_another_number(tmp_path: Path) -> None:
    state = tmp_path / "project"
    state.mkdir()
    (tmp_path / "link").symlink_to(state)
    now = StateDirectory.of(tmp_path / "link")
    assert now == StateDirectory.of(state)
    assert StateDirectory(now.path, now.device + 1, now.inode, now.machine).seen(now) is DirectoryStatus.SAME
    assert StateDirectory(now.path, now.device, now.inode, "another").seen(now) is DirectoryStatus.UNKNOWN


def test_a_state_directory_is_written_down_and_read_again(tmp_path: Path) -> None:
    one = StateDirectory.of(tmp_path)
    assert StateDirectory.from_text(one.to_text()) == one
    for text in ("", "{}", "[]", "null", '{"path": "x", "device": "y", "inode": 1}'):
        assert StateDirectory.from_text(text) is None


def test_labels_and_sockets_of_existing_projects_keep_their_names() -> None:
    assert home_id(Path("/home/anna/shop")) == "096b95a16b08"
    assert path_id(Path("/home/anna/shop/proxy.sock")) == "ef363afdcf66d8b9"


BLIND = """
import os, resource, sys
from pathlib import Path
from podium.core.delivery.proxy.placement import ProcessProxyHost
from podium.core.identity.processes import alive, started_at
pid, started = os.getpid(), started_at(os.getpid())
assert alive(pid, started) and not alive(2**22 - 1, started)
proxy = ProcessProxyHost(Path(sys.argv[1]), "staging", 1)
assert not proxy.alive()
Path(sys.argv[1], "haproxy.pid").write_text(str(pid))
os.closerange(3, 4096)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 4096))
for look in (lambda: alive(pid, started), lambda: started_at(pid), proxy.alive):
    try:
        print(f"it is taken for {look()}")
    except OSError as error:
        print(error.strerror)
"""


def test_what_cannot_be_looked_at_for_want_of_descriptors_is_not_gone(tmp_path: Path) -> None:
    """An agent without descriptors started a second proxy beside the one that ran, and took living workers for dead."""
    done = subprocess.run(
        [sys.executable, "-c", BLIND, str(tmp_path)], capture_output=True, text=True, timeout=scaled(60), check=True
    )
    assert done.stdout.splitlines() == ["Too many open files"] * 3


def test_a_process_runs_until_the_last_of_its_threads_has_ended() -> None:
    """The first may have ended alone: what it had open stays open."""
    code = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start();"
        " ctypes.CDLL(None).pthread_exit(None)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        wait_until(lambda: state(process.pid) == "Z", 20)
        assert started_at(process.pid) is not None
    finally:
        process.kill()
    wait_until(lambda: started_at(process.pid) is None, 20)
    assert state(process.pid) == "Z", "not reaped yet"
    process.wait()
