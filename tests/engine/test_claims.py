"""What two runs in one directory may not touch at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from podium.core.engine.graph import build
from podium.core.engine.run.workspace_locks import WorkspaceLocks, meet

from tests.engine.lab import Lab


@pytest.mark.parametrize(
    ("written", "used", "clash"),
    [
        ("data", "data", True),
        ("data", "data/train.csv", True),
        ("data/out.csv", "data", True),
        ("data/out.csv", "data/*.csv", True),
        ("data/out.csv", "data/*.parquet", False),
        ("data/deep/out.csv", "data/*.csv", False),
        ("data/deep/out.csv", "data/**/*.csv", True),
        ("train.csv", "*.csv", True),
        ("out", "*.py", False),
        ("data", "*/x.csv", True),
        ("database", "data", False),
        ("out", ".", True),
        (".", "src", True),
        ("a/b", "a/c", False),
    ],
)
def test_paths_that_meet(written: str, used: str, clash: bool) -> None:
    assert meet(written, used) is clash


HOLDER = """
import sys
from pathlib import Path
from podium.core.config import load
from podium.core.engine.run.workspace_locks import WorkspaceLocks
from podium.core.engine.graph import build
home = Path(sys.argv[1])
claims = WorkspaceLocks(home / ".podium", build(load(home).pipelines["main"]), 1)
print(repr(claims.take()), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("theirs", "mine", "clash"),
    [
        ("outputs: [data/]", "inputs: [data/train.csv]", "data/train.csv"),
        ("inputs: ['data/*.csv']", "outputs: [data/out.csv]", "data/out.csv"),
        ("inputs: [data/]", "inputs: [data/train.csv]", ""),
        ("outputs: [a]", "outputs: [b]", ""),
    ],
)
def test_a_run_waits_for_what_another_process_uses_until_that_is_gone(
    lab: Lab, theirs: str, mine: str, clash: str
) -> None:
    lab.pipeline(f'a: {{run: "true", {theirs}}}')
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lab.home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin and other.stdout
    try:
        assert other.stdout.readline() == "''\n"
        claims = WorkspaceLocks(
            lab.home / ".podium", build(lab.pipeline(f'a: {{run: "true", {mine}}}').pipelines["main"]), 2
        )
        assert claims.needed and claims.take() == clash
        assert claims.needed is bool(clash)
        other.kill()
        other.wait()
        if clash:
            assert claims.take() == ""
        assert _files(lab) == ({"2.json"} if clash else {"1.json", "2.json"}), (
            "what a dead one left is taken away when it is seen"
        )
        claims.release()
        assert "2.json" not in _files(lab)
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()


def _files(lab: Lab) -> set[str]:
    return {path.name for path in Path(lab.home / ".podium/claimed").glob("*.json")}
