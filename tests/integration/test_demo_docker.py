"""`podium demo --docker`, whole, on a real engine: after every step `docker ps` and `podium status` are compared
from outside. Takes minutes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from podium.core.cockpit import Cockpit, demonstration
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.containers.images import store
from podium.core.domain.demo import DemoImages
from podium.core.errors import Refused, Unreachable

from tests.runner.scale import scaled
from tests.support import wait_until

ROW = '{{.ID}} {{.Label "podium.replica"}} {{.Label "podium.version"}}'


def mark(directory: Path) -> str:
    return f"{names.HOME}={names.home_id(directory)}"


def docker_ps(directory: Path) -> set[tuple[str, str, int]]:
    """(container, replica, version) of what runs, as the `docker` command shows it."""
    command = [
        "docker",
        "ps",
        "--no-trunc",
        "--filter",
        f"label={mark(directory)}",
        "--filter",
        "label=podium.role=replica",
        "--format",
        ROW,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(30), check=True)
    return {(words[0], words[1], int(words[2])) for line in done.stdout.splitlines() if (words := line.split())}


def podium_status(directory: Path) -> tuple[set[tuple[str, str, int]], dict[str, Any]]:
    """The same as `podium status -o json` has it, and the whole of what it says of the environment."""
    command = [sys.executable, "-m", "podium.cli", "status", "-C", str(directory), "-e", "production", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(60), check=True)
    (environment,) = json.loads(done.stdout)["environments"]
    running = {
        (row["container"], row["id"], row["version"])
        for row in environment["replicas"]
        if row["state"] not in ("stopped", "dead")
    }
    return running, environment


def forget(engine: Engine, directory: Path) -> None:
    """The images of a demonstration stay on the engine: a test's do not."""
    for image in sorted(store.find(engine, [mark(directory)]), key=lambda one: -int(one["Created"])):
        for name in image.get("RepoTags") or [image["Id"]]:
            store.remove(engine, name if name != "<none>:<none>" else image["Id"])


@pytest.mark.in_turn(1, of="long stories")
@pytest.mark.timeout(1500)
def test_the_whole_demonstration_in_docker(
    tmp_path: Path, engine: Engine, python_image: str, haproxy_image: str
) -> None:
    directory = tmp_path / "flights demo"
    compared: list[int | None] = []
    with demonstration(directory, docker=DemoImages(python_image, haproxy_image)) as played:
        try:
            for event in played.play():
                if event.text.startswith("docker ps and podium status agree"):
                    running, environment = podium_status(directory)
                    assert docker_ps(directory) == running and environment["differences"] == []
                    compared.append(environment["serving"])
            stages = [result.outcome for result in played.results]
            results = {result.what.partition(":")[0]: result for result in played.results}
            history = Cockpit.open(directory).environments.history("production")
        finally:
            stopped = played.stop()
    assert stages == ["v1 serves", "v2 serves", "taken back by its canary", "v1 serves", "done"]
    assert compared == [1, 2, 2, 1], "after the first, the promoted, the refused canary and the rollback"
    for part in ("commit 2", "commit 3", "rollback to version 1"):
        assert results[part].requests and results[part].lost == 0, results[part]
    assert [(row.how.value, row.state.value, row.to_version) for row in history] == [
        ("rollback", "succeeded", 1),
        ("promote", "failed", 3),
        ("promote", "succeeded", 2),
        ("promote", "succeeded", 1),
    ]
    # On a machine that does other things the champion may be slow too in a stage's window: then the next stage tells them apart.
    assert re.search(r"the canary ends in fail at (20|50) %", history[1].message), history[1].message
    # Where a machine has no core to spare, some of what is slow is given up before it is judged to be slow.
    assert re.search("latency_p99|error_rate", history[1].message), history[1].message
    assert not [line for line in stopped if "was left" in line], stopped
    assert engine.containers([mark(directory)]) == []
    assert engine.api.networks(filters={"label": mark(directory)}) == []
    forget(engine, directory)


def podium(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "podium.cli", *words]
    return subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=scaled(60)
    )


def test_an_image_that_cannot_be_pulled_is_told_with_the_option_that_names_another(
    tmp_path: Path, engine: Engine, haproxy_image: str
) -> None:
    missing = "127.0.0.1:9/podium-test/nothing:1"
    done = podium("demo", "--docker", "--base", missing, "--no-ui", cwd=tmp_path)
    assert done.returncode == 5, done.stderr
    assert (
        f"the image {missing} is not on the engine, and it cannot be pulled" in done.stderr
        and "pass --base IMAGE for another one" in done.stderr
    )
    assert list(tmp_path.iterdir()) == [], "nothing was made"
    with pytest.raises(Unreachable) as caught:
        list(demonstration(tmp_path / "demo", docker=DemoImages(haproxy_image, missing)).play())
    assert caught.value.hint.startswith("pass --proxy-image IMAGE")


def test_without_an_engine_it_says_so_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    done = podium("demo", "--docker", "--no-ui", cwd=tmp_path)
    assert done.returncode == 5 and "no Docker engine answers at unix://" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_twice_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "flights").mkdir()
    (tmp_path / "flights" / "mine").touch()
    with pytest.raises(Refused) as caught:
        list(demonstration(tmp_path / "flights", docker=DemoImages()).play())
    assert "podium demo --docker" in caught.value.hint and "rm -r" in caught.value.hint


def test_images_without_docker_are_a_mistake(tmp_path: Path) -> None:
    done = podium("demo", "--base", "x", "--no-ui", cwd=tmp_path)
    assert done.returncode == 2 and "add --docker" in done.stderr


@pytest.mark.in_turn(1, of="long stories")
@pytest.mark.timeout(400)
def test_ctrl_c_leaves_no_container_running(
    tmp_path: Path, engine: Engine, python_image: str, haproxy_image: str
) -> None:
    directory = tmp_path / "flights"
    command = [
        sys.executable,
        "-m",
        "podium.cli",
        "demo",
        str(directory),
        "--docker",
        "--base",
        python_image,
        "--proxy-image",
        haproxy_image,
        "--no-ui",
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        wait_until(
            lambda: engine.containers([mark(directory)], stopped=False) or process.poll() is not None,
            240,
            what="a step's container runs",
        )
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=scaled(90))
    finally:
        if process.poll() is None:
            process.kill()
    assert (process.returncode, out) == (130, ""), err
    assert engine.containers([mark(directory)]) == [], err
    forget(engine, directory)


def test_the_docker_variant_is_a_valid_configuration(tmp_path: Path) -> None:
    from podium.core.config import load
    from podium.core.demo.project import examples

    project_directory = tmp_path / "flights"
    project_directory.mkdir()
    (project_directory / "podium.yaml").write_text((examples() / "flights" / "podium.docker.yaml").read_text())
    project = load(project_directory)
    assert project.environments["production"].strategy.kind == "canary"
    steps = project.pipelines["release"].steps.values()
    assert {step.name for step in steps if step.container is not None} == {"unit", "data", "train"}
    assert all(step.container is None or not step.container.network for step in steps)
