"""Whatever the locale is, files are UTF-8, what is written for programs is JSON, and names may be any bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.scale import scaled

PODIUM = """\
project: small
pipelines:
  p:
    params: {x: a}
    steps:
      made:
        run: "echo 'a ≥ b'; printf '%s' ${{ params.x }} > 'Größe≥.txt'; cat 'Größe≥.txt'"
        inputs: [podium.yaml]
        outputs: ["Größe≥.txt"]
      read: {run: "cat 'Größe≥.txt'", needs: [made], inputs: ["Größe≥.txt"]}
"""
# Neither UTF-8 mode nor a UTF-8 locale: Python takes files, names and streams for ASCII.
ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def podium(home: Path | bytes, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "podium.cli", *words],
        cwd=home,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=scaled(60),
    )


def test_a_run_outside_utf_8_is_the_same_run(tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text(PODIUM, encoding="utf-8")
    done = podium(tmp_path, "run", "p", "-p", "x=é漢", **ASCII)
    assert done.returncode == 0, done.stderr
    assert done.stderr.isascii() and b"a \\u2265 b" in done.stderr + done.stdout
    assert (tmp_path / "Größe≥.txt").read_bytes() == "é漢".encode()
    # What was done in one locale is known in another one.
    again = podium(tmp_path, "run", "p", "-p", "x=é漢", LC_ALL="C.UTF-8")
    assert again.returncode == 0, again.stderr
    assert b"2 steps unchanged" in again.stderr, again.stderr
    assert b"a \\u2265 b" in podium(tmp_path, "logs", "1", "made", **ASCII).stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "podium.yaml").write_text(PODIUM, encoding="utf-8")
    assert podium(tmp_path, "run", "p", "-p", "x=é漢😀").returncode == 0
    for environment in ({"PYTHONIOENCODING": encoding}, {"PYTHONIOENCODING": encoding, **ASCII}):
        found = podium(tmp_path, "ps", "-o", "json", **environment)
        assert found.returncode == 0, found.stderr
        assert json.loads(found.stdout)[0]["params"] == {"x": "é漢😀"}


def test_a_directory_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    home = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(home)
    with open(home + b"/podium.yaml", "w", encoding="utf-8") as file:
        file.write(PODIUM)
    done = podium(home, "run", "p", "-p", "x=\udcff")
    assert done.returncode == 0, done.stderr
    with open(home + "/Größe≥.txt".encode(), "rb") as file:
        assert file.read() == b"\xff"
    (found,) = json.loads(podium(home, "ps", "-o", "json").stdout)
    assert os.fsencode(found["workspace"]) == os.path.realpath(home)
    assert found["state"] == "succeeded"
    assert podium(home, "resume", "1").stderr.count(b"UnicodeEncodeError") == 0
