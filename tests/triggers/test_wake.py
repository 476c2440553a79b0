"""The agent's doorbell."""

import subprocess
from pathlib import Path

from podium.core.triggers.wake import Doorbell, hook_command, wake

from tests.runner.scale import scaled


def test_ringing_ends_the_wait(tmp_path: Path) -> None:
    (tmp_path / ".podium").mkdir()
    bell = Doorbell(tmp_path / ".podium")
    assert not bell.wait(0)
    assert wake(tmp_path)
    assert bell.wait(scaled(5))
    assert not bell.wait(0)
    bell.close()


def test_the_hook_rings_from_a_path_with_quotes_and_spaces(tmp_path: Path) -> None:
    home = tmp_path / 'it\'s a "ф" $(dir)'
    (home / ".podium").mkdir(parents=True)
    bell = Doorbell(home / ".podium")
    subprocess.run(["sh", "-c", hook_command(home)], check=True, timeout=scaled(5))
    assert bell.wait(scaled(5))
    bell.close()


def test_a_dead_agent_stops_nobody(tmp_path: Path) -> None:
    assert not wake(tmp_path)
    (tmp_path / ".podium").mkdir()
    bell = Doorbell(tmp_path / ".podium")
    path = bell.path
    bell.close()
    subprocess.run(["mkfifo", str(path)], check=True)
    subprocess.run(["sh", "-c", hook_command(tmp_path)], check=True, timeout=scaled(5))
    assert not wake(tmp_path)
