"""Replicas as processes of this machine: `python -m podium.core.serving.server`, detached."""

from __future__ import annotations

import os
import sys

from ...domain.delivery import Replica
from ...journal.processes import alive
from .. import detached
from ..paths import private
from . import ReplicaSpec

_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")


class ProcessDriver:
    def command(self, spec: ReplicaSpec) -> list[str]:
        return [
            sys.executable, "-m", "podium.core.serving.server",
            "--model", str(spec.files), "--host", "127.0.0.1", "--port", str(spec.port),
            "--model-name", spec.model, "--version", str(spec.version), "--environment", spec.environment,
            "--digest", spec.digest, "--commit", spec.commit,
            "--capture-dir", str(spec.capture_dir), "--capture-rate", str(spec.capture_rate),
        ]  # fmt: skip

    def start(self, spec: ReplicaSpec) -> tuple[int, float]:
        private(spec.capture_dir)
        inherited = {key: value for key, value in os.environ.items() if key in _INHERITED or key.startswith(("LC_", "OMP_", "MKL_", "OPENBLAS_"))}
        env = {**inherited, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONUNBUFFERED": "1", **spec.env, "PODIUM_REPLICA": spec.marker}
        return detached.start(self.command(spec), log=spec.log, cwd=spec.log.parent, env=env)

    def stop(self, replica: Replica, *, grace: float) -> None:
        if replica.pid is not None and replica.pid_started is not None:
            detached.stop(replica.pid, replica.pid_started, grace=grace)

    def alive(self, replica: Replica) -> bool:
        return replica.pid is not None and replica.pid_started is not None and alive(replica.pid, replica.pid_started)

    def stop_lost(self, marker: str) -> int:
        lost = detached.find(marker)
        for pid, started in lost:
            detached.stop(pid, started, grace=2.0)
        return len(lost)
