from __future__ import annotations

from pathlib import Path

import pytest

# No machine of the tests has a GPU: this stands for the driver's own program, with two of them.
SMI = """#!/bin/sh
echo "0, 87, 11469, 24576, 71"
echo "1, [N/A], 3, 24576, 34"
"""


@pytest.fixture
def fake_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program
