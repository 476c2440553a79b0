"""A real image registry: Debian's docker-registry on a free port of the loopback, its storage in a temporary directory.

The engine needs no setting for it: loopback addresses are let through without TLS.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path

from tests.runner.scale import scaled

from ..support import free_port
from .server import Server


def missing() -> str:
    return "" if shutil.which("docker-registry") else "docker-registry is not installed"


class Registry(Server):
    """`address` (`127.0.0.1:PORT`) is the first part of an image's name. With a `user`, nobody gets in without the
    password."""

    name = "registry"
    start_seconds = 20.0

    def __init__(self, user: str = "", password: str = "") -> None:
        super().__init__()
        self.port = free_port()
        self.user, self.password = user, password

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        config = self.directory / "config.json"  # YAML reads JSON
        config.write_text(json.dumps(self._config()))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
        self.launch(["docker-registry", "serve", str(config)], environment)

    def answers(self) -> bool:
        return self._status() in (200, 401)

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.directory / "storage")}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
        }
        if self.user:
            (self.directory / "htpasswd").write_text(f"{self.user}:{_bcrypt(self.password)}\n")
            config["auth"] = {"htpasswd": {"realm": "podium-test", "path": str(self.directory / "htpasswd")}}
        return config

    def _status(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=scaled(2))
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def get(self, path: str) -> dict[str, object]:
        """What the registry answers under /v2/, for a look from outside."""
        request = urllib.request.Request(f"http://{self.address}/v2/{path}")
        if self.user:
            request.add_header("Authorization", "Basic " + self.secret)
        with urllib.request.urlopen(request, timeout=scaled(10)) as answer:
            return json.load(answer)

    @property
    def secret(self) -> str:
        """As a docker configuration's `auths.ADDRESS.auth` holds it."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def docker_config(self, directory: Path) -> Path:
        """A directory for DOCKER_CONFIG in which `docker login` to this registry was done."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "config.json").write_text(json.dumps({"auths": {self.address: {"auth": self.secret}}}))
        return directory


def _bcrypt(password: str) -> str:
    """The registry takes nothing else. Perl is on every Debian and asks the C library, which Python no longer does."""
    script = 'print crypt($ARGV[0], q($2b$05$) . "podiumpodiumpodiumpodi")'
    return subprocess.run(
        ["perl", "-e", script, password], capture_output=True, text=True, timeout=scaled(10), check=True
    ).stdout
