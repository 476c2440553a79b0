"""The small world of tests/delivery with replicas in containers: a real engine, a real HAProxy in a container, light
serving images."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from podium.core.containers import Engine, Labels
from podium.core.containers.engine import labels as names
from podium.core.delivery.drivers.docker.driver import DockerDriver
from podium.core.delivery.status import status
from podium.core.domain.models import Version
from podium.core.errors import PodiumError
from podium.core.registry.files import bring

from tests.chaos import light_image
from tests.delivery.light import World
from tests.runner.scale import scaled
from tests.servers import images


class Docked(World):
    """`engine` is where the images of its versions are made; `environment` may name another way to the same engine
    (`host`, `tls`)."""

    def __init__(self, home: Path, engine: Engine, **environment: Any) -> None:
        super().__init__(
            home, **{"driver": "docker", "proxy_image": images.HAPROXY, "health_timeout": scaled(20.0), **environment}
        )
        self.engine = engine
        images.ensure(engine.api, images.HAPROXY)

    def version(self, number: int, *, example: bool = True, **behaviour: Any) -> None:
        def download(into: Path) -> None:
            (into / "behaviour.json").write_text(json.dumps(behaviour))
            if example:
                (into / "serving_input_example.json").write_text('{"inputs": [[1.0]]}')

        digest = bring(self.runtime.files.directory(number), download)
        commit = f"{number:040x}"
        self.journal.versions.update(
            Version(self.project.mlflow.model, number, time.time(), commit=commit, run_id=number)
        )
        more = {names.MODEL: self.project.mlflow.model, names.VERSION: str(number), names.DIGEST: digest}
        labels = {**Labels(self.project.name, self.project.home, names.IMAGE_ROLE).all(), **more}
        tag = f"podium-test/docked-{names.home_id(self.project.home)}:v{number}"
        light_image.version(
            self.engine.api, tag, json.dumps(behaviour).encode(), labels, {"PODIUM_SERVING_VERSION": str(number)}
        )

    @property
    def driver(self) -> DockerDriver:
        found = self.runtime.driver
        assert isinstance(found, DockerDriver)
        return found

    @property
    def mark(self) -> str:
        """The label of everything that this world has on the engine."""
        return f"{names.HOME}={names.home_id(self.project.home)}"

    def containers(self, role: str = "", *, stopped: bool = True) -> list[dict[str, Any]]:
        return self.engine.containers([self.mark, *([f"{names.ROLE}={role}"] if role else [])], stopped=stopped)

    def things(self) -> dict[str, int]:
        """How many containers, networks and volumes there are."""
        wanted = {"label": self.mark}
        volumes: list[Any] = self.engine.api.volumes(filters=wanted).get("Volumes") or []
        return {
            "containers": len(self.containers()),
            "networks": len(self.engine.api.networks(filters=wanted)),
            "volumes": len(volumes),
        }

    def close(self) -> None:
        deadline = time.monotonic() + scaled(20)
        while True:
            try:
                status.stop(self.project, self.journal, self.environment)
                break
            except PodiumError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.3)
        for container in self.containers():
            self.engine.api.remove_container(container["Id"], force=True, v=True)
        for network in self.engine.api.networks(filters={"label": self.mark}):
            self.engine.api.remove_network(network["Id"])
        for image in self.engine.api.images(filters={"label": self.mark}):
            self.engine.api.remove_image(image["Id"], force=True)
        self.journal.close()
