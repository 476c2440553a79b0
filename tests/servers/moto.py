"""moto's server: AWS's APIs in memory, CloudFormation among them. It does what is asked at once, knows no operations and
no drift; those are scripted where they are tested."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import urllib.request

from tests.runner.scale import scaled

from ..support import free_port
from .server import Server


def missing() -> str:
    if importlib.util.find_spec("boto3") is None:
        return "boto3 is not installed"
    return "" if _program() else "moto_server is not installed"


def _program() -> list[str]:
    if importlib.util.find_spec("moto") is not None and importlib.util.find_spec("flask") is not None:
        return [sys.executable, "-m", "moto.server"]
    found = shutil.which("moto_server")
    return [found] if found else []


class Moto(Server):
    """The server; `url` is the endpoint of every service."""

    name = "moto"
    start_seconds = 60.0

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.launch([*_program(), "-H", "127.0.0.1", "-p", str(self.port)])

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/moto-api/data.json", timeout=scaled(5)) as answer:
                return answer.status == 200
        except OSError:
            return False

    def reset(self) -> None:
        """Forgets everything."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        urllib.request.urlopen(request, timeout=scaled(10)).close()
