"""The faults: what each is called, what it needs, how long it lasts, and how it is begun."""

from __future__ import annotations

import resource
import secrets
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.engine.lab import running
from tests.support import wait_until

from . import boxes, moods
from .effects import Effect, Excuse
from .ground import READS, SYNCS, WRITES
from .victims import Scene, send

Begin = Callable[[Scene, int], Effect | None]
LIGHT, DOCKER = "light", "docker"
YEAR = 365 * 86_400
# As many connections as the client has, once each, and again where a new one went to the same listener.
HELD = 16


@dataclass(frozen=True)
class Fault:
    """`begin` returns None where there is nobody (any more) whom it could strike. `lasts` seconds, drawn between the two;
    `needs` is what the ground has to give; `once` is what may be struck only once in a round, because the requests of the
    other one have to go somewhere."""

    begin: Begin
    lasts: tuple[float, float] = (0.0, 0.0)
    needs: str = ""
    once: str = ""
    drivers: tuple[str, ...] = (LIGHT, DOCKER)


def _signal(
    who: Callable[[Scene, int], psutil.Process | None], name: str, *excuses: Excuse, stop: bool = False
) -> Begin:
    def begin(scene: Scene, place: int) -> Effect | None:
        victim = who(scene, place)
        if not send(victim, signal.SIGSTOP if stop else signal.SIGKILL):
            return None
        if not stop and victim is not None:
            # One that was killed has its connections, and takes more, until the kernel gives it a turn to end.
            wait_until(lambda: not running(victim.pid), 10, interval=0.001, what=f"the {name} has ended")
        undo = (lambda: send(victim, signal.SIGCONT)) if stop else None
        return Effect(f"{name} {'stopped' if stop else 'killed'}", undo, excuses)

    return begin


def _replica(scene: Scene, place: int) -> psutil.Process | None:
    row = scene.replica(place)
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(row.pid) if row is not None and row.pid else None
    return None


def _kill_agent(scene: Scene, _: int) -> Effect | None:
    """Its service starts it again after a while."""
    if scene.agent() is None:
        return None
    scene.world.kill_agent()
    return Effect("agent killed", lambda: agent_runs(scene))


def agent_runs(scene: Scene) -> None:
    if scene.agent() is None:
        scene.world.kill_agent()  # one that has ended by itself is waited for
        scene.world.launch_agent()


