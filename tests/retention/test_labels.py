"""Requests and labels go by age and number, and into a backup only when that is asked for."""

from __future__ import annotations

import sqlite3
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from podium.core.backup.write import write
from podium.core.domain.labels import NewLabel
from podium.core.domain.project import Project
from podium.core.journal import Journal
from podium.core.labels.salt import salt_of
from podium.core.labels.store import LabelStore
from podium.core.retention import labels
from podium.core.retention.scene import Scene
from podium.core.serving.recorder import Recorder

from tests.labels.conftest import answered
from tests.retention.conftest import DAY


@pytest.fixture
def kept(project: Project) -> Project:
    """Two requests of today, and one of a year ago with a label."""
    replica = Recorder(project.state / "environments/gone/capture", name="1", rate=0.0, limit=1 << 20, requests=True)
    answered(replica, "old", 1, at=time.time() - 365 * DAY)
    for name in ("new", "newest"):
        answered(replica, name, 1, at=time.time())
    replica.close()
    with LabelStore.open(project.state, "gone") as store:
        store.collect()
        store.add([NewLabel(1, "old")], "crm")
    return project


def test_what_is_too_old_goes_and_is_looked_at_again_before(kept: Project, scene: Callable[[], Scene]) -> None:
    (item,) = labels.requests(scene())
    assert (item.name, item.entries) == ("requests to gone", 1), "of an environment that podium.yaml has no more"
    assert item.remove() == 1 and item.remove() == 0 and not list(labels.requests(scene()))
    with LabelStore.open(kept.state, "gone") as store:
        assert [each.id for each in store.requests()] == ["new", "newest"]
        assert store.add([NewLabel(1, "old")], "crm").late == 1


def test_a_backup_has_them_when_it_is_asked_for(kept: Project, journal: Journal, tmp_path: Path) -> None:
    salt_of(kept.state, "gone")
    for captures in (False, True):
        file = tmp_path / f"{captures}.tar.gz"
        write(kept, file, captures=captures)
        with tarfile.open(file) as archive:
            names = {name for name in archive.getnames() if "/labels/" in name}
            archive.extractall(tmp_path / "out", filter="data")
        assert names == ({".podium/labels/gone.db", ".podium/labels/gone.salt"} if captures else set())
    with sqlite3.connect(tmp_path / "out/.podium/labels/gone.db") as copy:
        assert copy.execute("SELECT count(*) FROM requests").fetchone() == (3,)
