"""A project with a journal, and ways to make things old."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.domain.project import Project
from podium.core.domain.runs import PIPELINE, RunState, Trigger
from podium.core.journal import Journal
from podium.core.retention.scene import Scene

DAY = 86_400.0
YAML = "project: shop\nenvironments: {production: {port: 5101}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "podium.yaml").write_text(YAML)
    return load(tmp_path, environ={})


@pytest.fixture
def journal(project: Project) -> Iterator[Journal]:
    with Journal.open(project.state / "journal.db") as journal:
        yield journal


@pytest.fixture
def scene(project: Project, journal: Journal) -> Callable[[], Scene]:
    return lambda: Scene(project, journal, time.time())


@pytest.fixture
def file(project: Project) -> Callable[..., Path]:
    """Makes a file below the state directory, `days` old."""

    def make(path: str, days: float = 0.0, size: int = 100) -> Path:
        target = project.state / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"x" * size)
        age(target, days)
        return target

    return make


def age(path: Path, days: float) -> None:
    """Makes a file, and the directory that it is in, look as if it was written `days` ago."""
    at = time.time() - days * DAY
    for each in (path, path.parent):
        os.utime(each, (at, at))


@pytest.fixture
def run(project: Project, journal: Journal) -> Callable[..., int]:
    """Adds a run that ended `days` ago, with a log."""

    def make(days: float, state: RunState = RunState.SUCCEEDED, *, kind: str = PIPELINE, log: int = 100) -> int:
        at = time.time() - days * DAY
        row = journal.runs.create(kind=kind, name="train", trigger=Trigger.PERSON, who="anna", created=at)
        journal.runs.set_state(row.id, state, at=at)
        directory = project.state / "runs" / str(row.id)
        directory.mkdir(parents=True)
        (directory / "train.log").write_bytes(os.urandom(log))
        return row.id

    return make
