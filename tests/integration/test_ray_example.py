"""The example of training on Ray, as its first lines say how it is used: on a real cluster of two nodes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from podium.core.demo.project import examples

from tests.integration.walking import podium_in
from tests.servers.mlflow import MlflowServer
from tests.servers.ray import Cluster
from tests.support import free_port

CELLS = 4


def flights(home: Path) -> None:
    """A repository with the example. The nodes' Python, which is beside Ray's here, is ours."""
    shutil.copytree(examples() / "flights", home, ignore=shutil.ignore_patterns("__pycache__", ".podium", "data"))
    text = (home / "podium.ray.yaml").read_text()
    there = "ray: {address"
    assert text.count(there) == 1 and text.count("port: 5100") == 1
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    text = text.replace(there, f"ray: {{runtime_env: {{env_vars: {{PATH: '{path}'}}}}, address")
    (home / "podium.yaml").write_text(text.replace("port: 5100", f"port: {free_port()}"))
    git = ["git", "-c", "user.name=anna", "-c", "user.email=anna@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "The flights"]):
        subprocess.run([*git, *arguments], cwd=home, check=True)


@pytest.mark.in_turn(1, of="long stories")
@pytest.mark.timeout(300)
def test_the_cells_train_on_the_nodes_and_the_best_one_serves(tmp_path: Path, ray_cluster: Cluster) -> None:
    home = tmp_path / "flights"
    flights(home)
    with MlflowServer() as server:
        places = {"MLFLOW_TRACKING_URI": server.address, "RAY_API_SERVER_ADDRESS": ray_cluster.address}
        podium = podium_in(home, places)
        try:
            podium("run", "release", "--jobs", str(CELLS))
            [version] = json.loads(podium("versions", "-o", "json"))
            [environment] = json.loads(podium("status", "-o", "json"))["environments"]
            assert version["verdict"] == "pass" and environment["serving"] == version["version"] == 1, environment
        finally:
            podium("stop", "-e", "production", "--yes", "--confirm", "production")
    jobs = [job for job in httpx.get(f"{ray_cluster.address}/api/jobs/", timeout=60).json() if _of(job, home)]
    assert len(jobs) == CELLS and {job["status"] for job in jobs} == {"SUCCEEDED"}


def _of(job: dict[str, dict[str, str] | None], home: Path) -> bool:
    return (job.get("metadata") or {}).get("home") == str(home)
