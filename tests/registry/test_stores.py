"""The same questions to both implementations of the registry, each against a real store."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.domain.models import TAG_COMMIT, TAG_KEY, TAG_RUN, TAG_VERDICT
from podium.core.domain.verdicts import Verdict
from podium.core.errors import NotFound, PodiumError, UsageError
from podium.core.registry import files
from podium.core.registry.tracked import runs_gone

from tests.support import free_port

from .conftest import Store


def test_an_unknown_model_has_no_versions(store: Store) -> None:
    assert store.registry.versions("nobody") == []
    with pytest.raises(NotFound):
        store.registry.version("nobody", 1)
    with pytest.raises(NotFound):
        store.registry.aliases("nobody")


def test_a_registered_run_is_a_version_with_its_figures_and_lineage(store: Store) -> None:
    run = store.train(tags={TAG_COMMIT: "abc1234", "who": "it's"}, params={"depth": "4"}, roc_auc=0.71, odd=math.nan)
    version = store.registry.register(store.mlflow.model, run, tags={TAG_RUN: "17"}, description="the first")
    assert (version.version, version.status, version.mlflow_run, version.description) == (1, "READY", run, "the first")
    assert (version.commit, version.run_id, version.tags["who"]) == ("abc1234", 17, "it's")
    assert version.params == {"depth": "4"}
    assert version.metrics["roc_auc"] == 0.71
    assert math.isnan(version.metrics["odd"])
    assert repr(store.registry.versions(store.mlflow.model)) == repr([version])
    [model] = [model for model in store.registry.models() if model.name == store.mlflow.model]
    assert (model.versions, model.latest) == (1, 1)


def test_registering_a_run_again_returns_its_version_and_keeps_its_origin(store: Store) -> None:
    run = store.train(roc_auc=0.7)
    first = store.registry.register(store.mlflow.model, run, tags={TAG_RUN: "1"})
    again = store.registry.register(store.mlflow.model, run, tags={TAG_RUN: "2", TAG_KEY: "k"})
    assert again.version == first.version
    assert (again.run_id, again.tags[TAG_KEY]) == (1, "k")
    assert store.registry.register(store.mlflow.model, store.train(roc_auc=0.8), tags={}).version == 2


def test_a_run_without_a_model_cannot_be_registered(store: Store) -> None:
    run = store.train(model=False, roc_auc=0.7)
    with pytest.raises(NotFound, match="logged no model") as caught:
        store.registry.register(store.mlflow.model, run, tags={})
    assert "log_model" in caught.value.hint
    with pytest.raises(NotFound):
        store.registry.register(store.mlflow.model, "0" * 32, tags={})


def test_a_model_among_a_runs_artifacts_as_mlflow_2_kept_it(store: Store, tmp_path: Path) -> None:
    run = store.train(model=False, roc_auc=0.7)
    old = tmp_path / "old"
    (old / "data").mkdir(parents=True)
    (old / "MLmodel").write_text("flavors: {}\n")
    (old / "data" / "näme with space.bin").write_bytes(b"\0\1")
    store.client.log_artifacts(run, str(old), "clf")
    store.client.set_tag(run, "mlflow.log-model.history", '[{"artifact_path": "clf", "run_id": "x"}]')
    version = store.registry.register(store.mlflow.model, run, tags={})
    dest = files.directory(store.state, store.mlflow.model, version.version)
    store.registry.fetch(store.mlflow.model, version.version, dest)
    assert (dest / "data" / "näme with space.bin").read_bytes() == b"\0\1"


def test_versions_are_newest_first_and_carry_their_aliases(store: Store) -> None:
    for figure in (0.6, 0.7, 0.8):
        store.registry.register(store.mlflow.model, store.train(roc_auc=figure), tags={})
    store.registry.set_alias(store.mlflow.model, "champion", 1)
    store.registry.set_alias(store.mlflow.model, "challenger", 3)
    store.registry.set_alias(store.mlflow.model, "champion", 2)
    found = store.registry.versions(store.mlflow.model)
    assert [(version.version, version.aliases, version.metrics["roc_auc"]) for version in found] == [
        (3, ("challenger",), 0.8),
        (2, ("champion",), 0.7),
        (1, (), 0.6),
    ]
    assert store.registry.aliases(store.mlflow.model) == {"champion": 2, "challenger": 3}
    assert store.registry.version(store.mlflow.model, 2).aliases == ("champion",)
    store.registry.delete_alias(store.mlflow.model, "challenger")
    assert store.registry.aliases(store.mlflow.model) == {"champion": 2}
    with pytest.raises(NotFound):
        store.registry.set_alias(store.mlflow.model, "champion", 99)
    with pytest.raises(PodiumError):
        store.registry.set_alias(store.mlflow.model, "latest", 1)


def test_tags_of_versions_and_runs(store: Store) -> None:
    run = store.train(roc_auc=0.6)
    store.registry.register(store.mlflow.model, run, tags={})
    store.registry.set_tag(store.mlflow.model, 1, TAG_VERDICT, "pass")
    for key, value in (("one", "1"), ("two", "2")):
        store.client.set_tag(run, key, value)
    version = store.registry.version(store.mlflow.model, 1)
    assert (version.verdict, version.tags["one"], version.tags["two"]) == (Verdict.PASS, "1", "2")
    store.registry.set_tag(store.mlflow.model, 1, TAG_VERDICT, "nonsense")
    assert store.registry.version(store.mlflow.model, 1).verdict is None


def test_runs_in_another_experiment_keep_their_figures(store: Store) -> None:
    other = replace(store.mlflow, experiment=f"{store.mlflow.experiment}-else")
    elsewhere = replace(store, mlflow=other)
    store.registry.register(store.mlflow.model, store.train(roc_auc=0.6), tags={})
    store.registry.register(store.mlflow.model, elsewhere.train(roc_auc=0.9), tags={})
    assert [version.metrics["roc_auc"] for version in store.registry.versions(store.mlflow.model)] == [0.9, 0.6]


def test_known_versions_are_not_asked_for_again_unless_fresh(store: Store) -> None:
    store.registry.register(store.mlflow.model, store.train(roc_auc=0.6), tags={})
    [version] = store.registry.versions(store.mlflow.model)
    known = [replace(version, metrics={"roc_auc": 0.1})]
    assert store.registry.versions(store.mlflow.model, known=known)[0].metrics == {"roc_auc": 0.6}


def test_finished_runs_are_found_by_key_newest_first(store: Store) -> None:
    first = store.train(tags={TAG_KEY: "a"}, model=False, roc_auc=0.1)
    second = store.train(tags={TAG_KEY: "b"}, model=False, roc_auc=0.2)
    third = store.train(tags={TAG_KEY: "a"}, model=False, roc_auc=0.3)
    unfinished = store.client.create_run(
        store.client.get_run(first).info.experiment_id, tags={TAG_KEY: "a"}
    ).info.run_id
    store.train(tags={TAG_KEY: "other"}, model=False)
    found = store.registry.find_runs(store.mlflow.experiment, ["a", "b", "unknown"])
    assert {run.id for run in found} == {first, second, third}
    assert unfinished not in {run.id for run in found}
    assert [run.started for run in found] == sorted((run.started for run in found), reverse=True)
    assert store.registry.find_runs(store.mlflow.experiment, []) == []


def test_runs_that_are_gone_are_missed_without_mlflow(store: Store) -> None:
    key = f"gone-{store.mlflow.experiment}"
    assert runs_gone(store.mlflow, store.state, key)
    made = store.train(tags={TAG_KEY: key}, model=False, roc_auc=0.1)
    assert not runs_gone(store.mlflow, store.state, key)
    store.client.delete_run(made)
    assert runs_gone(store.mlflow, store.state, key)
    nowhere = replace(store.mlflow, tracking_uri=f"http://127.0.0.1:{free_port()}")
    assert not runs_gone(nowhere, store.state, key), "what cannot be asked is not taken for gone"


def test_runs_are_found_by_their_key_in_an_experiment_that_the_script_set(store: Store) -> None:
    name, key = store.mlflow.experiment, f"key-of-{store.mlflow.experiment}"
    elsewhere = replace(store, mlflow=replace(store.mlflow, experiment=f"{name}-else"))
    other = elsewhere.train(tags={TAG_KEY: key}, model=False, roc_auc=0.1)
    found = store.registry.find_runs(name, [key, "unknown"])
    assert [(run.id, run.experiment) for run in found] == [(other, f"{name}-else")]
    assert [run.id for run in store.registry.find_runs("no such experiment", [key])] == [other]
    own = store.train(tags={TAG_KEY: key}, model=False, roc_auc=0.2)
    assert [(run.id, run.experiment) for run in store.registry.find_runs(name, [key])] == [(own, name)]


def test_metric_history_is_whole_and_in_order(store: Store) -> None:
    from mlflow.entities import Metric

    run = store.train(model=False)
    store.client.log_batch(run, [Metric("loss", 1.0 / (step + 1), 1000 + step, step) for step in reversed(range(900))])
    points = store.registry.metric_history(run, "loss")
    assert [point.step for point in points] == list(range(900))
    assert (points[1].at, points[1].value) == (1.001, 0.5)
    assert store.registry.metric_history(run, "unknown") == []


def test_a_report_is_kept_with_the_run(store: Store, tmp_path: Path) -> None:
    run = store.train(model=False)
    store.registry.log_report(run, "podium/gate quality.md", "# Gate: 0.71 ≥ 0.65\n")
    got = store.client.download_artifacts(run, "podium/gate quality.md", str(tmp_path))
    assert Path(got).read_text() == "# Gate: 0.71 ≥ 0.65\n"
    with pytest.raises(PodiumError):
        store.registry.log_report(run, "../outside.md", "x")


def test_fetched_files_are_whole_private_and_brought_once(store: Store) -> None:
    import mlflow

    store.registry.register(store.mlflow.model, store.train(roc_auc=0.6), tags={})
    dest = files.directory(store.state, store.mlflow.model, 1)
    digest = store.registry.fetch(store.mlflow.model, 1, dest)
    assert digest.startswith("sha256:")
    assert list(mlflow.pyfunc.load_model(str(dest)).predict([1, 2])) == [0.5, 0.5]
    assert (dest / "MLmodel").stat().st_mode & 0o777 == 0o600
    marker = (dest / "MLmodel").stat().st_ino
    assert store.registry.fetch(store.mlflow.model, 1, dest) == digest
    assert (dest / "MLmodel").stat().st_ino == marker
    (dest / "MLmodel").unlink()
    assert store.registry.fetch(store.mlflow.model, 1, dest) == digest
    assert (dest / "MLmodel").is_file()
    with pytest.raises(NotFound):
        store.registry.fetch(store.mlflow.model, 7, dest.with_name("7"))
    assert sorted(path.name for path in dest.parent.iterdir()) == ["1", "1.digest"]


def test_names_with_quotes(store: Store) -> None:
    name = f"{store.mlflow.model} o'hare"
    store.registry.register(name, store.train(roc_auc=0.5), tags={})
    assert len(store.registry.versions(name)) == 1
    with pytest.raises((UsageError, NotFound)):
        store.registry.register("both ' and \"", "0" * 32, tags={})
