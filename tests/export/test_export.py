"""An environment in Docker, written for Compose, started by it, and asked."""

from __future__ import annotations

import http.client
import secrets
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.delivery.rollout import phases
from podium.core.domain.access.clients import Auth
from podium.core.domain.containers import Image
from podium.core.domain.delivery import CanaryRequest
from podium.core.domain.engines.exports import ExportFormat
from podium.core.domain.project import Strategy
from podium.core.domain.rollout import WARM_UP
from podium.core.errors import NotFound, Refused, Unreachable
from podium.core.export.write import write

from tests.conftest import required
from tests.delivery.docker.docked import Docked
from tests.delivery.light import replace_phase
from tests.delivery.rollout.test_canary import Promotion
from tests.runner.scale import scaled
from tests.support import free_port, wait_until

COMPOSE, KUBERNETES = ExportFormat.COMPOSE, ExportFormat.KUBERNETES


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Docked(tmp_path / "home", engine)
    yield made
    made.close()


def built(docked: Docked, number: int, *, pushed: str = "") -> None:
    """The version has an image, as a step `uses: image` would have noted it."""
    docked.version(number)
    label = f"{names.VERSION}={number}"
    image = docked.engine.api.images(filters={"label": [docked.mark, label]})[0]["Id"]
    made = Image(
        docked.project.mlflow.model, number, "unix:///here", image, pushed or image, time.time(), digest=pushed
    )
    docked.journal.images.put(made)


def written(docked: Docked, form: ExportFormat, to: Path):
    return write(docked.project, docked.journal, docked.environment.name, form, to)


def test_compose_serves_a_canary_as_it_stands(docked: Docked, tmp_path: Path) -> None:
    required("" if shutil.which("docker-compose") else "docker-compose")
    for number in (1, 2):
        built(docked, number)
    docked.deploy(1)
    docked.change(strategy=Strategy("canary", weights=(25,), interval=600.0, drain=2.0))
    going = Promotion(docked)
    going.thread.start()
    try:
        going.at(25)
        port = free_port()
        exported = replace(docked.project, environments={"staging": replace(docked.environment, port=port)})
        done = write(exported, docked.journal, "staging", COMPOSE, tmp_path / "out")
    finally:
        going.request(CanaryRequest.ABORT)
        going.ended()
        going.journal.close()
    assert done.versions == (1, 2) and any("never pushed" in each for each in done.left_out)
    with started(done.directory):
        # Each version has two servers, of weights 256 and 85: of 200 answers in turns 50 are the canary's.
        wait_until(lambda: 40 <= Counter(answer(port) for _ in range(200))["2"] <= 60, 60.0)
        bounds_hold(port)


def bounds_hold(port: int) -> None:
    """As Podium's own proxy has them, and in JSON."""
    for head, status, words in (
        (f"GET /{'x' * 9_000} HTTP/1.1\r\n", 414, "address is too long"),
        (f"GET / HTTP/1.1\r\n{''.join(f'x-{number}: 1{chr(13)}{chr(10)}' for number in range(120))}", 431, "headers"),
        ("POST /invocations HTTP/1.1\r\nContent-Length: 99999999999\r\n", 413, "too large"),
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=scaled(10)) as connection:
            connection.sendall(f"{head}Host: m\r\nConnection: close\r\n\r\n".encode())
            got = http.client.HTTPResponse(connection)
            got.begin()
            body = got.read()
            assert got.status == status and words in body.decode(), (got.status, body)


@contextmanager
def started(directory: str) -> Iterator[None]:
    """What Compose starts from there."""
    name = f"podium-test-{secrets.token_hex(4)}"

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["docker-compose", "--compatibility", "-p", name, *words]
        return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=scaled(120), check=False)

    try:
        up = call("up", "-d")
        assert up.returncode == 0, up.stderr
        yield
    except AssertionError as error:
        error.add_note(call("logs", "--no-color").stdout)
        raise
    finally:
        call("down", "-v", "-t", "1")


def answer(port: int) -> str:
    """The version that answered; empty if nothing did."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=scaled(5))
    try:
        connection.request("POST", "/invocations", b'{"inputs": [[1.0]]}', {"Content-Type": "application/json"})
        got = connection.getresponse()
        return "".join(each for each in got.read().decode() if each.isdigit()) if got.status == 200 else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def test_what_cannot_be_exported_says_why(docked: Docked, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="staging serves nothing"):
        written(docked, COMPOSE, tmp_path)
    docked.version(1)
    docked.deploy(1)
    for image in docked.journal.images.of(docked.project.mlflow.model, 1):
        docked.journal.images.remove(image.model, image.version, image.engine)
    with pytest.raises(NotFound, match="v1 serves in staging and has no image"):
        written(docked, COMPOSE, tmp_path)
    built(docked, 1)
    with pytest.raises(Refused, match="never pushed"):
        written(docked, KUBERNETES, tmp_path)
    built(docked, 1, pushed="registry.example.com/tiny@sha256:" + "1" * 64)
    assert written(docked, KUBERNETES, tmp_path / "k").files == ("kubernetes.yaml",)


def test_a_file_of_somebody_else_stays(docked: Docked, tmp_path: Path) -> None:
    built(docked, 1)
    docked.deploy(1)
    theirs = tmp_path / "out/compose.yaml"
    theirs.parent.mkdir()
    theirs.write_text("services: {}\n")
    with pytest.raises(Refused, match="not of an export"):
        written(docked, COMPOSE, theirs.parent)
    assert theirs.read_text() == "services: {}\n" and not theirs.with_name("haproxy.cfg").exists()
    theirs.unlink()
    theirs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="not of an export"):
        written(docked, COMPOSE, theirs.parent)
    theirs.unlink()
    written(docked, COMPOSE, theirs.parent)
    first = theirs.read_text()
    written(docked, COMPOSE, theirs.parent)
    assert theirs.read_text() == first
    with pytest.raises(Unreachable, match="cannot be written"):
        written(docked, COMPOSE, theirs / "below")


def test_what_is_left_out_is_said(docked: Docked, tmp_path: Path) -> None:
    built(docked, 1)
    docked.deploy(1)
    environment = replace(docked.environment, auth=Auth(tokens=True), capture=0.5)
    docked.project = replace(docked.project, environments={"staging": environment})
    done = written(docked, COMPOSE, tmp_path / "out")
    text = (tmp_path / "out/compose.yaml").read_text()
    for word in ("auth:", "capture:", "kept warm"):
        assert any(word in each for each in done.left_out) and word in text


def test_an_environment_that_is_being_changed_is_not_exported(
    docked: Docked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def meanwhile() -> None:
        with pytest.raises(Refused, match="staging is being changed") as caught:
            written(docked, COMPOSE, tmp_path / "out")
        refused.append(caught.value.message)

    for number in (1, 2):
        built(docked, number)
    docked.deploy(1)
    replace_phase(monkeypatch, WARM_UP, lambda warm_up: lambda rollout: (meanwhile(), warm_up(rollout))[1])
    docked.deploy(2)
    assert len(refused) == 1 and not (tmp_path / "out").exists()
