"""An `mlflow server` of the tests' own, and the little of its REST API that tests need to make versions without
importing MLflow."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

from tests.runner.scale import scaled

from ..support import free_port
from .server import Server


class MlflowServer(Server):
    """`address` is a tracking URI. One worker, no job execution: 0.4 GB and a few seconds to start."""

    name = "mlflow"
    start_seconds = 90.0

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--workers",
            "1",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        command += [
            "--backend-store-uri",
            f"sqlite:///{self.directory}/mlflow.db",
            "--artifacts-destination",
            str(self.directory / "artifacts"),
        ]
        environ = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        environ.pop("MLFLOW_TRACKING_URI", None)
        self.launch(command, environ)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=scaled(2)) as answer:
                return answer.status == 200
        except OSError:
            return False

    def post(self, what: str, **values: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/api/2.0/mlflow/{what}", json.dumps(values).encode(), headers)
        with urllib.request.urlopen(request, timeout=scaled(30)) as answer:
            return json.load(answer)

    def model(self, name: str, versions: int) -> None:
        """A registered model with that many versions, which have no files."""
        self.post("registered-models/create", name=name)
        for number in range(1, versions + 1):
            self.post("model-versions/create", name=name, source=f"s3://nowhere/{name}/{number}")

    def aliases(self, name: str) -> dict[str, int]:
        with urllib.request.urlopen(
            f"{self.address}/api/2.0/mlflow/registered-models/get?name={name}", timeout=scaled(30)
        ) as answer:
            return {
                each["alias"]: int(each["version"]) for each in json.load(answer)["registered_model"].get("aliases", [])
            }
