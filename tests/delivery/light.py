"""A small world for rollouts: a journal, an environment, replicas that start in a tenth of a second, a real HAProxy, a
load from outside."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.core import plugins
from podium.core.delivery import drivers
from podium.core.delivery.drivers.process import ProcessDriver
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.host.paths import INSTANCES
from podium.core.delivery.proxy.placement import ProcessProxyHost
from podium.core.delivery.proxy.proxy import of_process
from podium.core.delivery.rollout import carry_out, rollout
from podium.core.delivery.rollout.carry_out import RolloutRequest
from podium.core.domain.delivery import Deployment, How
from podium.core.domain.models import Version
from podium.core.domain.project import Environment, Git, Mlflow, Project, Strategy
from podium.core.journal import Journal
from podium.core.registry.files import bring

from tests.runner.scale import scaled
from tests.support import free_port

if TYPE_CHECKING:
    import pytest

Verb = Callable[[rollout.Rollout], None]
SERVER = Path(__file__).with_name("light_server.py")
MODEL = "tiny"


class LightDriver(ProcessDriver):
    def command(self, spec: drivers.ReplicaSpec) -> list[str]:
        real = super().command(spec)
        return [sys.executable, "-S", "-E", str(SERVER), *real[3:]]


def install() -> None:
    plugins.register("drivers", "light", f"{__name__}:LightDriver")


def replace_phase(monkeypatch: pytest.MonkeyPatch, name: str, wrap: Callable[[Verb], Verb]) -> None:
    """A phase of every rollout does what `wrap` makes of its verb."""
    made = [replace(each, carry_out=wrap(each.carry_out)) if each.name == name else each for each in rollout.PHASES]
    monkeypatch.setattr(rollout, "PHASES", tuple(made))


class World:
    def __init__(self, home: Path, **environment: Any) -> None:
        install()
        values = {
            "driver": "light",
            "replicas": 2,
            "port": free_port(),
            "health_timeout": scaled(10.0),
            "strategy": Strategy(drain=2.0),
            **environment,
        }
        self.environment = Environment("staging", **values)
        # Another one is protected, so that this one carries no alias: these tests need no registry.
        others = {"production": Environment("production", driver="light", port=free_port(), protected=True)}
        self.project = Project(
            "tiny",
            home,
            home,
            Git(),
            Mlflow(f"sqlite:///{home}/none.db", "tiny", MODEL),
            {},
            {},
            {"staging": self.environment, **others},
            {},
            {},
            {},
        )
        self.journal = Journal.open(self.project.state / "journal.db")
        self.said: list[str] = []

    @property
    def runtime(self) -> EnvironmentRuntime:
        return EnvironmentRuntime(self.project, self.journal, self.environment, say=self.said.append)

    @property
    def port(self) -> int:
        return self.environment.port

    def change(self, **values: Any) -> None:
        self.environment = replace(self.environment, **values)
        self.project = replace(self.project, environments={**self.project.environments, "staging": self.environment})

    def version(self, number: int, *, example: bool = True, **behaviour: Any) -> None:
        def download(into: Path) -> None:
            (into / "behaviour.json").write_text(json.dumps(behaviour))
            if example:
                (into / "serving_input_example.json").write_text('{"inputs": [[1.0]]}')

        bring(self.runtime.files.directory(number), download)
        self.journal.versions.update(Version(MODEL, number, time.time(), commit=f"{number:040x}"))

    def order(self, how: How, number: int, **more: Any) -> RolloutRequest:
        return RolloutRequest(how, number, **{"who": "anna", "asked": time.time(), **more})

    def deploy(self, number: int, **more: Any) -> Deployment:
        return carry_out.carry_out(self.runtime, self.order(How.DEPLOY, number, **more))[0]

    def rollback(self, number: int, **more: Any) -> Deployment:
        return carry_out.carry_out(self.runtime, self.order(How.ROLLBACK, number, **more))[0]

    def answers(self) -> int:
        return json.loads(get(self.port, "/version"))["version"]

    def weights(self) -> dict[str, int]:
        """As every instance of the proxy has them."""
        found = [
            {stat.name: stat.weight for stat in stats if stat.kind == "server"}
            for stats in self.runtime.proxy.readings().values()
        ]
        assert all(each == found[0] for each in found), found
        return found[0] if found else {}

    def proxy_pids(self) -> list[int]:
        """Of the instances that are processes."""
        found = [ProcessProxyHost(self.runtime.directory, "staging", number).pid() for number in INSTANCES]
        return [pid for pid in found if pid is not None]

    def evidence(self) -> str:
        """What the proxy saw and what was said: for the message of a failing test."""
        wanted = (
            "svname",
            "status",
            "weight",
            "chkfail",
            "chkdown",
            "lastchg",
            "check_status",
            "hrsp_5xx",
            "econ",
            "eresp",
            "wretr",
            "wredis",
        )
        told: list[str] = []
        for instance in self.runtime.proxy.instances:
            lines = instance.runtime.ask("show stat").splitlines() if instance.alive() else []
            names = lines[0].split(",") if lines else []
            rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:] if line]
            told += [f"instance {instance.number}", *(str({key: row[key] for key in wanted}) for row in rows)]
        return "\n".join([*told, *self.said])

    def close(self) -> None:
        """Nothing keeps running: everything that carries this world's mark is ended by pid."""
        for name in self.project.environments:
            runtime = EnvironmentRuntime(self.project, self.journal, self.project.environments[name])
            of_process(runtime.directory).stop()
            for row in runtime.replicas():
                runtime.driver.stop(row, grace=0.5)
                runtime.driver.stop_lost(runtime.marker(row.id))
            for number in range(1, 10):
                for place in range(1, runtime.environment.replicas + 1):
                    if (runtime.directory / f"{runtime.replica_id(number, place)}.log").exists():
                        runtime.driver.stop_lost(runtime.marker(runtime.replica_id(number, place)))
        self.journal.close()


def get(port: int, path: str, timeout: float = 5.0) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (answer.status, body)
        return body
    finally:
        connection.close()


class Load:
    """Requests from outside, as a client would send them, each counted: what was answered, by which version, and
    every failure."""

    def __init__(
        self,
        port: int,
        *,
        body: bytes = b'{"inputs": [[1.0]]}',
        clients: int = 4,
        rate: float = 200.0,
        tls: ssl.SSLContext | None = None,
        token: str = "",
    ) -> None:
        self.port = port
        self.body = body
        self._tls = tls
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._pause = clients / rate
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(scaled(10))

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=scaled(10))
        if self._tls is not None:
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=scaled(10), context=self._tls)
        due = time.monotonic()
        while not self._stop.is_set():
            due += self._pause
            try:
                connection.request("POST", "/invocations", body=self.body, headers=self._headers)
                answer = connection.getresponse()
                text = answer.read().decode()
                with self._lock:
                    if answer.status == 200:
                        self.answers[text] += 1
                    else:
                        self.failures.append(f"{answer.status} {text[:80]}")
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                with self._lock:
                    self.failures.append(repr(error))
            self._stop.wait(max(0.0, due - time.monotonic()))
        connection.close()
