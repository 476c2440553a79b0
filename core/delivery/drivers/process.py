"""Runs replicas as processes of this machine: `python -m podium.core.serving.server`, detached. Also the base class
of drivers that differ little from it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from ... import control_groups
from ...domain.delivery import Replica
from ...domain.project import Environment
from ...identity.processes import alive
from ..host import daemon
from ..host.paths import private, replica_socket
from ..host.ports import kept_port, let_go, reserve_soon
from ..proxy.proxy import Proxy, of_process
from ..proxy.transport import DirectTransport, Transport
from . import DriverContext, OneHost, OwnedNames, ReplicaSpec, StartedReplica

_INHERITED_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "LANG",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
)
_HOST = "127.0.0.1"
_SERVER = "podium.core.serving.server"
# In the environment's directory: what its replicas remember of requests that end processes (serving/guard.py).
GUARD = "guard"
_GROUPS = "replicas"


def _bounds(environment: Environment) -> list[str]:
    bounds = environment.request
    return [
        "--max-body",
        str(bounds.body),
        "--max-values",
        str(bounds.values),
        "--arrival",
        f"{bounds.arrival:g}",
        "--timeout",
        f"{bounds.prediction:g}",
    ]


def _address(command: Sequence[str]) -> str:
    """Returns where a replica with this command line listens."""
    words = dict(pairwise(command))
    return words.get("--unix", _HOST)


def _batch_options(environment: Environment) -> list[str]:
    batch = environment.batch
    return ["--batch-max", str(batch.max), "--batch-wait", str(batch.wait)] if batch is not None else []


class ProcessDriver(OneHost):
    """Implements Driver with processes of this machine."""

    def __init__(self, setting: DriverContext) -> None:
        self.setting = setting
        self._kept_ports: dict[int, socket.socket] = {}
        self._claims_told = False

    @cached_property
    def proxy(self) -> Proxy:
        return of_process(self.setting.directory, self.setting.environment.name)

    @property
    def transport(self) -> Transport:
        return DirectTransport()

    def prepare(self, version: int) -> None:
        """Does nothing: the files are already on this machine, and nothing else takes long."""

    def port(self, wanted: int, taken: Collection[int]) -> int:
        """Returns a free port and reserves it, so that no other search for a free port finds it while the replica
        lives. A replica on a Unix socket listens on none: its captures are named by the number."""
        port, kept = self._again(wanted) or kept_port(taken)
        self._kept_ports[port] = kept
        return port

    @staticmethod
    def _again(port: int) -> tuple[int, socket.socket] | None:
        kept = reserve_soon(port) if port and let_go(_HOST, port) else None
        return (port, kept) if kept is not None else None

    def command(self, spec: ReplicaSpec) -> list[str]:
        """Returns the command line of a replica. One that names no `--unix` listens on the spec's port."""
        return [
            sys.executable,
            "-m",
            _SERVER,
            "--model",
            str(spec.files),
            "--unix",
            str(replica_socket(self.setting.directory, spec.slot or spec.id)),
            "--port",
            str(spec.port),
            "--model-name",
            spec.model,
            "--version",
            str(spec.version),
            "--environment",
            spec.environment,
            "--digest",
            spec.digest,
            "--commit",
            spec.commit,
            "--capture-dir",
            str(spec.capture_dir),
            "--capture-rate",
            str(spec.capture_rate),
            "--guard",
            str(self.setting.directory / GUARD),
            *_bounds(self.setting.environment),
            *_batch_options(self.setting.environment),
        ]

    def start(self, spec: ReplicaSpec) -> StartedReplica:
        """Starts the replica detached, with its port reserved for as long as it lives."""
        private(spec.capture_dir)
        inherited = {
            key: value
            for key, value in os.environ.items()
            if key in _INHERITED_VARIABLES or key.startswith(("LC_", "OMP_", "MKL_", "OPENBLAS_"))
        }
        env = {
            **inherited,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONUNBUFFERED": "1",
            **spec.env,
            "PODIUM_REPLICA": spec.marker,
        }
        kept = self._kept_ports.pop(spec.port, None)
        try:
            inherit = [kept.fileno()] if kept is not None else []
            command = self.command(spec)
            pid, started = self._forked(spec, command, env, inherit) or daemon.start(
                command, log=spec.log, cwd=spec.log.parent, env=env, inherit=inherit
            )
        finally:
            if kept is not None:
                kept.close()
        self._limit(spec.id, pid)
        return StartedReplica(_address(command), pid, started)

    def _limit(self, replica: str, pid: int) -> None:
        """Limits what it may use, where that is possible; says once where it is not."""
        environment, home = self.setting.environment, self.setting.project.home
        cpus, memory = environment.cpus, environment.memory
        if cpus is None and memory is None:
            return
        group = control_groups.make(_GROUPS, home, replica, cpus=cpus, memory=memory)
        if group is not None:
            group.add(pid)
        words = control_groups.lacking(cpus, memory)
        if words and not self._claims_told:
            self._claims_told = True
            self.setting.say(words)

    def _group(self, replica: Replica) -> control_groups.ControlGroup | None:
        return control_groups.of(_GROUPS, self.setting.project.home, replica.id)

    def _forked(
        self, spec: ReplicaSpec, command: Sequence[str], env: Mapping[str, str], inherit: Sequence[int]
    ) -> tuple[int, float] | None:
        """Starts the replica as a child of the preloading server; returns None if that is not to be had."""
        program, *words = command
        if program != sys.executable or words[:2] != ["-m", _SERVER]:
            return None
        # Late: whoever asks for a status needs a driver, and starts nothing.
        from ...preload.client import start_detached
        from ...preload.protocol import Child

        daemon.fresh_log(spec.log)
        child = Child(
            module=_SERVER,
            arguments=tuple(words[2:]),
            env=env,
            cwd=str(spec.log.parent),
            descriptors=(0, 1, 2, *inherit),
            detached=True,
            mark=spec.marker,
            note=str(daemon.note_of(spec.log)),
        )
        with Path(os.devnull).open("rb") as nothing, spec.log.open("ab") as log:
            streams = (nothing.fileno(), log.fileno(), log.fileno())
            return start_detached(self.setting.project.state, child, (*streams, *inherit))

    def stop(self, replica: Replica, *, grace: float) -> None:
        if replica.pid is not None and replica.pid_started is not None:
            daemon.stop(replica.pid, replica.pid_started, grace=grace)
        if replica.socket:
            Path(replica.socket).unlink(missing_ok=True)
        group = self._group(replica)
        if group is not None:
            group.remove()

    @property
    def keeps(self) -> bool:
        return False

    def stop_keeping(self, replica: Replica, *, grace: float) -> bool:
        return False

    def kept(self, replica: Replica) -> bool:
        return False

    def alive(self, replica: Replica) -> bool:
        return replica.pid is not None and replica.pid_started is not None and alive(replica.pid, replica.pid_started)

    def enable_restart(self, replica: Replica) -> None:
        """Does nothing: only the agent restarts a process."""

    def is_restarting(self, replica: Replica) -> bool:
        return False

    def current_address(self, replica: Replica) -> str:
        return replica.address

    def start_cost(self, version: int) -> tuple[float, str]:
        return 0.0, ""

    def captures(self) -> Path:
        return self.setting.directory / "capture"

    def failure_report(self, replica: Replica, log: Path) -> str:
        return daemon.tail(log)

    def ending(self, replica: Replica, log: Path) -> str:
        if replica.pid is None:
            return ""
        group = self._group(replica)
        why = f"more memory than `environments.{self.setting.environment.name}.memory` allows"
        killed = [why] if group is not None and group.out_of_memory() else []
        return ", ".join(filter(None, [daemon.ending(log, replica.pid), *killed]))

    def stop_lost(self, marker: str) -> int:
        lost = daemon.find(marker)
        for pid, started in lost:
            daemon.stop(pid, started, grace=2.0)
        return len(lost)

    def owned_names(self) -> OwnedNames:
        return OwnedNames()

    def cut_off(self, replica: Replica) -> bool:
        return False

    def connect(self, replica: Replica) -> None:
        """Does nothing: processes share this machine's network."""

    def after_rollout(self) -> None:
        """Does nothing: a process leaves nothing behind."""

    def teardown(self) -> list[str]:
        return []

    def url(self) -> str:
        return self.setting.environment.url(self.setting.environment.bind)
