"""The agent's doorbell."""

import os
import subprocess
from pathlib import Path

import pytest
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


@pytest.mark.parametrize("name", ['it\'s a "ф" $(dir)', "two\ntouch lines\n'", "-n `touch x`\n"])
def test_the_hook_rings_from_a_path_with_quotes_spaces_and_line_feeds(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    (home / ".podium").mkdir(parents=True)
    bell = Doorbell(home / ".podium")
    subprocess.run(["sh", "-c", hook_command(home)], cwd=tmp_path, check=True, timeout=scaled(5))
    assert bell.wait(scaled(5)) and os.listdir(tmp_path) == [name], "its name is no command"
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
