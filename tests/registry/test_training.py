"""What training has logged, read from a SQLite file and from a server."""

from __future__ import annotations

import math
import sqlite3
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.domain.models import MetricPoint
from podium.core.domain.project import Mlflow
from podium.core.errors import NotFound, PodiumError, Refused, Unreachable
from podium.core.registry import artifacts, training

from .conftest import Store


@pytest.fixture
def key() -> str:
    """The key of this test's own step: the server is shared, and so are numbers of runs."""
    return uuid.uuid4().hex


def trained(store: Store, key: str = "", *, steps: int = 3, finished: bool = True, run: str = "7") -> str:
    """A run whose step 1 is not a number, with two files."""
    client = store.client
    experiment = client.get_experiment_by_name(store.mlflow.experiment)
    number = experiment.experiment_id if experiment is not None else client.create_experiment(store.mlflow.experiment)
    made = client.create_run(
        number, tags={"podium.run": run, "podium.step": "train[depth=4]", "podium.key": key}
    ).info.run_id
    for step in range(steps):
        client.log_metric(made, "loss", math.nan if step == 1 else 1.0 / (step + 1), step=step)
    client.log_param(made, "depth", 4)
    client.log_text(made, "\x1b[31mred\n<b>", "notes/report.txt")
    client.log_text(made, "a\0b", "model.bin")
    if finished:
        client.set_terminated(made)
    return str(made)


def test_the_runs_of_a_run_are_found_while_they_go_on_and_nobody_elses(store: Store, key: str) -> None:
    done, going = trained(store, key), trained(store, key, finished=False)
    trained(store, key, run="8")
    trained(store, "another project's", run="7")
    found = {each.id: each for each in training.runs_of(store.mlflow, store.state, {key: 7})}
    assert set(found) == {done, going}
    assert (found[done].status, found[going].status) == ("FINISHED", "RUNNING")
    assert found[done].params == {"depth": "4"} and found[done].metrics["loss"] == pytest.approx(1 / 3)
    assert training.runs_of(store.mlflow, store.state, {key: 99}) == []


def test_runs_in_an_experiment_of_their_own_are_found_too(store: Store, key: str) -> None:
    client = store.client
    other = client.create_experiment(f"{store.mlflow.experiment}-other")
    made = client.create_run(other, tags={"podium.run": "7", "podium.key": key}).info.run_id
    assert [each.id for each in training.runs_of(store.mlflow, store.state, {key: 7})] == [made]


def test_a_history_has_every_step_and_what_is_no_number(store: Store) -> None:
    points = training.history(store.mlflow, store.state, trained(store), "loss")
    assert [point.step for point in points] == [0, 1, 2]
    assert points[0].value == 1.0 and math.isnan(points[1].value) and points[0].at > 1e9
    assert training.history(store.mlflow, store.state, trained(store), "no such") == []


def test_one_run_and_one_that_is_gone(store: Store) -> None:
    made = trained(store)
    assert training.run(store.mlflow, store.state, made).id == made
    with pytest.raises(NotFound):
        training.run(store.mlflow, store.state, "0" * 32)


def test_the_files_of_a_run_and_the_text_of_one(store: Store) -> None:
    run = training.run(store.mlflow, store.state, trained(store))
    found = artifacts.listed(store.mlflow, store.state, run)
    assert [(each.path, each.size) for each in found] == [("model.bin", 3), ("notes/report.txt", 12)]
    read = artifacts.text(store.mlflow, store.state, run, "notes/report.txt")
    assert read.text == "\x1b[31mred\n<b>" and not read.binary and not read.cut and read.size == 12
    assert artifacts.text(store.mlflow, store.state, run, "model.bin").binary
    with pytest.raises(PodiumError):
        artifacts.text(store.mlflow, store.state, run, "nothing.txt")
    with pytest.raises(PodiumError):
        artifacts.text(store.mlflow, store.state, run, "../../secret")


def test_only_the_beginning_of_a_large_file_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "MOST_BYTES", 100)
    made = trained(store)
    store.client.log_text(made, "x" * 5000, "large.txt")
    run = training.run(store.mlflow, store.state, made)
    read = artifacts.text(store.mlflow, store.state, run, "large.txt")
    assert read.text == "x" * 100 and read.cut


def test_a_link_among_the_files_is_neither_listed_nor_followed(store: Store, tmp_path: Path) -> None:
    if not store.mlflow.embedded:
        pytest.skip("the server's own files")
    made = trained(store)
    run = training.run(store.mlflow, store.state, made)
    (tmp_path / "secret").write_text("secret")
    root = Path(run.artifact_uri.removeprefix("file://"))
    (root / "link.txt").symlink_to(tmp_path / "secret")
    assert "link.txt" not in [each.path for each in artifacts.listed(store.mlflow, store.state, run)]
    with pytest.raises(PodiumError):
        artifacts.text(store.mlflow, store.state, run, "link.txt")


def test_files_in_a_bucket_are_refused_with_the_command_that_fetches_them(store: Store) -> None:
    run = replace(training.run(store.mlflow, store.state, trained(store)), artifact_uri="s3://bucket/1")
    with pytest.raises(Refused) as told:
        artifacts.listed(store.mlflow, store.state, run)
    assert "mlflow artifacts download" in told.value.hint


def test_a_store_that_is_none_is_told(tmp_path: Path) -> None:
    empty = Mlflow(f"sqlite:///{tmp_path}/none.db", "x", "x")
    assert training.runs_of(empty, tmp_path, {"a": 1}) == [] and training.history(empty, tmp_path, "a", "b") == []
    sqlite3.connect(tmp_path / "none.db").close()
    (tmp_path / "none.db").write_bytes(b"SQLite format 3\0" + b"\0" * 500)
    with pytest.raises(Unreachable):
        training.runs_of(empty, tmp_path, {"a": 1})
    with pytest.raises(Unreachable):
        training.runs_of(Mlflow(f"file://{tmp_path}", "x", "x"), tmp_path, {"a": 1})


def test_a_thinned_history_keeps_its_ends_and_its_peaks() -> None:
    points = [MetricPoint(step, 0.0, 100.0 if step == 4321 else float(step % 7)) for step in range(10_000)]
    found = training.thinned(points, 200)
    assert len(found) <= 200 and (found[0].step, found[-1].step) == (0, 9999)
    assert max(point.value for point in found) == 100.0
    assert [point.step for point in found] == sorted({point.step for point in found})
    short = points[:150]
    assert training.thinned(short, 200) == short
    gaps = [MetricPoint(step, 0.0, math.nan) for step in range(1000)]
    assert len(training.thinned(gaps, 100)) <= 100
