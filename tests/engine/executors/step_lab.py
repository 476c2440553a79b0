"""A project whose steps run in containers of the real engine, and a look at what the engine has of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from docker.errors import APIError
from podium.core.containers import Engine
from podium.core.containers.engine.labels import HOME, home_id

from tests.engine.lab import Lab
from tests.support import wait_until


class StepLab(Lab):
    def __init__(self, home: Path, engine: Engine) -> None:
        super().__init__(home)
        self.engine = engine

    def containers(self, *, stopped: bool = True) -> list[dict[str, Any]]:
        """The engine's short description of each container of this project."""
        return self.engine.containers([f"{HOME}={home_id(self.home)}"], stopped=stopped)

    def inspected(self) -> dict[str, Any]:
        """All about the only container there is."""
        (only,) = self.containers()
        return self.engine.inspect(only["Id"])

    def running(self) -> str:
        """The id of the container that runs, once one does."""
        found = wait_until(lambda: self.containers(stopped=False), 20, what="a container runs")
        return str(found[0]["Id"])

    def wait_for_log(self, run_id: int, step: str, text: str, timeout: float = 20.0) -> None:
        wait_until(
            lambda: text in self._log_or_nothing(run_id, step), timeout, what=f"{text!r} stands in the log of {step}"
        )

    def _log_or_nothing(self, run_id: int, step: str) -> str:
        try:
            return self.log(run_id, step)
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        super().close()
        for container in self.containers():
            with suppress(APIError):  # it is on its way already
                self.engine.api.remove_container(container["Id"], force=True, v=True)
        wait_until(lambda: not self.containers(), what="the containers are gone")
        for image in self.engine.api.images(filters={"label": f"{HOME}={home_id(self.home)}"}):
            self.engine.api.remove_image(image["Id"], force=True)
