"""A project whose steps run on a real Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from podium.core.domain.project import Project

from tests.engine.lab import Lab


class RayLab(Lab):
    def __init__(self, home: Path, address: str, *, shared: bool = False, trusted: bool = True) -> None:
        super().__init__(home)
        self.address = address
        self._ray = f"ray: {{address: {address!r}, shared: {str(shared).lower()}, trusted: {str(trusted).lower()}}}"

    def pipeline(self, steps: str, *, extra: str = "") -> Project:
        """No step of the tests asks MLflow for anything, so nobody listens there."""
        super().pipeline(steps, extra=extra)
        file = self.home / "podium.yaml"
        file.write_text(f"{file.read_text()}mlflow: {{tracking_uri: 'http://127.0.0.1:9'}}\n{self._ray}\n")
        return self.project

    def jobs(self) -> list[dict[str, Any]]:
        """What Ray has of this project's steps."""
        found: list[dict[str, Any]] = httpx.get(f"{self.address}/api/jobs/", timeout=60).json()
        return [job for job in found if (job.get("metadata") or {}).get("home") == str(self.home)]
