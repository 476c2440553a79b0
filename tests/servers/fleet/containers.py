"""A container that does not run: what an engine knows of it, and says."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from . import shapes
from .haproxy import RuntimeApi


class Container:
    """`config` is what it was created from. Its documents are written once, and again when it has changed."""

    def __init__(self, name: str, config: dict[str, Any], image: str, network: dict[str, Any] | None) -> None:
        self.id = secrets.token_hex(32)
        self.name, self.config, self.image, self.network = name, config, image, network
        self.created = time.time()
        self.started = self.finished = 0.0
        self.state, self.exit_code = "created", 0
        self.wanted, self.address = "", ""
        self.proxy: RuntimeApi | None = None
        self._listed: bytes | None = None
        self._inspected: bytes | None = None

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def labels(self) -> dict[str, str]:
        return self.config.get("Labels") or {}

    def become(self, state: str, exit_code: int = 0) -> None:
        self.state, self.exit_code = state, exit_code
        if state == "running":
            self.started = time.time()
            self.address = self.wanted
            if self.proxy is not None:
                self.proxy.restart()
        elif state == "exited":
            self.finished, self.address = time.time(), ""
        self.changed()

    def changed(self) -> None:
        self._listed = self._inspected = None

    def listed(self) -> bytes:
        """Its entry in the engine's list."""
        if self._listed is None:
            self._listed = json.dumps(self._entry()).encode()
        return self._listed

    def inspected(self) -> bytes:
        """The engine's full description of it."""
        if self._inspected is None:
            self._inspected = json.dumps(self._description()).encode()
        return self._inspected

    def stats(self, at: float) -> bytes:
        busy = int((at - self.started) * 20_000_000)
        return json.dumps(shapes.stats(self.id, self.name, at, busy, busy // 20_000)).encode() + b"\n"

    def _networks(self) -> dict[str, Any]:
        if self.network is None:
            return {"host": shapes.endpoint("h" * 64, "", wanted="", gateway="")}
        gateway = self.network["IPAM"]["Config"][0]["Gateway"]
        place = shapes.endpoint(self.network["Id"], self.address, wanted=self.wanted, gateway=gateway)
        return {self.network["Name"]: place}

    def _entry(self) -> dict[str, Any]:
        status = {"running": "Up 2 hours", "created": "Created"}.get(
            self.state, f"Exited ({self.exit_code}) 1 hour ago"
        )
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": self.config["Image"],
            "ImageID": self.image,
            "Command": " ".join(self.config.get("Cmd") or ["python -m podium.core.serving"])[:40],
            "Created": int(self.created),
            "Ports": [],
            "Labels": self.labels,
            "State": self.state,
            "Status": status,
            "HostConfig": {"NetworkMode": self.config["HostConfig"].get("NetworkMode", "default")},
            "NetworkSettings": {"Networks": self._networks()},
            "Mounts": [],
        }

    def _description(self) -> dict[str, Any]:
        state = {
            "Status": self.state,
            "Running": self.running,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 4711 if self.running else 0,
            "ExitCode": self.exit_code,
            "Error": "",
            "StartedAt": shapes.stamp(self.started) if self.started else shapes.NEVER,
            "FinishedAt": shapes.stamp(self.finished) if self.finished else shapes.NEVER,
        }
        policy = {"Name": "", "MaximumRetryCount": 0}
        return {
            "Id": self.id,
            "Created": shapes.stamp(self.created),
            "Path": "python",
            "Args": [],
            "State": state,
            "Image": self.image,
            "Name": f"/{self.name}",
            "RestartCount": 0,
            "Driver": "overlay2",
            "Platform": "linux",
            "HostConfig": {"RestartPolicy": policy, **self.config["HostConfig"]},
            "Mounts": [],
            "Config": {"Tty": False, "Env": [], **{k: v for k, v in self.config.items() if k != "HostConfig"}},
            "NetworkSettings": {"Networks": self._networks()},
        }
