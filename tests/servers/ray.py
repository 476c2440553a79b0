"""A real Ray cluster of this machine, with two nodes: a head and a worker on addresses of their own.
Ray is installed apart from Podium, which needs nothing of it: in the environment that PODIUM_RAY names (a directory
with `bin/ray`), which `.ci/run` makes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.runner.scale import scaled
from tests.support import free_port

VARIABLE = "PODIUM_RAY"
HEAD, WORKER = "127.0.0.1", "127.0.0.2"
_CPUS = 2
# No telemetry, and patience with a machine that does other things as well.
_ENV = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_health_check_failure_threshold": "20",
    "RAY_health_check_initial_delay_ms": "30000",
}
_OBJECTS = 80_000_000


@dataclass(frozen=True)
class Cluster:
    address: str
    root: Path

    def pids(self) -> list[int]:
        """Everything of this cluster: what works in its directory, or was started with its ports."""
        return list(_of(str(self.root)))

    def pids_of(self, node: str) -> list[int]:
        """What a node lives by: with it, everything that runs there ends."""
        return [
            pid for pid in self.pids() if f"--node_ip_address={node}" in _command(pid) and "raylet" in _command(pid)
        ]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def program() -> Path | None:
    """Returns the `ray` to use; None if there is none."""
    given = os.environ.get(VARIABLE)
    found = Path(given) / "bin" / "ray" if given else None
    return found if found is not None and found.exists() else None


@contextlib.contextmanager
def cluster(root: Path) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts. `root` has to be short: Ray puts sockets below it."""
    ray = program()
    assert ray is not None
    root.mkdir(parents=True, exist_ok=True)
    gcs, dashboard = free_port(), free_port()
    env = {**os.environ, **_ENV, "PATH": f"{ray.parent}:{os.environ['PATH']}", "RAY_TMPDIR": str(root)}
    env.pop("PODIUM_QUEUE", None)
    common = [f"--num-cpus={_CPUS}", "--num-gpus=0", f"--object-store-memory={_OBJECTS}", "--disable-usage-stats"]
    made = Cluster(f"http://{HEAD}:{dashboard}", root)
    try:
        head = ["start", "--head", f"--port={gcs}", f"--dashboard-host={HEAD}", f"--dashboard-port={dashboard}"]
        _call(ray, [*head, f"--node-ip-address={HEAD}", f"--temp-dir={root}", *_ports(), *common], env)
        _call(ray, ["start", f"--address={HEAD}:{gcs}", f"--node-ip-address={WORKER}", *_ports(), *common], env)
        _answering(made.address)
        yield made
    finally:
        for pid in made.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _ports() -> list[str]:
    return [f"--dashboard-agent-listen-port={free_port()}", f"--dashboard-agent-grpc-port={free_port()}"]


def _call(ray: Path, arguments: list[str], env: dict[str, str]) -> None:
    done = subprocess.run([str(ray), *arguments], env=env, capture_output=True, timeout=scaled(120), check=False)
    if done.returncode:
        raise RuntimeError(f"ray {arguments[0]} failed: {(done.stdout + done.stderr).decode()[-2000:]}")


def _answering(address: str) -> None:
    deadline = time.monotonic() + scaled(60)
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api/version", timeout=5):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{address} does not answer")
        time.sleep(0.1)


def _of(root: str) -> Iterator[int]:
    """The processes whose command line or environment names the cluster's directory."""
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        with contextlib.suppress(OSError):
            told = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
            if pid != os.getpid() and f"RAY_TMPDIR={root}".encode() in told:
                yield pid