def _no_descriptors(who: Callable[[Scene, int], psutil.Process | None], name: str) -> Begin:
    def begin(scene: Scene, place: int) -> Effect | None:
        victim = who(scene, place)
        try:
            if victim is None:
                return None
            before = resource.prlimit(victim.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(victim.pid, resource.RLIMIT_NOFILE, (victim.num_fds(), before[1]))
        except (psutil.Error, ProcessLookupError):
            return None

        def undo() -> None:
            with suppress(ProcessLookupError):
                resource.prlimit(victim.pid, resource.RLIMIT_NOFILE, before)

        return Effect(f"no file descriptors left for the {name}", undo)

    return begin


def _full(scene: Scene, _: int) -> Effect:
    scene.ground.fill()
    return Effect("disk full", scene.ground.empty)


def _failing(words: str, kinds: int, milliseconds: int = 0) -> Begin:
    def begin(scene: Scene, _: int) -> Effect:
        scene.ground.fail(kinds, milliseconds)
        return Effect(words, lambda: scene.ground.fail(0, 0))

    return begin


def _clock(words: str, seconds: int) -> Begin:
    def begin(scene: Scene, _: int) -> Effect:
        scene.ground.shift_clock(seconds)
        return Effect(f"clock {words}", lambda: scene.ground.shift_clock(0))

    return begin


def _renamed(scene: Scene, _: int) -> Effect:
    name = f"chaos-{secrets.token_hex(3)}"
    scene.ground.rename_host(name)
    return Effect(f"host renamed {name}")


def _half_open(scene: Scene, _: int) -> Effect:
    """Connections of which half never send anything, and half the beginning of a request."""
    held: list[socket.socket] = []
    for number in range(400):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", scene.world.port))
        held.append(connection)
        if number % 2:
            with suppress(OSError):
                connection.send(b"POST /invocations HTTP/1.1\r\nHost: mo")

    def undo() -> None:
        for connection in held:
            connection.close()

    return Effect("400 half-open connections", undo)


def _worker(scene: Scene, _: int) -> psutil.Process | None:
    return scene.worker()


def _step(scene: Scene, _: int) -> psutil.Process | None:
    return scene.step()


def _agent(scene: Scene, _: int) -> psutil.Process | None:
    return scene.agent()


def _proxy(scene: Scene, place: int) -> psutil.Process | None:
    return scene.proxy(place)


KILLED_PROXY = Excuse("held by a killed instance of the proxy", 0.05, 8)
# Connections that are made within a second of it may still be given to it by the kernel.
STOPPED_PROXY = Excuse("held by a stopped instance of the proxy", 1.0, HELD)
WRONG = Excuse("answered wrongly by the replica itself", 8.0, 1000, r"^500 .*in a mood")

PLAIN = (LIGHT,)
CONTAINERS = (DOCKER,)
FAULTS: Mapping[str, Fault] = {
    "replica killed": Fault(_signal(_replica, "replica"), once="replica", drivers=PLAIN),
    "replica stopped": Fault(_signal(_replica, "replica", stop=True), (0.5, 4.0), once="replica", drivers=PLAIN),
    "replica slow": Fault(moods.begin("slow"), (0.5, 4.0), once="replica"),
    "replica wrong": Fault(moods.begin("wrong", WRONG), (0.3, 2.0), once="replica"),
    "replica answers junk": Fault(moods.begin("junk"), (0.3, 2.0), once="replica"),
    "replica hangs up": Fault(moods.begin("hangs up"), (0.3, 2.0), once="replica"),
    "replica silent": Fault(moods.begin("silent"), (0.5, 3.0), once="replica"),
    "proxy killed": Fault(_signal(_proxy, "proxy", KILLED_PROXY), once="proxy", drivers=PLAIN),
    "proxy stopped": Fault(_signal(_proxy, "proxy", STOPPED_PROXY, stop=True), (0.5, 5.0), once="proxy", drivers=PLAIN),
    "worker killed": Fault(_signal(_worker, "worker")),
    "worker stopped": Fault(_signal(_worker, "worker", stop=True), (0.5, 5.0)),
    "worker without descriptors": Fault(_no_descriptors(_worker, "worker"), (0.5, 3.0)),
    "step killed": Fault(_signal(_step, "step")),
    "step stopped": Fault(_signal(_step, "step", stop=True), (0.5, 5.0)),
    "step without descriptors": Fault(_no_descriptors(_step, "step"), (0.5, 3.0)),
    "agent killed": Fault(_kill_agent, (0.0, 2.0)),
    "agent stopped": Fault(_signal(_agent, "agent", stop=True), (0.5, 5.0)),
    "agent without descriptors": Fault(_no_descriptors(_agent, "agent"), (0.5, 4.0)),
    "disk full": Fault(_full, (0.5, 5.0), needs="room"),
    "disk fails to write": Fault(_failing("disk fails to write", WRITES | SYNCS), (0.2, 3.0), needs="failing"),
    "disk fails": Fault(_failing("disk fails", WRITES | SYNCS | READS), (0.2, 3.0), needs="failing"),
    "disk slow": Fault(_failing("disk slow", 0, 60), (0.5, 4.0), needs="failing"),
    "clock an hour ahead": Fault(_clock("an hour ahead", 3600), (1.5, 4.0), needs="clock"),
    "clock an hour behind": Fault(_clock("an hour behind", -3600), (1.5, 4.0), needs="clock"),
    "clock a year ahead": Fault(_clock("a year ahead", YEAR), (1.5, 4.0), needs="clock"),
    "host renamed": Fault(_renamed, needs="host"),
    "half-open connections": Fault(_half_open, (0.5, 4.0)),
    **{name: Fault(begin, lasts, once=once, drivers=CONTAINERS) for name, (begin, lasts, once) in boxes.FAULTS.items()},
}
