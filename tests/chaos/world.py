"""A whole project under fire: podium.yaml, MLflow's server, an agent, workers, a proxy, light replicas, and a client
from outside that never stops."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from podium.core.cockpit import Cockpit
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.domain.delivery import DeploymentState, How, Replica, ReplicaState
from podium.core.domain.repair import DifferenceKind
from podium.core.domain.runs import Run
from podium.core.errors import PodiumError
from podium.core.registry.files import bring, directory

from tests.chaos.light import ROOT
from tests.runner.scale import scaled
from tests.servers.mlflow import MlflowServer
from tests.support import free_port, processes_of, wait_until

CLIENT = ROOT / "tests/servers/client.py"
ENVIRONMENT = "production"
VERSIONS = 3
STRATEGIES = {
    "blue-green": "{blue-green: {drain: 3s}}",
    "rolling": "{rolling: {drain: 3s}}",
    "canary": "{canary: {weights: [50], interval: 3s, drain: 3s, analysis: [{signal: error_rate, at_most: 0.2}]}}",
}


@dataclass(frozen=True)
class Traffic:
    """What the client had seen at one moment."""

    asked: int
    failed: int
    answers: Counter[str]
    failures: list[tuple[float, str]]

    def by_version(self) -> set[int]:
        return {json.loads(body)["predictions"][0] for body in self.answers}


class Client:
    """The process that asks all the time; `look()` any time."""

    def __init__(
        self,
        port: int,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        rate: float = 60.0,
        timeout: float = 5.0,
        body: str = "",
        report: Path | None = None,
    ) -> None:
        # Not below it: what names the directory is taken for its own.
        self._report = report or directory.parent / f"client-of-{directory.name}.json"
        self._report.unlink(missing_ok=True)
        command = [sys.executable, str(CLIENT), str(port), str(self._report), "--host", host, "--rate", str(rate)]
        command += ["--timeout", str(timeout)]
        command += ["--body", body] if body else []
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def look(self) -> Traffic:
        assert self._process.poll() is None, "the client has ended"
        return self._read()

    def _read(self) -> Traffic:
        wait_until(self._report.exists)
        found = json.loads(self._report.read_text())
        return Traffic(
            found["asked"], found["failed"], Counter(found["answers"]), [(at, what) for at, what in found["failures"]]
        )

    def fresh(self) -> Traffic:
        """What it sees from now on, for a moment: enough requests for every replica to be among those who answer."""
        old = self.look()  # written up to a quarter of a second ago
        before = wait_until(lambda: (now := self.look()).asked > old.asked and now, 20, what="the client goes on")
        after = wait_until(
            lambda: (now := self.look()).asked - before.asked > 60 and now, 20, what="the client goes on"
        )
        failed = after.failed - before.failed
        return Traffic(
            after.asked - before.asked,
            failed,
            after.answers - before.answers,
            after.failures[-failed:] if failed else [],
        )

    def close(self) -> Traffic:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(scaled(15))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(scaled(5))
        return self._read()


@dataclass
class World:
    """`more` are lines for podium.yaml's environment, such as `host: …`."""

    home: Path
    server: MlflowServer
    driver: str
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    replicas: int = 2
    agent_log: Path | None = None
    model: str = field(default_factory=lambda: f"chaos-{uuid.uuid4().hex[:6]}")
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.server.model(self.model, VERSIONS)
        self.configure("blue-green")
        self.cockpit = Cockpit.open(self.home)
        self.clients: list[Client] = []
        self.agent_process: subprocess.Popen[bytes] | None = None
        place = self.cockpit.project.config.state
        self.digests = {
            number: bring(directory(place, self.model, number), self._files) for number in range(1, VERSIONS + 1)
        }
        self.cockpit.models.refresh(force=True)

    @staticmethod
    def _files(into: Path) -> None:
        (into / "behaviour.json").write_text("{}")
        (into / "serving_input_example.json").write_text('{"inputs": [[1.0]]}')

    def configure(self, strategy: str) -> None:
        environment = {
            "driver": self.driver,
            "port": self.port,
            "replicas": self.replicas,
            "keep": 1,
            "health_timeout": f"{scaled(20):g}s",
            **self.more,
        }
        lines = "".join(f"    {key}: {value}\n" for key, value in environment.items())
        written = self.home / "podium.new"
        written.write_text(
            f"project: chaos\nmlflow: {{tracking_uri: '{self.server.address}', model: {self.model}}}\n"
            f"pipelines: {{release: {{steps: {{one: {{run: 'true'}}}}}}}}\n"
            f"environments:\n  {ENVIRONMENT}:\n{lines}    strategy: {STRATEGIES[strategy]}\n"
        )
        written.replace(self.home / "podium.yaml")  # the agent reads it at any time

    # What is done

    def client(self, *, rate: float = 60.0, **more: Any) -> Client:
        """It asks until it is closed, or the world is."""
        self.clients.append(Client(self.port, self.home, rate=rate, **more))
        return self.clients[-1]

    def start_agent(self) -> None:
        """As a service would, in a process of its own."""
        self.launch_agent()
        wait_until(self.agent_reports, 20, what="the agent reports for duty")

    def launch_agent(self) -> None:
        """Without waiting for it."""
        log = (self.agent_log or self.home / ".podium/agent.log").open("ab")
        with log:
            command = [sys.executable, "-m", "podium.cli", "watch", "-C", str(self.home)]
            self.agent_process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def agent_reports(self) -> bool:
        """Its clock may be another one than ours (`faults/ground.py`): then it seems to be late, or not to be alive yet."""
        status, process = self.cockpit.agent.status(), self.agent_process
        return status.alive or (process is not None and status.pid == process.pid)

    def kill_agent(self) -> None:
        if self.agent_process is not None:
            self.agent_process.kill()
            self.agent_process.wait(scaled(10))
            self.agent_process = None

    def promote(self, version: int) -> Run:
        self.cockpit.project.reload()
        plan = self.cockpit.changes.plan(How.PROMOTE, ENVIRONMENT, version=version, force=True)
        run = self.cockpit.changes.apply(plan, confirmed=plan.type_to_confirm, force=True, why="chaos")
        assert run is not None
        return run

    def done(self, run: Run, seconds: float = 60.0) -> None:
        detail = wait_until(
            lambda: (found := self.cockpit.runs.get(run.id)).run.state.finished and found,
            seconds,
            what=f"run {run.id} ends",
        )
        assert detail.run.state.name == "SUCCEEDED", f"{detail.run.message}\n{self.evidence()}"

    def worker(self, run: Run) -> psutil.Process | None:
        pid = self.cockpit.runs.get(run.id).run.worker_pid
        try:
            return psutil.Process(pid) if pid else None
        except psutil.NoSuchProcess:
            return None

    # What is seen

    def phase(self) -> str:
        """The last finished phase of the running deployment; empty when none is."""
        return next((row.phase or "begun" for row in self.cockpit.journal.ledger.open()), "")

    def unsettled(self) -> str:
        """What still differs, in words; empty when all is as it should be."""
        journal = self.cockpit.journal
        open_rows = journal.ledger.open()
        if open_rows:
            return f"deployment {open_rows[0].id} is open at phase {open_rows[0].phase!r}"
        active = self.cockpit.runs.active()
        if active:
            return f"run {active[0].id} is {active[0].state}"
        status = self.cockpit.environments.get(ENVIRONMENT)
        # That something was started again stays to be read for a while, and is no difference between what is and what
        # should be.
        differences = [each.words for each in status.differences if each.kind is not DifferenceKind.RESTARTED]
        if differences or status.locked_by:
            return "; ".join([*differences, status.locked_by])
        restless = [
            row.id
            for row in status.replicas
            if row.state in (ReplicaState.DEAD, ReplicaState.STARTING, ReplicaState.DRAINING)
        ]
        if restless:
            return f"{restless} are not at rest"
        silent = self._silent(status.replicas)
        return f"{silent} do not answer" if silent else ""

    def _silent(self, replicas: Sequence[Replica]) -> list[str]:
        """Returns who has traffic or is kept warm, and does not answer. On a busy machine an engine has started a container
        again before the proxy has noticed that it ended, and its program takes seconds to listen; that a warm one has
        ended is seen when the agent looks the next time. Until then all looks well."""
        project = self.cockpit.project.config
        runtime = EnvironmentRuntime(project, self.cockpit.journal, project.environment(ENVIRONMENT))
        meant = [row for row in replicas if row.weight or row.state is ReplicaState.WARM]
        return [row.id for row in meant if not runtime.lifecycle.healthy(row)]

    def settled(self, seconds: float = 30.0) -> None:
        last = [""]

        def so() -> bool:
            try:
                last[0] = self.unsettled()
            except PodiumError as error:
                last[0] = f"{type(error).__name__}: {error}"
            return not last[0]

        try:
            wait_until(so, seconds, interval=0.1)
        except AssertionError:
            raise AssertionError(f"not settled after {seconds:g} s: {last[0]}") from None

    def processes(self) -> list[psutil.Process]:
        """Returns everything that runs for this project, its replicas by their mark too."""
        return processes_of(self.home, lambda found: found.get("PODIUM_REPLICA", "").startswith(f"{self.home}:"))

    def evidence(self) -> str:
        """The journal's state and what runs: for the message of a failing test."""
        journal = self.cockpit.journal
        lines = self._agent_said()
        lines += [f"ledger: {row}" for row in journal.ledger.history(ENVIRONMENT, limit=4)]
        lines += [f"replica: {row}" for row in journal.replicas.of(ENVIRONMENT)]
        lines += [f"run: {run}" for run in self.cockpit.runs.list(limit=3)]
        for look in (
            lambda: f"status: {self.cockpit.environments.get(ENVIRONMENT)}",
            lambda: f"aliases: {self.server.aliases(self.model)}",
        ):
            try:
                lines.append(look())
            except Exception as error:
                lines.append(repr(error))
        for process in self.processes():
            try:
                lines.append(f"process {process.pid}: {' '.join(process.cmdline())[:300]}")
            except psutil.Error:
                continue
        for run in self.cockpit.runs.list(limit=2):
            step = self.cockpit.runs.log(run.id, "promote")
            if step.exists():
                lines += [f"the log of run {run.id} ends with:", *step.read_text(errors="replace").splitlines()[-15:]]
        return "\n".join(lines)

    def _agent_said(self) -> list[str]:
        """Returns the end of the agent's log, with which most stories can be read: it stands first, where nothing cuts it."""
        log = self.agent_log or self.home / ".podium/agent.log"
        if not log.exists():
            return []
        return ["the agent's log ends with:", *log.read_text(errors="replace").splitlines()[-25:]]

    def history(self) -> list[DeploymentState]:
        return [row.state for row in self.cockpit.environments.history(ENVIRONMENT)]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.kill_agent()
        for run in self.cockpit.runs.active():
            worker = self.worker(run)
            if worker is not None:
                worker.kill()
        deadline = time.monotonic() + scaled(10)
        while time.monotonic() < deadline:
            try:
                self.cockpit.environments.stop()
                break
            except PodiumError:
                time.sleep(0.2)
        for process in self.processes():
            try:
                process.kill()
            except psutil.Error:
                continue
        self.cockpit.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
