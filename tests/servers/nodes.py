"""Machines that serve, as far as one machine can have several: engines, each in a network and a host name of its own,
reached over SSH through one switch.

In a test: `with Nodes(3) as nodes: nodes[0].address`. A node can be cut off (`cut`), frozen, killed and brought back;
the others, and whoever asks from outside, notice what they would notice of a real one. It needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.runner.scale import scaled

from . import dockerd, sshd
from .ranges import Range, run

_FIRST = 11
# The same on every node: addresses of replicas say nothing without their host.
_POOL = "base=172.29.0.0/16,size=24"


def missing() -> str:
    """Why there can be no nodes here; empty where they can."""
    for program in ("nsenter", "unshare"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return dockerd.missing() or sshd.missing()


class Node:
    """One machine: an engine and an sshd. `ip` is where all others reach it, `address` what podium.yaml names."""

    def __init__(self, root: Path, own: Range, number: int) -> None:
        self.root = root / f"n{number}"
        self.root.mkdir()
        self.name = f"{own.bridge}n{number}"
        self.link = f"{own.bridge}v{number}"
        self.ip = f"10.{own.number}.0.{_FIRST + number}"
        self.socket = self.root / "docker.sock"
        self._range = own
        self._root = root
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"ssh://root@{self.ip}{self.socket}"

    def plug(self) -> None:
        """Connects it to the switch. What a run that was killed has left of the same name, whose number is ours now, is
        ended first."""
        if Path(f"/run/netns/{self.name}").exists():
            self._signal(signal.SIGKILL)
            run("ip", "link", "del", self.link, check=False)
            run("ip", "netns", "del", self.name, check=False)
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "link", "set", self.link, "master", self._range.bridge, "up")
        inside = ("ip", "netns", "exec", self.name, "ip")
        run(*inside, "addr", "add", f"{self.ip}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "route", "add", "default", "via", f"10.{self._range.number}.0.1")

    def start(self) -> None:
        """Boots it; `wait` until it answers."""
        self.socket.unlink(missing_ok=True)
        (self.root / "pid").unlink(missing_ok=True)
        (self.root / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        name = "".join(letter for letter in f"{self._root.name}{self.root.name}" if letter.isalnum())
        engine = [
            *("dockerd", "--data-root", str(self.root / "data"), "--exec-root", str(self.root / "exec")),
            *("--pidfile", str(self.root / "pid"), "-H", f"unix://{self.socket}"),
            *("--containerd-namespace", name, "--containerd-plugins-namespace", f"{name}plugins"),
            *("--default-address-pool", _POOL, "--bip", "172.28.0.1/24"),
        ]
        self._launch("dockerd.log", *engine)
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        assert program, sshd.missing()
        self._launch("sshd.log", program, "-D", "-e", "-f", str(self._root / "sshd_config"))

    def _launch(self, log: str, *command: str) -> None:
        inside = ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "--uts", "sh", "-c"]
        environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        with (self.root / log).open("ab") as file:
            self._processes.append(
                subprocess.Popen(
                    [*inside, 'hostname "$0" && exec "$@"', self.root.name, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    env=environment,
                    start_new_session=True,
                )
            )

    def wait(self) -> None:
        dockerd.wait_for(self.socket, self._processes[-2], self.root / "dockerd.log")
        deadline = time.monotonic() + scaled(20)
        while True:
            with contextlib.suppress(OSError), socket.create_connection((self.ip, 22), timeout=scaled(1)) as probe:
                if probe.recv(4) == b"SSH-":
                    return
            assert time.monotonic() < deadline, (self.root / "sshd.log").read_text(errors="replace")[-2000:]
            time.sleep(0.05)

    # What happens to machines

    def cut(self) -> None:
        """Pulls its cable: it goes on, and neither hears nor is heard."""
        run("ip", "link", "set", self.link, "down")

    def mend(self) -> None:
        """Plugs the cable in again."""
        run("ip", "link", "set", self.link, "up")

    def freeze(self) -> None:
        """Stops everything on it in the middle of what it does; its kernel still takes connections."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Takes its power away."""
        self.cut()
        self._signal(signal.SIGKILL)
        for process in self._processes:
            process.wait(scaled(10))
        self._processes.clear()

    def boot(self) -> None:
        """Brings it back after `kill`."""
        self.mend()
        self.start()
        self.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Sends the signal to all that runs on it, twice: a process may start another one meanwhile."""
        for _ in range(2):
            for process in self._running():
                with contextlib.suppress(psutil.Error):
                    process.send_signal(number)

    def _running(self) -> Iterator[psutil.Process]:
        """Yields what is in its network, and what that has started: replicas have a network of their own."""
        found = os.stat(f"/run/netns/{self.name}")
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if os.path.samestat(os.stat(f"/proc/{process.pid}/ns/net"), found):
                    yield from process.children(recursive=True)
                    yield process

    def close(self) -> None:
        self.thaw()
        self._signal(signal.SIGKILL)
        for process in self._processes:
            process.wait(scaled(10))
        dockerd.clear(self.root)
        run("ip", "link", "del", self.link, check=False)
        run("ip", "netns", "del", self.name, check=False)


class Nodes(list[Node]):
    """So many nodes on one switch. `bin` goes to the front of PATH: it has an `ssh` that they let in."""

    def __init__(self, number: int = 3) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="podium-nodes-"))
        self._range = Range.take()
        self.bin = self.root / "bin"
        self.extend(Node(self.root, self._range, place + 1) for place in range(number))

    def __enter__(self) -> Nodes:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        return f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def start(self) -> None:
        dockerd.ensure_cgroups()
        self._keys()
        for node in self:
            node.plug()
            node.start()
        for node in self:
            node.wait()

    def _keys(self) -> None:
        root = self.root
        for name in ("host", "user"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "podium-test", "-f", str(root / name)]
            subprocess.run(command, check=True, timeout=scaled(20), stdin=subprocess.DEVNULL)
        shutil.copy(root / "user.pub", root / "authorized_keys")
        host = " ".join((root / "host.pub").read_text().split()[:2])
        (root / "known_hosts").write_text("".join(f"{node.ip} {host}\n" for node in self))
        (root / "ssh_config").write_text(
            f"IdentityFile {root}/user\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile"
            f" {root}/known_hosts\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n"
        )
        (root / "sshd_config").write_text(
            f"Port 22\nHostKey {root}/host\nAuthorizedKeysFile {root}/authorized_keys\nPidFile none\nUsePAM no\n"
            "StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nMaxStartups 100\nMaxSessions 100\nUseDNS no\n"
        )
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.bin.mkdir()
        (self.bin / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {root}/ssh_config "$@"\n')
        (self.bin / "ssh").chmod(0o755)

    def close(self) -> None:
        for node in self:
            node.close()
        self._range.close()
        shutil.rmtree(self.root, ignore_errors=True)
