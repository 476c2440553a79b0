"""What following many containers may take, and what is left of it."""

from __future__ import annotations

import resource
from collections import Counter
from pathlib import Path

import pytest
from podium.core.containers.observe import kept
from podium.core.containers.observe.descriptors import SHARE, Descriptors
from podium.core.containers.observe.kept import Snapshots
from podium.core.domain.containers import EngineSnapshot, of_container, usage_series
from podium.core.domain.watching import Sample
from podium.core.errors import JournalError
from podium.core.journal import Journal
from podium.core.triggers.containers import MAX_RATE, Rarely

from tests.support import wait_until


def test_descriptors_are_left_for_the_rest_of_the_process() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    ours = Descriptors()
    most = int(limit * SHARE)
    assert ours.take(most) and not ours.take(1)
    ours.give(2)
    assert not ours.take(3) and ours.take(2), "all of them or none"


def test_all_containers_together_have_a_bounded_number_of_samples() -> None:
    rarely = Rarely()
    series = [usage_series(f"e{number}", "v1-1") for number in range(2 * MAX_RATE)]
    assert all(map(of_container, series))
    kept_of = Counter[str]()
    for second in range(20):
        at = 1000.0 + second
        samples = [Sample(name, "cpu", at, 1.0) for name in series] + [Sample("e1", "requests", at, 5.0)]
        for each in rarely(samples):
            kept_of[each.environment] += 1
    assert kept_of["e1"] == 20, "signals of environments are kept all"
    assert {kept_of[name] for name in series} == {10}
    few = Rarely()
    assert sum(len(few([Sample(name, "cpu", 1000.0 + at, 1.0) for name in series[:50]])) for at in range(20)) == 1000
    rarely.forget(2000.0)
    assert len(rarely([Sample(series[0], "cpu", 2000.0 + at, 1.0) for at in range(5)])) == 5


def test_snapshots_that_come_together_are_stored_at_once_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    stored: list[int] = []
    broken = [True]
    store = kept.store

    def counting(path: Path, snapshots: object) -> None:
        stored.append(len(snapshots))  # type: ignore[arg-type]
        if broken[0]:
            raise JournalError("the journal is locked by another process")
        store(path, snapshots)  # type: ignore[arg-type]

    monkeypatch.setattr(kept, "store", counting)
    monkeypatch.setattr(kept, "RETRY_INTERVAL", 0.02)
    said: list[str] = []
    with Journal.open(path) as journal:
        snapshots = Snapshots(path, said.append)
        snapshots.put("", EngineSnapshot("e0", "unix:///a", 1.0))
        wait_until(lambda: len(stored) > 2)
        for number in range(200):
            snapshots.put("", EngineSnapshot(f"e{number}", "unix:///b", 2.0))
        broken[0] = False
        wait_until(lambda: journal.snapshots.get("e199"))
        assert said == ["snapshots cannot be kept: the journal is locked by another process"]
        found = journal.snapshots.get("e0")
        assert found is not None and found.engine == "unix:///b", "the newest is kept"
        snapshots.put("", EngineSnapshot("last", "unix:///a", 3.0))
        snapshots.close()
        assert journal.snapshots.get("last") is not None, "what waits at the end is stored"
    assert len(stored) < 200
