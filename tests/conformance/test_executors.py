"""Every executor that Podium brings, under the tests that every executor passes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core import plugins

from tests.conformance.executors import ExecutorBench, ExecutorConformance
from tests.engine.executors.ray_lab import RayLab
from tests.engine.executors.step_lab import StepLab
from tests.engine.lab import Lab


def process_bench(home: Path, request: pytest.FixtureRequest) -> ExecutorBench:
    return ExecutorBench("process", Lab(home))


def docker_bench(home: Path, request: pytest.FixtureRequest) -> ExecutorBench:
    engine = request.getfixturevalue("engine")
    image = request.getfixturevalue("shell_image")
    return ExecutorBench("docker", StepLab(home, engine), image=image, remarks=rb"^container [0-9a-f]{12}.*\n")


def ray_bench(home: Path, request: pytest.FixtureRequest) -> ExecutorBench:
    lab = RayLab(home, request.getfixturevalue("ray_cluster").address, shared=True)
    return ExecutorBench("ray", lab, remarks=rb"^ray(?: job|:) .*\n")


BENCHES = {"process": process_bench, "docker": docker_bench, "ray": ray_bench}


class TestExecutors(ExecutorConformance):
    @pytest.fixture(params=sorted(BENCHES))
    def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ExecutorBench]:
        made = BENCHES[request.param](tmp_path / "project", request)
        yield made
        made.close()


def test_every_executor_of_the_table_is_tested() -> None:
    assert set(BENCHES) == {name for name, plugin in plugins.TABLE["executors"].items() if plugin.target}
