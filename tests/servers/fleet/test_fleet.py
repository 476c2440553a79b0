"""That simulated engines answer as a real one, and simulated proxies as HAProxy: each word that they use, a real one
uses too, with the same type."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import errors as docker_errors
from podium.core.containers import Engine, open_engine
from podium.core.containers.engine.address import parse
from podium.core.containers.engine.stream import Stream
from podium.core.containers.relay.client import Relay, RelayConnection
from podium.core.delivery.proxy.haproxy import BackendServer, RuntimeApi, binary

from tests.support import free_port, wait_until

from . import engine as simulated
from .haproxy import RuntimeApi as Simulated
from .wire import Fleet

Answers = dict[str, Any]
# Has a value in one and none in the other, which is a matter of what was asked for.
_OPTIONAL = {"IPAMConfig", "Entrypoint", "Cmd", "Aliases", "Options", "Containers"}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet([simulated.Engine(1), simulated.Engine(2)], tmp_path) as started:
        yield started


@pytest.fixture
def pretended(fleet: Fleet) -> Iterator[Engine]:
    with open_engine(parse(f"unix://{fleet.socket(1)}")) as engine:
        yield engine


def differences(ours: Any, real: Any, where: str = "") -> list[str]:
    """What a simulated answer has that the real one has not, and what has another type there."""
    if isinstance(ours, dict) and isinstance(real, dict):
        missing = [f"{where}.{key}: not in a real one" for key in ours if key not in real]
        both = [key for key in ours if key in real and key not in _OPTIONAL]
        return missing + [each for key in both for each in differences(ours[key], real[key], f"{where}.{key}")]
    if isinstance(ours, list) and isinstance(real, list):
        return differences(ours[0], real[0], f"{where}[]") if ours and real else []
    numbers = isinstance(ours, int | float) and isinstance(real, int | float)
    return [] if type(ours) is type(real) or numbers else [f"{where}: {ours!r:.60} for {real!r:.60}"]


def everything(engine: Engine, image: str) -> Answers:
    """The answers to what the agent asks, in the life of one container."""
    api, said = engine.api, {}
    said["version"] = api.version()
    labels = {"podium-test.fleet": "1"}
    network = said["network created"] = api.create_network(
        f"podium-test-fleet-{os.getpid()}", driver="bridge", labels=labels
    )
    try:
        said["networks"] = api.networks(filters={"label": ["podium-test.fleet=1"]})
        said["network"] = api.inspect_network(network["Id"])
        said["image"] = api.inspect_image(image)
        config = {
            "Image": image,
            "Cmd": ["sleep", "600"],
            "Labels": labels,
            "HostConfig": {"NetworkMode": network["Id"], "CpuShares": 512},
        }
        made = said["created"] = api.create_container_from_config(config, f"podium-test-fleet-{os.getpid()}")
        try:
            said |= _life(engine, made["Id"], network["Id"])
        finally:
            api.remove_container(made["Id"], force=True)
        with pytest.raises(docker_errors.NotFound) as gone:
            api.inspect_container(made["Id"])
        said["gone"] = gone.value.status_code
    finally:
        api.remove_network(network["Id"])
    return said


def _life(engine: Engine, container: str, network: str) -> Answers:
    api, said = engine.api, {}
    said["not running"] = api.inspect_container(container)["State"]
    with Stream(engine, "/events", {"filters": json.dumps({"type": ["container"]})}, what="events") as events:
        api.start(container)
        said["network in use"] = list(api.inspect_network(network)["Containers"].values())
        said["listed"] = api.containers(all=True, filters={"label": ["podium-test.fleet=1"]})
        said["inspected"] = api.inspect_container(container)
        with Stream(engine, f"/containers/{container}/stats", {"stream": 1}, what="statistics") as stream:
            # The first one has nothing to compare with.
            said["statistics"] = json.loads(_lines(stream, b'"precpu_stats"', times=2)[1])
        said["exec"] = api.exec_create(container, ["true"], stdin=True)
        api.kill(container)
        wait_until(lambda: not api.inspect_container(container)["State"]["Running"])
        # Other tests use this engine as well.
        told = [json.loads(line) for line in _lines(events, container.encode(), b'"die"')]
        said["events"] = [each for each in told if each["Actor"]["ID"] == container]
    said["killed"] = api.inspect_container(container)["State"]
    said["ended"] = api.containers(all=True, filters={"label": ["podium-test.fleet=1"]})
    with pytest.raises(docker_errors.APIError) as twice:
        api.kill(container)
    said["killed twice"] = twice.value.status_code
    return said


def _lines(stream: Stream, *words: bytes, times: int = 1) -> list[bytes]:
    """The whole lines up to one with all these words, or the second of them."""
    data = b""
    while sum(all(word in line for word in words) for line in data.split(b"\n")[:-1]) < times:
        piece = stream.read(60.0)
        assert piece, "the stream ended, or fell silent"
        data += piece
    return data.split(b"\n")[:-1]


def test_a_simulated_engine_answers_as_a_real_one(pretended: Engine, engine: Engine, shell_image: str) -> None:
    real, ours = everything(engine, shell_image), everything(pretended, shell_image)
    assert ours.keys() == real.keys()
    wrong = {name: found for name in ours if (found := differences(ours[name], real[name]))}
    # Newer than 20.10, an engine no longer says these.
    wrong.pop("version", None)
    assert not wrong
    for name in ("not running", "killed", "inspected"):
        state = [each.get("State", each)["Status"] for each in (ours[name], real[name])]
        assert state[0] == state[1]
    assert ours["killed"]["ExitCode"] == real["killed"]["ExitCode"] == 137
    actions = [[each["Action"] for each in found["events"]] for found in (ours, real)]
    assert set(actions[0]) <= set(actions[1]), "a real one says more"


HAPROXY = """\
global
  stats socket {socket} mode 600 level admin
