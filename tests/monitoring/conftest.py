"""A project whose environment serves version 3, with monitors that a test writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.models import Version
from podium.core.domain.project import Project
from podium.core.journal import Journal

HEAD = "project: shop\nenvironments: {production: {port: 5101, capture: 1.0}}\n"
Write = Callable[[str], Project]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes podium.yaml with these monitors (and alerts), and returns the project."""

    def made(text: str) -> Project:
        (tmp_path / "podium.yaml").write_text(HEAD + text)
        return load(tmp_path, environ={})

    return made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """The project's journal, in which version 3 serves since yesterday."""
    (tmp_path / ".podium").mkdir(mode=0o700)
    with Journal.open(tmp_path / ".podium" / "journal.db") as opened:
        deploy(opened, 3)
        yield opened


def deploy(journal: Journal, version: int, *, created: float | None = None) -> None:
    """Has a version serve, made a day ago."""
    made = time.time() - 86_400.0 if created is None else created
    journal.versions.replace("shop", [Version("shop", version, made)], "test")
    row = journal.ledger.begin(
        environment="production", how=How.DEPLOY, model="shop", to_version=version, from_version=None, who="anna"
    )
    journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
