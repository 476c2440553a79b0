"""Containers with an environment's labels, made without a driver: for tests of what watches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from podium.core.config import load
from podium.core.containers import Engine, Labels
from podium.core.containers.engine import labels as names
from podium.core.domain.project import Environment, Project

_FILE = (
    "project: yard\npipelines: {release: {steps: {one: {run: 'true'}}}}\nenvironments: {production: {driver: docker,"
    " port: 5100}}\n"
)


class Yard:
    """`address` is the way to the engine that the project uses; `close` removes everything that was made."""

    def __init__(self, home: Path, engine: Engine, image: str, address: str = "") -> None:
        (home / "podium.yaml").write_text(_FILE)
        self.engine, self.image = engine, image
        project = load(home)
        self.environment: Environment = replace(project.environments["production"], host=address or str(engine.address))
        self.project: Project = replace(project, environments={"production": self.environment})

    def labels(self, replica: str, role: str = names.REPLICA_ROLE) -> dict[str, str]:
        more = {names.ENVIRONMENT: "production", names.REPLICA: replica, names.VERSION: "3"}
        return Labels(self.project.name, self.project.home, role, more).all()

    def run(
        self, replica: str, command: Sequence[str] | str = "sleep 1000", *, start: bool = True, **options: object
    ) -> str:
        """The id of a container that runs `command` in a shell."""
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        host = self.engine.api.create_host_config(init=True)
        made = self.engine.api.create_container(
            self.image, words, labels=self.labels(replica), host_config=host, **options
        )
        if start:
            self.engine.api.start(made["Id"])
        return str(made["Id"])

    def close(self) -> None:
        for each in self.engine.containers([f"{names.HOME}={names.home_id(self.project.home)}"]):
            self.engine.api.remove_container(each["Id"], force=True, v=True)
