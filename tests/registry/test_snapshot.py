"""The journal's snapshot of the registry, aliases that move under a lock, comparison, and files on disk."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.domain.models import Version
from podium.core.domain.project import Mlflow
from podium.core.errors import NotFound, PodiumError, Refused, Unreachable
from podium.core.journal import Journal
from podium.core.registry import files, open_registry, snapshot, tables
from podium.core.registry.aliases import move_alias
from podium.core.registry.prepare import MARKER, prepare, ready
from podium.core.registry.records import VersionRecord, assemble, collect_runs
from podium.core.registry.store import TrackedRun
from podium.core.triggers.jobs import RegistrySnapshots

from tests.support import free_port, wait_until

from .conftest import Store, make_project


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal" / "journal.db") as opened:
        yield opened


def test_the_picture_follows_the_store(store: Store, journal: Journal) -> None:
    project, model = store.project, store.mlflow.model
    store.registry.register(model, store.train(roc_auc=0.6), tags={})
    assert snapshot.refresh(project, journal)
    assert [version.metrics for version in journal.versions.of(model)] == [{"roc_auc": 0.6}]
    assert not snapshot.refresh(project, journal)
    store.registry.set_alias(model, "champion", 1)
    assert snapshot.refresh(project, journal)
    assert journal.versions.of(model)[0].aliases == ("champion",)
    assert not snapshot.refresh(project, journal, force=True)


def test_an_unchanged_file_is_not_read_again(
    embedded: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot.refresh(embedded.project, journal)
    assert not snapshot.stale(embedded.project, journal)

    def forbidden(*_: object) -> None:
        raise AssertionError("MLflow was asked")

    monkeypatch.setattr("podium.core.registry.open_registry", forbidden)
    assert not snapshot.refresh(embedded.project, journal)


def test_what_a_training_writes_does_not_make_the_picture_stale(
    embedded: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, model = embedded.project, embedded.mlflow.model
    run = embedded.train(roc_auc=0.6)
    embedded.registry.register(model, run, tags={})
    snapshot.refresh(project, journal)
    before = snapshot.fingerprint(embedded.mlflow)
    embedded.train(model=False, roc_auc=0.9)
    assert snapshot.fingerprint(embedded.mlflow) != before
    assert not snapshot.stale(project, journal)
    assert not snapshot.refresh_apart(project, journal)
    assert journal.versions.fingerprint(model) == snapshot.fingerprint(
        embedded.mlflow
    )  # the next look is at the file alone


@pytest.mark.parametrize("what", ["alias", "tag", "figure", "run tag", "version", "description"])
def test_whatever_the_picture_shows_makes_it_stale(embedded: Store, journal: Journal, what: str) -> None:
    project, model = embedded.project, embedded.mlflow.model
    run, other = embedded.train(roc_auc=0.6), embedded.train(roc_auc=0.7)
    embedded.registry.register(model, run, tags={})
    snapshot.refresh(project, journal)
    client = embedded.client
    changes: dict[str, Callable[[], object]] = {
        "alias": lambda: client.set_registered_model_alias(model, "champion", "1"),
        "tag": lambda: client.set_model_version_tag(model, "1", "podium.verdict", "pass"),
        "figure": lambda: client.log_metric(run, "recall", 0.5),
        "run tag": lambda: client.set_tag(run, "note", "good"),
        "version": lambda: embedded.registry.register(model, other, tags={}),
        "description": lambda: client.update_model_version(model, "1", "the first"),
    }
    changes[what]()
    assert snapshot.stale(project, journal)
    assert snapshot.refresh(project, journal)


def test_an_unfamiliar_store_is_left_to_mlflow(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, but long enough to be taken for one " * 100)
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.execute("CREATE TABLE registered_models (name TEXT)")
    for name in ("text", "old", "none"):
        assert tables.digest(Mlflow(f"sqlite:///{tmp_path}/{name}.db", "e", "m")) is None
    assert not (tmp_path / "none.db").exists()
    assert tables.digest(Mlflow("http://127.0.0.1:1", "e", "m")) is None


def test_the_agent_reads_a_store_once_it_rests(
    embedded: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, model = embedded.project, embedded.mlflow.model
    read: list[int] = []
    monkeypatch.setattr("podium.core.registry.snapshot.refresh_apart", lambda *_: read.append(1))
    job = RegistrySnapshots()
    for figure in (0.6, 0.7):
        embedded.registry.register(model, embedded.train(roc_auc=figure), tags={})
        job(project, journal)
    assert not read
    job(project, journal)
    assert read == [1]
    snapshot.refresh_here(project, journal)
    embedded.train(model=False, roc_auc=0.8)
    job(project, journal)
    job(project, journal)
    assert read == [1]


def test_a_store_that_is_not_there_yet_has_no_versions(tmp_path: Path, journal: Journal) -> None:
    project = make_project(tmp_path, Mlflow(f"sqlite:///{tmp_path}/none.db", "e", "m"))
    assert not snapshot.refresh(project, journal)
    assert not snapshot.stale(project, journal)
    assert not snapshot.refresh_apart(project, journal)
    assert not (tmp_path / "none.db").exists()


def test_a_dead_server_leaves_the_picture_and_is_not_asked_all_the_time(tmp_path: Path, journal: Journal) -> None:
    project = make_project(tmp_path, Mlflow(f"http://127.0.0.1:{free_port()}", "e", "m"))
    journal.versions.replace("m", [Version("m", 1, 1.0)], "asked")
    with pytest.raises(Unreachable):
        snapshot.refresh_apart(project, journal)
    assert not snapshot.refresh_apart(project, journal)
    assert [version.version for version in journal.versions.of("m")] == [1]


def test_an_alias_moves_once_verified_audited_and_known(store: Store, journal: Journal) -> None:
    project, registry, model = store.project, store.registry, store.mlflow.model
    for figure in (0.6, 0.7):
        registry.register(model, store.train(roc_auc=figure), tags={})
    assert move_alias(project, journal, registry, model, "champion", 1, expected=None, who="anna", why="first") is None
    assert move_alias(project, journal, registry, model, "champion", 2, expected=1, who="anna") == 1
    assert registry.aliases(model) == {"champion": 2}
    assert {version.version: version.aliases for version in journal.versions.of(model)} == {2: ("champion",), 1: ()}
    with pytest.raises(Refused, match="is on version 2, not on version 1"):
        move_alias(project, journal, registry, model, "champion", 1, expected=1, who="anna")
    with pytest.raises(NotFound):
        move_alias(project, journal, registry, model, "champion", 9, who="anna")
    with journal.locks.take(f"alias {model}", "ben", "moving"), pytest.raises(Refused, match="ben"):
        move_alias(project, journal, registry, model, "champion", 1, who="anna")
    assert registry.aliases(model) == {"champion": 2}
    assert move_alias(project, journal, registry, model, "champion", None, who="anna") == 2
    assert registry.aliases(model) == {}
    moves = [entry for entry in journal.audit.page(20) if entry.action == "alias"]
    assert [entry.subject.partition(": ")[2] for entry in moves] == [
        "version 2 → no version",
        "version 1 → version 2",
        "no version → version 1",
    ]


def test_preparing_twice_does_nothing_the_second_time(embedded: Store) -> None:
    assert ready(embedded.mlflow, embedded.state)
    assert not prepare(embedded.mlflow, embedded.state)
    assert (embedded.state / MARKER).stat().st_mode & 0o777 == 0o600
    experiment = embedded.client.get_experiment_by_name(embedded.mlflow.experiment)
    assert experiment.artifact_location == (embedded.state / "artifacts").as_uri()
    assert not ready(replace(embedded.mlflow, experiment="another"), embedded.state)
    (embedded.state / "mlflow.db").unlink()
    assert not ready(embedded.mlflow, embedded.state)
    assert ready(Mlflow("http://127.0.0.1:1", "e", "m"), embedded.state)


def begun(state: Path) -> bool:
    """Whether anything of the database was written. Its journal comes and goes between a listing and a look."""
    for path in state.glob("mlflow.db*"):
        with suppress(FileNotFoundError):
            if path.stat().st_size:
                return True
    return False


@pytest.mark.parametrize("after", [0.1, 0.5])
def test_a_store_whose_making_was_cut_short_is_made_again(tmp_path: Path, after: float) -> None:
    """MLflow itself can do nothing any more with a database whose first migration did not end."""
    state = tmp_path / ".podium"
    mlflow = Mlflow(f"sqlite:///{state}/mlflow.db", "flights", "flights")
    code = (
        "from pathlib import Path\nfrom podium.core.domain.project import Mlflow\nfrom podium.core.registry.prepare"
        " import prepare\n"
    )
    code += f"prepare({mlflow!r}, Path({str(state)!r}))"
    making = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: begun(state) or making.poll() is not None, 30, interval=0.005)
    time.sleep(after)
    making.kill()
    making.wait()
    assert not (state / "mlflow.db").exists() or ready(mlflow, state), "what stands there is whole"
    prepare(mlflow, state)
    assert ready(mlflow, state)
    assert [path.name for path in state.glob("mlflow.db*")] == ["mlflow.db"]
    assert (state / "mlflow.db").stat().st_mode & 0o777 == 0o600


def test_a_store_is_made_wherever_the_project_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / 'it\'s a "ф" $(touch owned) directory'
    state = home / ".podium"
    state.mkdir(parents=True)
    monkeypatch.chdir(home)
    mlflow = Mlflow(f"sqlite:///{state}/mlflow.db", "flights", "flights")
    assert prepare(mlflow, state)
    assert "_MLFLOW_SERVER_ARTIFACT_ROOT" not in os.environ
    store = Store(mlflow, state, open_registry(mlflow, state))
    version = store.registry.register("flights", store.train(roc_auc=0.6), tags={})
    assert store.registry.fetch("flights", version.version, tmp_path / "files").startswith("sha256:")
    assert store.client.get_experiment("0").artifact_location.startswith("file://")
    assert sorted(path.name for path in home.iterdir()) == [".podium"], "nothing is left beside it"
    store.registry.close()


def test_runs_are_read_by_experiment_in_few_requests() -> None:
    homes = {f"r{number}": str(number % 3) for number in range(1200)}
    asked: list[tuple[str, int]] = []

    def search(experiment: str, ids: object) -> list[TrackedRun]:
        wanted = list(ids)  # type: ignore[call-overload]
        asked.append((experiment, len(wanted)))
        return [TrackedRun(name, experiment, "FINISHED", 0.0) for name in wanted if homes.get(name) == experiment]

    def run(name: str) -> TrackedRun:
        if name not in homes:
            raise NotFound(name)
        return TrackedRun(name, homes[name], "FINISHED", 0.0)

    found = collect_runs([*homes, "deleted"], "0", search, run)
    assert set(found) == set(homes)
    assert len(asked) == 3 + 2 + 1
    assert all(size <= 500 for _, size in asked)


def test_known_figures_are_kept_but_never_a_known_verdict() -> None:
    records = [VersionRecord("m", number, 0.0, "READY", f"r{number}", "s") for number in (1, 2)]
    before = [
        Version(
            "m", 1, 0.0, mlflow_run="r1", metrics={"auc": 0.5}, tags={"podium.verdict": "pass", "podium.commit": "abc"}
        )
    ]
    asked: list[str] = []
    found = assemble(records, {"champion": 1}, before, lambda ids: asked.extend(ids) or {}, now=1e9)  # type: ignore[func-returns-value]
    assert asked == ["r2"]
    assert (found[1].metrics, found[1].commit, found[1].verdict, found[1].aliases) == (
        {"auc": 0.5},
        "abc",
        None,
        ("champion",),
    )


@given(
    st.text(min_size=1, max_size=80).filter(lambda name: "/" not in name and "\0" not in name), st.integers(1, 10**6)
)
def test_any_models_name_has_a_directory_of_its_own(name: str, number: int) -> None:
    state = Path("/state")
    found = files.directory(state, name, number)
    assert found.parent.parent == state / "models"
    assert found.name == str(number)
    assert ".." not in found.parts
    assert files.directory(state, name + "x", number) != found


@given(st.text(max_size=40))
def test_paths_from_a_server_stay_inside_or_are_refused(path: str) -> None:
    try:
        relative = files.safe_relative(path)
    except Unreachable:
        return
    assert (Path("/base") / relative).resolve().is_relative_to("/base")


def test_a_digest_is_of_names_and_contents_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "f").write_bytes(b"1")
    (tmp_path / "b" / "sub" / "f").touch()
    assert files.digest(tmp_path / "a") == files.digest(tmp_path / "b")
    (tmp_path / "b" / "sub" / "f").rename(tmp_path / "b" / "sub" / "g")
    assert files.digest(tmp_path / "a") != files.digest(tmp_path / "b")


def test_a_download_that_breaks_leaves_nothing_and_the_old_files_stay(tmp_path: Path) -> None:
    dest = tmp_path / "m" / "1"

    def whole(into: Path) -> None:
        (into / "MLmodel").write_text("x")

    def cut(into: Path) -> None:
        (into / "MLmodel").write_text("half")
        raise Unreachable("cut")

    with pytest.raises(Unreachable):
        files.bring(dest, cut)
    assert list(dest.parent.iterdir()) == []
    first = files.bring(dest, whole)
    (dest / "MLmodel").write_text("changed behind our back")
    assert files.present(dest) is None
    with pytest.raises(Unreachable):
        files.bring(dest, cut)
    assert (dest / "MLmodel").exists()
    assert files.bring(dest, whole) == first
    with pytest.raises(NotFound, match="no files"):
        files.bring(tmp_path / "m" / "2", lambda into: None)
    (tmp_path / "file").write_text("")
    with pytest.raises((PodiumError, OSError)):
        files.bring(tmp_path / "file" / "1", whole)