defaults
  mode http
  timeout connect 2s
  timeout client 2s
  timeout server 2s
frontend entry
  bind 127.0.0.1:{port}
  default_backend replicas
backend replicas
  server v1-1 127.0.0.1:{other} check inter 1s weight 10
"""


def _asked(path: Path) -> Callable[[str], str]:
    def ask(command: str) -> str:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(60)
            line.connect(str(path))
            line.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: line.recv(65_536), b"")).decode()

    return ask


def test_a_simulated_proxy_answers_as_haproxy(tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    config = HAPROXY.format(socket=path, port=free_port(), other=free_port())
    (tmp_path / "haproxy.cfg").write_text(config)
    pretended = Simulated()
    pretended.config = config
    pretended.restart()
    with subprocess.Popen([binary(), "-W", "-db", "-f", str(tmp_path / "haproxy.cfg")], stderr=subprocess.DEVNULL) as p:
        try:
            wait_until(path.is_socket)
            seen = [_changed(RuntimeApi(ask)) for ask in (pretended.ask, _asked(path))]
        finally:
            p.terminate()
    assert seen[0] == seen[1]


def _changed(runtime: RuntimeApi) -> object:
    """What Podium does to a proxy, and what it reads then."""
    head = runtime.ask("show stat").splitlines()[0]
    runtime.add(BackendServer("v1-2", free_port(), 5, "127.0.0.1"))
    runtime.set_weights({"v1-1": 3, "v1-2": 7})
    runtime.move(BackendServer("v1-1", 9, 3, "127.0.0.2"))
    runtime.remove("v1-2")
    assert runtime.ask("show info").count("Pid: ") == 1
    return head, [(each.kind, each.name, each.weight, each.address) for each in runtime.stats()]


def test_a_relay_reaches_replicas_that_run_and_no_others(pretended: Engine) -> None:
    api = pretended.api
    network = api.create_network("n", driver="bridge", labels={})["Id"]
    config = {"Image": "podium/x:1", "Labels": {}, "HostConfig": {"NetworkMode": network}}
    replica = api.create_container_from_config(config, "replica")["Id"]
    inside = api.create_container_from_config({**config, "Labels": {"podium.environment": "e"}}, "relay")["Id"]
    api.start(replica)
    api.start(inside)
    [place] = api.inspect_container(replica)["NetworkSettings"]["Networks"].values()
    relay = Relay(lambda: (pretended, inside), "python", RelayConnection())
    assert relay.http(place["IPAddress"], 8080, "GET", "/ping") == (200, b"{}")
    assert b"podium_request_seconds_bucket" in relay.http(place["IPAddress"], 8080, "GET", "/metrics")[1]
    api.kill(replica)
    with pytest.raises(OSError, match="Connection refused"):
        relay.http(place["IPAddress"], 8080, "GET", "/ping")
