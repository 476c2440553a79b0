"""`podium demo --drift`, whole, judged from outside: the flights are what they were, so the alarm comes in December and
not before. Takes some minutes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from podium.core.cockpit import Cockpit

from tests.integration.test_demo import _mentioned
from tests.runner.scale import scaled
from tests.support import wait_until

pytestmark = pytest.mark.in_turn(1, of="long stories")


def command(directory: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "podium.cli", "demo", "--drift", str(directory), "--no-ui", *more]


def read(directory: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "podium.cli", *arguments, "-C", str(directory), "-o", "json"],
        capture_output=True,
        text=True,
        timeout=scaled(60),
    )
    return json.loads(done.stdout)


def sent_by(pid: int) -> list[psutil.Process]:
    """Returns the process that sends the flights, which runs in the project's directory and does not name it."""
    found: list[psutil.Process] = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):
            found += [child] if "autumn.py" in child.cmdline() else []
    return found


@pytest.mark.timeout(600)
def test_the_loop_closes_on_real_flights(tmp_path: Path) -> None:
    directory = tmp_path / "autumn"
    done = subprocess.run(
        command(directory, "-o", "json"),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(540),
    )
    assert done.returncode == 0, done.stderr
    assert not _mentioned(directory)
    found = {each["what"]: each for each in json.loads(done.stdout)}
    assert [found[name]["numbers"]["flights"] for name in ("September", "November", "December")] == [9013, 9001, 9017]
    assert all(found[name]["lost"] == 0 for name in ("September", "October", "November", "December"))
    assert found["November"]["numbers"]["late"] < 0.19 < 0.31 < found["December"]["numbers"]["late"]

    alarm = found["quality-fell"]["numbers"]
    assert 0 < alarm["requests_after_change"] < alarm["flights_after_change"] < 9017, "it came in December"
    assert "quality-fell rings on" in done.stderr and done.stderr.count("quality-fell rings on") == 1
    events = read(directory, "alerts", "history", "-n", "100")
    first = [each for each in events if each["name"] == "quality-fell" and each["state"] == "firing"][-1]
    assert first["value"] == pytest.approx(alarm["value"])

    cockpit = Cockpit(directory)
    (entry,) = cockpit.feedback.list()
    assert entry.run is not None and entry.alert == "quality-fell" and entry.mode == "deliver"
    rows, train, *_ = cockpit.runs.steps(entry.run)
    assert rows.name == "rows" and rows.results["test_rows"] > 0 and train.name == "train"
    serves = cockpit.environments.history("production")[0].to_version
    cockpit.close()
    assert found["retraining"]["outcome"] == ("v2 serves" if serves == 2 else "no delivery, v1 serves on")
    if serves == 2:  # what the gate on fresh rows said decides that, and nothing else
        assert "gate fresh: pass" in done.stderr
        assert {"v1", "v2"} <= found["log_loss afterwards"]["numbers"].keys()
        assert found["the loop"]["outcome"] in ("helped", "did not help", "does not know yet")


@pytest.mark.timeout(400)
def test_ctrl_c_between_two_days_leaves_nothing_running(tmp_path: Path) -> None:
    directory = tmp_path / "autumn"
    process = subprocess.Popen(
        command(directory), cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "only quality-fell starts" in line:
                break
        (flights,) = wait_until(lambda: sent_by(process.pid), 60, what="the flights are sent")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=scaled(60))
    finally:
        if process.poll() is None:
            process.kill()
    assert process.returncode == 130, told
    assert "stopped: the traffic, the agent" in told
    assert not flights.is_running()
    wait_until(lambda: not _mentioned(directory), 15, what="nothing is left of it")
