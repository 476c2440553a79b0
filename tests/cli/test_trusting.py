"""A clone may name any server: credentials go to those that a person named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.scale import scaled

SERVER = "https://mlflow.example.invalid"


def podium(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PODIUM_HOSTS"}
    environ |= {"MLFLOW_TRACKING_TOKEN": "open-sesame", "HOME": str(home.parent), "XDG_CONFIG_HOME": ""}
    return subprocess.run(
        [sys.executable, "-m", "podium.cli", *words],
        cwd=home, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=scaled(60), check=False,
    )  # fmt: skip


@pytest.mark.parametrize("key", ["tracking_uri", "registry_uri"])
@pytest.mark.parametrize("words", [("models",), ("versions",), ("versions", "-o", "json")], ids=" ".join)
def test_a_command_that_only_looks_sends_a_strange_server_nothing(
    tmp_path: Path, words: tuple[str, ...], key: str
) -> None:
    home = tmp_path / "clone"
    home.mkdir()
    (home / "podium.yaml").write_text(f"project: shop\nmlflow: {{{key}: '{SERVER}'}}\n")
    refused = podium(home, *words)
    assert refused.returncode == 4, refused.stderr
    assert f"MLFLOW_TRACKING_TOKEN would go to {SERVER}" in refused.stderr
    assert f"podium trust {SERVER}" in refused.stderr and "open-sesame" not in refused.stderr
    assert podium(home, "trust", SERVER).returncode == 0
    asked = podium(home, *words)
    assert "would go to" not in asked.stderr, "it is a person's server now, which just does not answer"
