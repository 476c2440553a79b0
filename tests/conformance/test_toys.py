"""Another person's plug-ins: found by entry points, touching nothing of ours, under the tests that ours pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.delivery.host import daemon
from podium.core.delivery.rollout import phases
from podium.core.domain.runs import Run, RunState, Step
from podium.core.engine.submit import submit_operation

from tests.conformance.drivers import DriverBench, DriverConformance
from tests.conformance.executors import ExecutorBench, ExecutorConformance
from tests.conformance.toys import installed
from tests.delivery.light import World, get
from tests.engine.lab import Lab
from tests.support import wait_until


@pytest.fixture(autouse=True)
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with installed(tmp_path / "site", monkeypatch):
        yield


class TestToyExecutor(ExecutorConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[ExecutorBench]:
        made = ExecutorBench("toy", Lab(tmp_path / "project"))
        yield made
        made.close()


class TestToyDriver(DriverConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DriverBench]:
        monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
        world = World(tmp_path / "project", driver="toy", replicas=1)

        def left() -> list[str]:
            marker = world.runtime.marker(world.runtime.replica_id(1, 1))
            return [str(pid) for pid, _ in daemon.find(marker)] + [str(pid) for pid in world.proxy_pids()]

        made = DriverBench(world, left)
        yield made
        made.close()


def podium(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "podium.cli", *words],
        cwd=home,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )


def written(world: World, steps: str, driver: str = "toy") -> Path:
    """The world's project as a podium.yaml."""
    (world.project.home / "podium.yaml").write_text(
        "project: tiny\n"
        "mlflow: {model: tiny}\n"
        f"pipelines: {{main: {{steps: {steps}}}}}\n"
        "environments:\n"
        f"  staging: {{driver: {driver}, port: {world.port}, memory: 1g, keep: 0}}\n"
        f"  production: {{driver: process, port: {world.project.environments['production'].port}, protected: true}}\n"
    )
    return world.project.home


def deployed(world: World) -> tuple[Run, Step]:
    """Version 1 on staging by a worker, which knows the project from its podium.yaml alone. The command would ask the
    registry for the version, which only the journal has."""
    project = load(world.project.home)
    run = submit_operation(project, world.journal, "deploy", "staging", params={"version": "1"}, who="anna")
    wait_until(lambda: world.journal.runs.get(run.id).state.finished, 60, what="the deploy is over")
    return world.journal.runs.get(run.id), world.journal.steps.of(run.id)[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "project", driver="toy", replicas=1)
    yield made
    made.close()


def test_a_run_and_a_deploy_use_what_another_package_brings(world: World) -> None:
    world.version(1)
    home = written(world, "{one: {run: 'echo toy=$TOY', executor: toy}, two: {uses: toy, colour: red, needs: one}}")
    done = podium(home, "validate")
    assert done.returncode == 0, done.stderr
    assert "no installed package" not in done.stdout + done.stderr
    done = podium(home, "run", "main", "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "toy=yes" in podium(home, "logs", "last", "one").stdout
    steps = {step["name"]: step for step in json.loads(done.stdout)["steps"]}
    assert steps["two"]["results"] == {"colour": "red", "before": ["one"]}
    assert "a toy step with {'colour': 'red'}" in podium(home, "logs", "last", "two").stdout
    run, step = deployed(world)
    assert run.state is RunState.SUCCEEDED, step.message
    assert json.loads(get(world.port, "/version"))["version"] == "1"


def test_a_broken_one_says_what_is_missing_and_how_to_get_it(world: World) -> None:
    home = written(world, "{one: {run: 'true', executor: toy-broken}, two: {uses: toy-broken}}", driver="toy-broken")
    world.version(1)
    done = podium(home, "run", "main")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    for what in ("the executor 'toy-broken'", "the built-in step 'toy-broken'"):
        assert f"{what} of the package podium-toys cannot be loaded: it needs a_package_that_is_not_there" in said
    run, step = deployed(world)
    assert run.state is RunState.FAILED
    assert "the driver 'toy-broken' of the package podium-toys cannot be loaded" in step.message
    log = podium(home, "logs", "last", "deploy")
    assert "pip install a_package_that_is_not_there" in log.stdout + log.stderr


def test_the_doctor_names_plug_ins_that_do_not_load(world: World) -> None:
    home = written(world, "{one: {run: 'true'}}")
    said = podium(home, "doctor").stdout
    assert said.count("cannot be loaded: it needs a_package_that_is_not_there") == 3
