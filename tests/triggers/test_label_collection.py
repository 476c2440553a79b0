"""The agent collects requests and labels when there are some, and does nothing otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.domain.project import Project
from podium.core.journal import Journal
from podium.core.labels.store import LabelStore
from podium.core.serving.recorder import Recorder
from podium.core.triggers.labels import LabelCollection

from tests.labels.conftest import answered


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "podium.yaml").write_text(
        "project: shop\nretain: {labels_rows: 3}\nenvironments: {production: {}, idle: {port: 5101}}\n"
    )
    return load(tmp_path, environ={})


def test_it_collects_what_is_new_and_keeps_as_many_as_it_may(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    collect = LabelStore.collect
    monkeypatch.setattr(LabelStore, "collect", lambda store: calls.append("collect") or collect(store))
    with Journal.open(project.state / "journal.db") as journal:
        job = LabelCollection()
        job(project, journal)
        assert not calls and not (project.state / "labels").exists(), "there is nothing yet"
        replica = Recorder(
            project.state / "environments/production/capture", name="1", rate=0.0, limit=1 << 20, requests=True
        )
        for number in range(5):
            answered(replica, f"r{number}", number)
        replica.flush()
        job(project, journal)
        for _ in range(3):
            job(project, journal)
        assert calls == ["collect"], "nothing was written since"
        with LabelStore.open(project.state, "production") as store:
            assert [each.id for each in store.requests()] == ["r2", "r3", "r4"]
        answered(replica, "r5", 5)
        replica.close()
        job(project, journal)
        assert calls == ["collect", "collect"]
    assert not (project.state / "labels/idle.db").exists()
