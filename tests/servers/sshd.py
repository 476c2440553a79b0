"""A real sshd of the tests' own, with a line to it that can be cut, and an `ssh` that knows its key and host key.

`ssh` reads ~/.ssh/config of the account's home and minds no variable, so a directory for PATH holds an `ssh` that
calls the system's with a configuration of ours (`-F`). Nothing of the user's own is read or written, and every
program that a test starts finds it the same way.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path

from tests.runner.scale import scaled

from ..support import free_port
from .line import Line
from .server import Server


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def missing() -> str:
    for program in ("sshd", "ssh", "ssh-keygen"):
        if _program(program) is None:
            return f"{program} is not installed"
    return ""


class Sshd(Server):
    """`line` is what clients connect to: `line.cut()`, `line.freeze()`, `line.restore()`. `bin` goes to the front of
    PATH."""

    name = "sshd"
    start_seconds = 20.0

    def __init__(self) -> None:
        super().__init__()
        self.user = getpass.getuser()
        self.bin = self.directory / "bin"
        self._port = free_port()
        self.line = Line(self._port)

    @property
    def port(self) -> int:
        return self.line.port

    def address(self, path: str = "") -> str:
        """What podium.yaml's `host` takes; with the `path` of an engine's socket where it is not the usual one."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"

    @property
    def path(self) -> str:
        """PATH with the `ssh` that gets in."""
        return f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def start(self) -> None:
        if not self.bin.exists():
            self._keys()
            self._client()
            (self.directory / "sshd_config").write_text(self._config())
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        program = _program("sshd")
        assert program, missing()
        self.launch([program, "-D", "-e", "-f", str(self.directory / "sshd_config")])

    def _keys(self) -> None:
        for name in ("host", "user"):
            command = [
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "podium-test",
                "-f",
                str(self.directory / name),
            ]
            subprocess.run(command, check=True, timeout=scaled(20), stdin=subprocess.DEVNULL)
        shutil.copy(self.directory / "user.pub", self.directory / "authorized_keys")
        host = " ".join((self.directory / "host.pub").read_text().split()[:2])
        (self.directory / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host}\n")

    def _client(self) -> None:
        config = self.directory / "ssh_config"
        config.write_text(
            f"IdentityFile {self.directory}/user\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile"
            f" {self.directory}/known_hosts\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n"
        )
        self.bin.mkdir()
        script = self.bin / "ssh"
        script.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        script.chmod(0o755)

    def _config(self) -> str:
        options = {
            "ListenAddress": "127.0.0.1",
            "Port": self._port,
            "HostKey": self.directory / "host",
            "AuthorizedKeysFile": self.directory / "authorized_keys",
            "PidFile": self.directory / "pid",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "prohibit-password",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "AllowStreamLocalForwarding": "yes",
            "AllowTcpForwarding": "yes",
            "MaxStartups": "100",
            "MaxSessions": "100",
            "UseDNS": "no",
        }
        return "".join(f"{name} {value}\n" for name, value in options.items())

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=scaled(2)) as probe:
                return probe.recv(4) == b"SSH-"
        except OSError:
            return False

    def close(self) -> None:
        self.line.close()
        super().close()
