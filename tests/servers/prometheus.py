"""The real Alertmanager and Prometheus of Debian, on free ports of the loopback."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

from tests.runner.scale import scaled

from ..support import free_port
from .server import Server


def missing_alertmanager() -> str:
    return "" if shutil.which("prometheus-alertmanager") else "prometheus-alertmanager is not installed"


def missing_prometheus() -> str:
    return "" if shutil.which("prometheus") and shutil.which("promtool") else "prometheus is not installed"


class _Web(Server):
    start_seconds = 20.0

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=scaled(5)) as answer:
                return answer.status == 200
        except OSError:
            return False

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=scaled(10)) as answer:
            return json.load(answer)


class Alertmanager(_Web):
    """Tells nobody; `alerts()` is what it knows."""

    name = "alertmanager"

    def start(self) -> None:
        (self.directory / "config.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        self.launch(
            [
                "prometheus-alertmanager",
                "--config.file=config.yml",
                f"--storage.path={self.directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--cluster.listen-address=",
            ]
        )

    def alerts(self) -> list[dict[str, Any]]:
        """Those that are active."""
        return self.get("/api/v2/alerts")


class Prometheus(_Web):
    """Scrapes one target each second."""

    name = "prometheus"

    def __init__(self, target: str, token: str = "") -> None:
        super().__init__()
        self._target, self._token = target, token

    def start(self) -> None:
        job: dict[str, Any] = {"job_name": "podium", "static_configs": [{"targets": [self._target]}]}
        if self._token:
            job["authorization"] = {"credentials": self._token}
        config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}
        Path(self.directory / "prometheus.yml").write_text(json.dumps(config))  # YAML reads JSON
        self.launch(
            [
                "prometheus",
                f"--config.file={self.directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ]
        )

    def query(self, words: str) -> list[dict[str, Any]]:
        """What the expression is now."""
        from urllib.parse import quote

        return self.get(f"/api/v1/query?query={quote(words)}")["data"]["result"]
