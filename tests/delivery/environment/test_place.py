"""Where replicas on this machine listen: at a place that no other account can take, ask or find."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from podium.core import plugins
from podium.core.delivery import drivers
from podium.core.delivery.environment import healing
from podium.core.delivery.host.paths import from_directory
from podium.core.delivery.proxy.haproxy import servers_of
from podium.core.domain.delivery import ReplicaState

from tests.delivery.light import LightDriver, Load, World
from tests.support import wait_until

NOBODY = 65_534


class Intruder(BaseHTTPRequestHandler):
    """Answers everything with 200."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def listening() -> set[int]:
    """The ports of this machine on which somebody listens."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(line[1].rpartition(":")[2], 16) for line in lines if line[3] == "0A"}


def test_a_program_that_takes_the_number_of_a_dead_replica_gets_no_request(world: World) -> None:
    world.version(1)
    world.deploy(1)
    victim, other = world.runtime.replicas()
    assert victim.pid and other.socket and not {victim.port, other.port} & listening()
    with Load(world.port) as load:
        os.kill(victim.pid, signal.SIGKILL)
        with ThreadingHTTPServer(("127.0.0.1", victim.port), Intruder) as intruder:
            intruder.asked = []  # type: ignore[attr-defined]
            threading.Thread(target=intruder.serve_forever, daemon=True).start()
            # HAProxy would have found it healthy after one of its checks, of which it makes five a second.
            seen = load.total
            wait_until(lambda: load.total > seen + 400, 20)
            stats = {stat.name: stat.up for stat in world.runtime.proxy.stats() if stat.kind == "server"}
            intruder.shutdown()
    assert intruder.asked == [] and stats == {victim.slot: False, other.slot: True}  # type: ignore[attr-defined]
    assert load.failures == [] and set(load.answers) == {'{"predictions": [1]}'}


def test_its_socket_is_for_this_account_alone(world: World) -> None:
    world.version(1)
    world.deploy(1)
    for row in world.runtime.replicas():
        place = Path(row.socket)
        assert stat.S_IMODE(place.lstat().st_mode) == 0o600 and stat.S_IMODE(place.parent.lstat().st_mode) == 0o700
    if os.geteuid() == 0:
        for place in (row.socket for row in world.runtime.replicas()):
            assert as_nobody(lambda at: socket.socket(socket.AF_UNIX).connect(at), place) == errno.EACCES
            assert as_nobody(os.unlink, place) == errno.EACCES, "so nobody else can listen there"


def as_nobody(do: Callable[[str], object], place: str) -> int:
    """What becomes of it in a process of another account: 0, or the number of the error."""
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            do(place)
        except OSError as error:
            os._exit(error.errno or 255)
        except BaseException:
            os._exit(255)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_socket_that_is_near_is_found_by_its_name_alone_also_when_its_project_is_moved(tmp_path: Path) -> None:
    """Until somebody opens the project in its new place, the proxies are those of the old one."""
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as short:
        world = World(Path(short) / "a", replicas=1)
        try:
            world.version(1)
            world.deploy(1)
            [row] = world.runtime.replicas()
            near = world.runtime.directory.resolve() / "replica-v1-1.sock"
            assert row.socket == str(near) and row.place == row.socket
            configs = [each.placement.config() for each in world.runtime.proxy.instances]
            assert [servers_of(config) for config in configs] == [{"v1-1": "unix@./replica-v1-1.sock"}] * 2
            world.project.home.rename(Path(short) / "b")
            # Over connections that are made now: those that are open say nothing of a path.
            with Load(world.port, clients=8) as load:
                wait_until(lambda: load.total > 100, 20)
            assert load.failures == []
            (Path(short) / "b").rename(world.project.home)
        finally:
            world.close()


class OlderDriver(LightDriver):
    """As Podium was before: replicas on ports of this machine."""

    def command(self, spec: drivers.ReplicaSpec) -> list[str]:
        words = super().command(spec)
        place = words.index("--unix")
        return words[:place] + words[place + 2 :]


def test_a_replica_of_an_older_podium_gets_a_socket_when_it_starts_again(world: World) -> None:
    plugins.register("drivers", "light", f"{__name__}:OlderDriver")
    try:
        world.version(1)
        world.deploy(1)
        before = world.runtime.replicas()
    finally:
        plugins.register("drivers", "light", f"{LightDriver.__module__}:LightDriver")
    assert [row.place for row in before] == [f"127.0.0.1:{row.port}" for row in before]
    assert healing.heal_environment(world.project, world.journal, world.environment) == []

    def back(slot: str) -> bool:
        healing.heal_environment(world.project, world.journal, world.environment)
        row = next(each for each in world.runtime.replicas() if each.slot == slot)
        return row.restarts == 1 and row.state is ReplicaState.READY

    with Load(world.port) as load:
        for row in before:
            assert row.pid
            os.kill(row.pid, signal.SIGKILL)
            wait_until(lambda row=row: back(row.slot), 20)
            seen = load.total
            wait_until(lambda seen=seen: load.total > seen + 50, 20)
    assert load.failures == [], world.evidence()
    wanted = {
        row.slot: f"unix@{from_directory(world.runtime.directory, row.socket)}" for row in world.runtime.replicas()
    }
    assert [servers_of(each.placement.config()) for each in world.runtime.proxy.instances] == [wanted, wanted]
