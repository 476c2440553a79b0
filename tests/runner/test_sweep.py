"""What a killed session leaves on engines: containers, networks, and engines of its own."""

from __future__ import annotations

import signal
from pathlib import Path

from podium.core.containers import Engine
from podium.core.containers.engine.labels import HOME, home_id

from tests.conftest import required
from tests.runner.conftest import Pytest
from tests.runner.scale import scaled
from tests.servers import dockerd
from tests.servers.ranges import run
from tests.support import wait_until

MAKES = """
from tests.conftest import engine
from podium.core.containers.engine.labels import Labels
def test_makes_them(engine, tmp_path):
    (tmp_path / "podium.yaml").write_text("project: swept")
    labels = Labels("swept", tmp_path, "replica").all()
    made = engine.api.create_container("IMAGE", ["sleep", "1000"], labels=labels)
    engine.api.start(made["Id"])
    engine.api.create_network("podium-test-swept-" + made["Id"][:12], labels=labels)
    engine.api.create_container("IMAGE", ["true"], labels=hooks.session_labels())
    (tmp_path / "made").write_text(str(tmp_path))
    time.sleep(1000)
from tests.runner import hooks
"""


def test_containers_and_networks_of_a_killed_session_are_removed(
    run_pytest: Pytest, engine: Engine, shell_image: str, tmp_path: Path
) -> None:
    process = run_pytest(MAKES.replace("IMAGE", shell_image), "-n", "0", seconds=500)
    temporary = tmp_path / "temporary"
    home = wait_until(lambda: next((path for path in temporary.rglob("made") if path.read_text()), None), 60).parent
    marks = [f"{HOME}={home_id(home.resolve())}", f"podium-test.session={temporary}"]

    def left() -> int:
        filters = [{"label": mark} for mark in marks]
        return sum(
            len(engine.api.containers(all=True, filters=each)) + len(engine.api.networks(filters=each))
            for each in filters
        )

    assert left() == 3
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=scaled(20))
    wait_until(lambda: left() == 0, 60, interval=0.2, what="nothing is left on the engine")


STARTS = """
from tests.conftest import own_dockerd
def test_starts_one(own_dockerd, tmp_path):
    made = own_dockerd()
    (tmp_path / "made").write_text(str(made.root) + " " + made.bridge)
    time.sleep(1000)
"""


def test_an_engine_of_a_killed_session_ends_with_all_that_it_mounted(run_pytest: Pytest, tmp_path: Path) -> None:
    required(dockerd.missing())
    process = run_pytest(STARTS, "-n", "0", seconds=500)
    made = wait_until(
        lambda: next((path for path in (tmp_path / "temporary").rglob("made") if path.read_text()), None), 90
    )
    root, bridge = made.read_text().split()
    assert bridge in run("ip", "-o", "link") and dockerd.answers(Path(root) / "docker.sock")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=scaled(20))
    wait_until(lambda: not Path(root).exists(), 60, interval=0.2, what="its directory is gone")
    wait_until(lambda: bridge not in run("ip", "-o", "link"), 30, interval=0.2, what="its bridge is gone")
    assert root not in Path("/proc/self/mountinfo").read_text()
