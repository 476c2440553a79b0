"""Opening an engine, and what its errors say."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from podium.core.containers import Engine, open_engine
from podium.core.containers.engine.address import Address, parse
from podium.core.errors import NotFound, Refused, Unreachable, UsageError

from tests.runner.hooks import session_labels
from tests.runner.scale import scaled


def test_it_answers(engine: Engine, shell_image: str) -> None:
    assert engine.info()["ServerVersion"]
    with engine.doing("running"):
        made = engine.api.create_container(shell_image, ["sh", "-c", "exit 3"], labels=session_labels())
        engine.api.start(made["Id"])
        assert engine.api.wait(made["Id"], timeout=scaled(20))["StatusCode"] == 3
        engine.api.remove_container(made["Id"])
    with pytest.raises(NotFound, match=made["Id"][:12]):
        engine.inspect(made["Id"])


def test_images_for_tests_work(engine: Engine, python_image: str, haproxy_image: str) -> None:
    for image, command in (
        (python_image, ["python", "-c", "import mlflow.pyfunc, sklearn, uvicorn"]),
        (haproxy_image, ["haproxy", "-v"]),
    ):
        made = engine.api.create_container(image, command, labels=session_labels())
        engine.api.start(made["Id"])
        code = engine.api.wait(made["Id"], timeout=scaled(60))["StatusCode"]
        assert code == 0, engine.api.logs(made["Id"]).decode()
        engine.api.remove_container(made["Id"])


def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no Docker engine answers"):
        open_engine(Address("unix", path=str(tmp_path / "docker.sock")))


def test_a_socket_that_nobody_listens_on(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        with pytest.raises(Unreachable, match="no Docker engine answers"):
            open_engine(Address("unix", path=str(path)))


def test_an_engine_that_hangs(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen()
        with pytest.raises(Unreachable, match="timed out"):
            open_engine(Address("unix", path=str(path)), timeout=1)


def test_an_engine_without_tls_is_not_talked_to() -> None:
    with pytest.raises(UsageError, match="needs certificates"):
        open_engine(parse("tcp://127.0.0.1:2375"))


def test_ssh_that_leads_nowhere() -> None:
    with pytest.raises((Unreachable, Refused), match=r"ssh://nobody@127\.0\.0\.1:1 cannot be reached"):
        open_engine(parse("ssh://nobody@127.0.0.1:1"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
        ("ssh://deploy@serving-1", "ssh://deploy@serving-1"),
        ("ssh://deploy@serving-1:2222/run/user/7/docker.sock", "ssh://deploy@serving-1:2222/run/user/7/docker.sock"),
        ("tcp://[::1]:2376", "tcp://[::1]:2376"),
    ],
)
def test_addresses(text: str, shown: str) -> None:
    assert str(parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh://",
        "unix://relative",
        "tcp://host:port",
        "ssh://me:secret@host",
        "ssh://-oProxyCommand=x",
        "http://host",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)
