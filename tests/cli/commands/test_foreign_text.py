"""What commands say with words of a registry or of a project: nothing in them steers the terminal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from podium.cli.commands import delivery, models
from podium.core.domain.attention import Need, Reason
from podium.core.errors import Unreachable

HOSTILE = "a\x1b[2Jb\x9bc"


def test_why_the_registry_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    def refresh() -> None:
        raise Unreachable(HOSTILE)

    config = SimpleNamespace(mlflow=SimpleNamespace(by_client=False))
    cockpit: Any = SimpleNamespace(
        models=SimpleNamespace(refresh=refresh, list=lambda: ["m"]), project=SimpleNamespace(config=config)
    )
    models.refresh(cockpit, offline=False)
    assert capsys.readouterr().err == "podium: ab; this is its last known state\n"


def test_the_command_of_a_need() -> None:
    need = Need(0, Reason.DOWN, "e", "proxy is gone", command=f"podium repair -e {HOSTILE}")
    assert delivery._need_line(need) == "e: proxy is gone (`podium repair -e ab`)"
