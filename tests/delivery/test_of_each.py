"""Many environments are asked about at once, engine by engine: in the order of podium.yaml, each thread with a journal
of its own, and nobody waits for an engine that is silent but its own environments."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.delivery.status import of_each as module
from podium.core.delivery.status.of_each import of_each
from podium.core.delivery.status.status import status
from podium.core.domain.delivery import Replica, ReplicaState
from podium.core.domain.project import Environment
from podium.core.errors import RunFailed

from tests.runner.scale import scaled
from tests.servers.fleet.engine import Engine
from tests.servers.fleet.wire import Fleet

pytestmark = pytest.mark.timeout(300)
PORTS = iter(range(17_300, 17_400))


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[Path]:
    """Three engines that answer (1.sock, …), and silent.sock, which takes connections and says nothing."""
    place = tmp_path / "engines"
    place.mkdir()
    with Fleet([Engine(number) for number in (1, 2, 3)], place), socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(place / "silent.sock"))
        silent.listen(64)
        yield place


def opened(home: Path, sockets: Path, **engines: str) -> Cockpit:
    """An environment for each name, on the engine of that name; on this machine without one."""
    lines = ["project: p", "environments:"]
    for name, engine in engines.items():
        where = f"driver: docker, host: 'unix://{sockets}/{engine}.sock', " if engine else ""
        lines.append(f"  {name}: {{{where}port: {next(PORTS)}}}")
    (home / "podium.yaml").write_text("\n".join(lines) + "\n")
    return Cockpit(home)


def test_several_engines_at_once_and_one_after_the_other_on_each(tmp_path: Path, sockets: Path) -> None:
    cockpit = opened(tmp_path, sockets, a="1", b="2", c="", d="1", e="2")
    met, lock, on = threading.Barrier(3, timeout=scaled(30)), threading.Lock(), set[str]()

    def look(environment: Environment) -> str:
        with lock:
            assert environment.host not in on, "two at a time"
            on.add(environment.host)
        if environment.name in ("a", "b", "c"):
            met.wait()  # nobody passes alone
        with lock:
            on.remove(environment.host)
        return environment.name.upper()

    project = cockpit.project.config
    assert of_each(project, project.environments.values(), look) == [*"ABCDE"]


def test_one_engine_is_asked_by_the_caller_itself(tmp_path: Path, sockets: Path) -> None:
    """Who has few environments pays for no threads."""
    for engines in ({"a": "1"}, {"a": "1", "b": "1", "c": "1"}, {"a": "", "b": ""}):
        project = opened(tmp_path, sockets, **engines).project.config
        found = of_each(project, project.environments.values(), lambda _: threading.get_ident())
        assert set(found) == {threading.get_ident()}


def test_a_silent_engine_delays_its_own_environments_alone(tmp_path: Path, sockets: Path) -> None:
    cockpit = opened(tmp_path, sockets, a="silent", b="1", c="", d="2", e="silent", f="3")
    for name in "abcdef":
        container = "" if name == "c" else "0" * 64
        row = Replica(f"{name}-v1-1", name, 1, "v1-1", 8080, ReplicaState.READY, container=container)
        cockpit._opened.journal.replicas.put(row)
    ended: list[str] = []

    def look(environment: Environment) -> str:
        found = status(cockpit.project.config, cockpit._opened.journal, environment)
        ended.append(environment.name)
        return found.name

    project = cockpit.project.config
    assert of_each(project, project.environments.values(), look) == [*"abcdef"]
    assert set(ended[:4]) == {*"bcdf"}, "though it is asked first"
    found = cockpit.environments.list()
    assert [each.name for each in found] == [*"abcdef"]
    states = {each.name: each.replicas[0].state for each in found}
    unknown, dead = ReplicaState.UNKNOWN, ReplicaState.DEAD
    assert states == {"a": unknown, "b": dead, "c": dead, "d": dead, "e": unknown, "f": dead}
    assert [each.name for each in cockpit.declared.list()] == [*"abcdef"]
    assert [each.name for each in cockpit.board.list()] == [*"abcdef"]
    assert {each.subject for each in cockpit.project.doctor()} >= {*"abdef"}


def test_an_error_is_raised_as_it_is(tmp_path: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cockpit = opened(tmp_path, sockets, a="1", b="2", c="3")
    monkeypatch.setattr(module, "MAX_PARALLEL", 2)

    def look(environment: Environment) -> str:
        if environment.name == "b":
            raise RunFailed("b cannot be seen")
        return environment.name

    project = cockpit.project.config
    with pytest.raises(RunFailed, match="b cannot be seen"):
        of_each(project, project.environments.values(), look)
