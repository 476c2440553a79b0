"""A shell in a container that serves, on a real terminal and a real engine; from the command, and from the cockpit's
key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.containers import Engine
from podium.core.errors import NotFound, Refused

from tests.delivery.docker.docked import Docked
from tests.servers.pausing import pause
from tests.tui.terminal import Terminal

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Docked]:
    world = Docked(tmp_path_factory.mktemp("shell") / "project", engine, replicas=1)
    environments = f"environments: {{staging: {{driver: docker, port: {world.port}, replicas: 1}}, local: {{port: 1}}}}"
    (world.project.home / "podium.yaml").write_text(
        f"project: {world.project.name}\nmlflow: {{model: tiny}}\n{environments}\n"
    )
    world.version(1)
    world.deploy(1)
    yield world
    world.close()


def test_the_command_joins_the_terminal_to_the_container(serving: Docked) -> None:
    words = ["-m", "podium.cli", "-C", str(serving.project.home), "shell", "-e", "staging", "staging-v1-1"]
    with Terminal(words, cwd=ROOT) as terminal:
        terminal.wait_for("goes on serving staging", timeout=20)
        terminal.wait_for("$ ", timeout=20)
        at = terminal.press("echo version=$PODIUM_SERVING_VERSION\n")
        terminal.wait_for("version=1\r", at)
        at = terminal.press("cat\n")
        terminal.wait_for("cat\r", at)
        at = terminal.press("\x03")
        terminal.wait_for("$ ", at)
        at = terminal.press("echo still here $?\n")
        terminal.wait_for("still here 130", at)
        terminal.press("exit\n")
        assert terminal.wait_exit(10) == 0


def test_the_cockpit_gives_it_the_terminal_and_takes_it_back(serving: Docked) -> None:
    open_it = (
        "import sys; from pathlib import Path; from podium.tui import app; sys.exit(app.run(Path(sys.argv[1]),"
        " screen='containers'))"
    )
    with Terminal(["-c", open_it, str(serving.project.home)], cwd=ROOT) as terminal:
        terminal.wait_for("v1-1", timeout=30)
        at = terminal.press("S")
        terminal.wait_for("goes on serving staging", at, timeout=20)
        terminal.wait_for("$ ", at, timeout=20)
        at = terminal.press("echo in $((40+2))\n")
        terminal.wait_for("in 42", at)
        at = terminal.press("exit\n")
        terminal.wait_for("back from staging-v1-1", at, timeout=20)
        terminal.press("\x11")
        assert terminal.wait_exit(10) == 0


def test_what_cannot_be_opened_says_why(serving: Docked) -> None:
    cockpit = Cockpit(serving.project.home)
    with pytest.raises(NotFound, match="no container 'nobody'") as caught:
        cockpit.containers.shell("staging", "nobody")
    assert "staging-v1-1" in caught.value.hint
    with pytest.raises(Refused, match="served by processes"):
        cockpit.containers.shell("local", "local-v1-1")
    container = serving.containers("replica")[0]["Id"]
    pause(serving.engine.api, container)
    try:
        with pytest.raises(Refused, match="is paused"):
            cockpit.containers.shell("staging", "staging-v1-1")
    finally:
        serving.engine.api.unpause(container)
    cockpit.close()
