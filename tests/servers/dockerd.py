"""A Docker engine of a test's own, to be stopped, killed and started again without anybody else noticing; and one
for machines where none answers.

In a test: `with Dockerd() as dockerd: open_engine(dockerd.address)`. Its data, sockets, bridge and addresses are its
own, it leaves the firewall alone, and when it ends, everything that it made ends: containers, shims, mounts,
bridges. It needs root.

For CI, where no engine answers (`python -m tests.servers.dockerd answers` ends with 1): `… start` starts one at
/var/run/docker.sock, and `… stop` ends that one, by its pid.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.runner.scale import scaled

from .docker0 import Docker0
from .ranges import Range, run
from .server import Started

START_SECONDS = 60.0
STOP_SECONDS = 60.0


def missing() -> str:
    """Why no engine of our own can be started here; empty where it can."""
    for program in ("dockerd", "containerd", "ip", "iptables"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"{program} is not installed"
    return "" if os.getuid() == 0 else "an engine of a test's own needs root"


class Dockerd(Started):
    """Started by `with` (or `start`), ended by `close`; in between `stop`, `kill` and `start` as often as wanted,
    over the same data.

    `address` is what podium.yaml or DOCKER_HOST takes. `arguments` are more options of dockerd, such as those for
    TLS.
    """

    def __init__(self, *arguments: str, live_restore: bool = False) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="podium-dockerd-"))
        self.socket = self.root / "docker.sock"
        self.log = self.root / "dockerd.log"
        self._range = Range.take()
        self._arguments = [
            "--bridge",
            self._range.bridge,
            "--default-address-pool",
            f"base={self._range.pool},size=24",
            "--iptables=false",
            "--ip-masq=false",
            *(["--live-restore"] if live_restore else []),
            *arguments,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def bridge(self) -> str:
        """The name of its bridge among this machine's network interfaces."""
        return self._range.bridge

    def start(self) -> None:
        assert not self.running
        own = Docker0.seen()
        self._process = spawn(self.root, self.socket, self._arguments)
        wait_for(self.socket, self._process, self.log, meanwhile=own.restore)

    def stop(self) -> None:
        """As an administrator does: containers are ended with it, or live on with live-restore."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(scaled(STOP_SECONDS))
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """As a crash does: nothing is written, containers live on until the engine is back. Its containerd dies with
        it."""
        if self._process is None:
            return
        numbers = self.root / "exec/containerd/containerd.pid"
        containerd = int(numbers.read_text()) if numbers.exists() else 0
        self._process.kill()
        self._process.wait(scaled(10))
        with contextlib.suppress(psutil.Error):
            psutil.Process(containerd).kill()
        # Where nobody buries orphans its number stays taken, and dockerd would take it for alive.
        numbers.unlink(missing_ok=True)

    def close(self) -> None:
        if self.running:
            with contextlib.suppress(OSError, http.client.HTTPException):
                for container in ask(self.socket, "GET", "/containers/json?all=1"):
                    ask(self.socket, "DELETE", f"/containers/{container['Id']}?force=1&v=1")
            # Nobody reads its data any more, and told to end it takes most of a minute for a good-bye to its containerd.
            self.kill()
        clear(self.root)
        self._range.close()


def spawn(root: Path, socket_path: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    name = "podium" + "".join(letter for letter in root.name.rpartition("-")[2] if letter.isalnum())
    command = [
        "dockerd",
        "--data-root",
        str(root / "data"),
        "--exec-root",
        str(root / "exec"),
        "--pidfile",
        str(root / "pid"),
        "-H",
        f"unix://{socket_path}",
        "--containerd-namespace",
        name,
        "--containerd-plugins-namespace",
        f"{name}plugins",
        *arguments,
    ]
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    with (root / "dockerd.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )


def wait_for(
    socket_path: Path, process: subprocess.Popen[bytes], log: Path, meanwhile: Callable[[], None] = lambda: None
) -> None:
    deadline = time.monotonic() + scaled(START_SECONDS)
    up = False
    while not up:
        up = answers(socket_path)
        meanwhile()
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dockerd did not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=scaled(20))
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(socket_path: Path, method: str, target: str) -> Any:
    """One request without the docker package; OSError or HTTPException when nobody answers."""
    connection = _Connection(socket_path)
    try:
        connection.request(method, target)
        body = connection.getresponse().read()
        return json.loads(body) if body[:1] in (b"{", b"[") else body.decode()
    finally:
        connection.close()


def answers(socket_path: Path) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return ask(socket_path, "GET", "/_ping") == "OK"
    return False


def _belonging(root: Path) -> Iterator[psutil.Process]:
    """Engine, containerd, shims and what runs in them: all that names the directory, with its children; and what
    only its own mounts still tell of, such as a step of a build whose engine was killed."""
    ours = os.readlink("/proc/self/ns/mnt")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.readlink(f"/proc/{process.pid}/ns/mnt") != ours and _rooted(process.pid, root):
                yield process
            line = process.cmdline()
            if (
                line
                and Path(line[0]).name.startswith(("dockerd", "containerd", "docker-proxy"))
                and any(str(root) in word for word in line)
            ):
                yield from process.children(recursive=True)
                yield process


def _rooted(pid: int, root: Path) -> bool:
    """Whether its `/` lies below the directory. Its other mounts say nothing: a container of any engine begins with
    all that the machine has."""
    lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    return any(line.split()[4] == "/" and f"{root}/" in line for line in lines)


def clear(root: Path) -> None:
    """Whatever a dead engine left: processes, mounts, files."""
    left = {process.pid: process for process in _belonging(root)}
    for process in left.values():
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs([*left.values()], timeout=scaled(10))
    for _ in range(3):  # a mount may lie on another one at the same place
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(f"{root}/")), reverse=True):
            run("umount", "-l", mount, check=False)
    shutil.rmtree(root, ignore_errors=True)


# ---- an engine for a machine that has none

LOCAL = Path("/var/run/docker.sock")
# Not `docker0`, which engines of the tests delete when they start (see docker0.py).
_BRIDGE, _ADDRESS = "podium-own", "172.17.0.1/16"


def ensure_cgroups() -> None:
    """A machine that boots without an init system has mounted none, and no engine starts without."""
    base = Path("/sys/fs/cgroup")
    if (base / "cgroup.controllers").exists() or (base / "devices").is_dir() or not base.is_dir():
        return
    run("mount", "-t", "tmpfs", "-o", "mode=755", "cgroup", str(base))
    for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
        name, _, _, enabled = line.split()
        if enabled == "1":
            (base / name).mkdir()
            run("mount", "-t", "cgroup", "-o", name, "cgroup", str(base / name), check=False)


def _links() -> set[str]:
    return {line.split(": ")[1].split("@")[0] for line in run("ip", "-o", "link").splitlines()}


def _firewall() -> str:
    """For iptables-restore: the rules as they are, and tables that the engine is going to be the first to use as
    empty."""
    saved = run("iptables-save", check=False)
    for table, chains in (("filter", "INPUT FORWARD OUTPUT"), ("nat", "PREROUTING INPUT OUTPUT POSTROUTING")):
        if f"*{table}" not in saved:
            saved += f"*{table}\n" + "".join(f":{chain} ACCEPT\n" for chain in chains.split()) + "COMMIT\n"
    return saved


def start(root: Path) -> None:
    if answers(LOCAL):
        raise SystemExit(f"an engine answers at {LOCAL} already")
    if missing():
        raise SystemExit(missing())
    ensure_cgroups()
    root.mkdir(parents=True, mode=0o700, exist_ok=True)
    (root / "iptables").write_text(_firewall())
    run("ip", "link", "del", _BRIDGE, check=False)
    (root / "links").write_text("\n".join(sorted(_links())))
    run("ip", "link", "add", _BRIDGE, "type", "bridge")
    run("ip", "addr", "add", _ADDRESS, "dev", _BRIDGE)
    run("ip", "link", "set", _BRIDGE, "up")
    wait_for(LOCAL, spawn(root, LOCAL, ["--bridge", _BRIDGE]), root / "dockerd.log")


def stop(root: Path) -> None:
    pid = root / "pid"
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int(pid.read_text()))
        if any(str(root) in word for word in process.cmdline()):
            process.terminate()
            process.wait(scaled(STOP_SECONDS))
    if (root / "links").exists():
        before = {*(root / "links").read_text().split()}
        for link in _links():
            if link not in before and (link == _BRIDGE or link.startswith(("br-", "veth"))):
                run("ip", "link", "del", link, check=False)
        subprocess.run(["iptables-restore", str(root / "iptables")], timeout=scaled(30), check=False)
    clear(root)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A Docker engine for a machine where none answers.")
    parser.add_argument("action", choices=("start", "stop", "answers"))
    parser.add_argument("--root", type=Path, default=Path("/var/tmp/podium-dockerd"))
    chosen = parser.parse_args(sys.argv[1:])
    if chosen.action == "answers":
        raise SystemExit(0 if answers(LOCAL) else 1)
    (start if chosen.action == "start" else stop)(chosen.root)
