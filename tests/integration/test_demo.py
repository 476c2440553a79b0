"""`podium demo`, whole: the project's main job on real data, judged from outside. Takes about a minute."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from podium.core.cockpit import demonstration

from tests.runner.scale import scaled
from tests.support import processes_of, wait_until
from tests.tui.terminal import Terminal


@pytest.mark.timeout(600)
def test_the_whole_demonstration(tmp_path: Path) -> None:
    directory = tmp_path / "flights demo"
    # With a Git host: what it shows without one is shown too, and its pushes are those of the one in Docker.
    command = [sys.executable, "-m", "podium.cli", "demo", str(directory), "--host", "--no-ui", "-o", "json"]
    done = subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=scaled(540)
    )
    assert done.returncode == 0, done.stderr
    first, better, worse, back, forth, _ = json.loads(done.stdout)
    assert first["outcome"] == "v1 serves"
    assert better["outcome"] == "v2 serves"
    assert worse["outcome"] == "refused by the gate"
    assert (back["outcome"], forth["outcome"]) == ("v1 serves", "v2 serves")
    for part in (better, worse, back, forth):
        assert part["requests"] > 0
        assert part["lost"] == 0, part
    assert back["seconds"] < better["seconds"], "what is warm needs nothing started before the traffic moves"
    assert "fail" in done.stderr
    for told in ("podium/release success", "podium/release/quality success", "podium/release failure"):
        assert f"told to the host: {told}" in done.stderr
    assert "the comparison is a comment of pull request 1" in done.stderr
    assert "the host's own CI runs (tests) stand beside" in done.stderr
    assert "stopped:" in done.stderr
    evidence = [
        sys.executable,
        "-m",
        "podium.cli",
        "evidence",
        "verify",
        "evidence",
        "-C",
        str(directory),
        "-o",
        "json",
    ]
    proof = json.loads(subprocess.run(evidence, cwd=tmp_path, capture_output=True, timeout=scaled(60)).stdout)
    assert (proof["version"], proof["standing"], proof["problems"]) == (2, "known", []), (
        "production serves what is signed"
    )
    assert "verify: required" in (directory / "podium.yaml").read_text()
    assert not _mentioned(directory)

    again = subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=scaled(30)
    )
    assert (again.returncode, again.stdout) == (4, "")
    assert "already exists" in again.stderr
    shown = subprocess.run(
        [sys.executable, "-m", "podium.cli", "history", "-C", str(directory), "-o", "json"],
        capture_output=True,
        text=True,
        timeout=scaled(30),
    )
    rows = [(row["environment"], row["how"], row["to"]) for row in json.loads(shown.stdout)]
    assert rows[:2] == [("production", "promote", 2), ("production", "rollback", 1)]


def test_a_window_that_is_closed_leaves_nothing_running(tmp_path: Path) -> None:
    directory = tmp_path / "closed"
    with Terminal(["-m", "podium.cli", "demo", str(directory)], cwd=tmp_path) as terminal:
        terminal.wait_for("the agent watches", timeout=60)
        wait_until(
            lambda: sum(" demo " in line for line in _mentioned(directory)) > 1,
            60,
            what="its run has a process of its own",
        )
        terminal.hang_up()
        terminal.wait_exit(30)
    try:
        wait_until(lambda: not _mentioned(directory), 10, what="nothing is left of it")
    except AssertionError as error:
        error.add_note("left are: " + "; ".join(_mentioned(directory)))
        error.add_note((directory / ".podium" / "agent.log").read_text()[-3000:])
        raise


def test_what_was_started_is_stopped_though_the_cockpit_is_broken(tmp_path: Path) -> None:
    """An interrupt may have struck in the middle of anything."""
    played = demonstration(tmp_path / "broken")
    for event in played.play():
        if event.text.startswith("the agent watches"):
            break
    played.cockpit.close()
    assert played.stop() == ["the agent"]
    wait_until(lambda: not _mentioned(tmp_path / "broken"), 10, what="nothing is left of it")


def _mentioned(directory: Path) -> list[str]:
    found: list[str] = []
    for process in processes_of(directory):
        with contextlib.suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return found
