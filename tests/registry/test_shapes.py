"""What an MLflow server answers may have any shape: a method gives what it promises, or an error that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podium.core.domain.project import Mlflow
from podium.core.errors import PodiumError, Unreachable
from podium.core.registry.rest import RestRegistry

NAMES = (
    *(
        "registered_model",
        "registered_models",
        "model_versions",
        "model_version",
        "aliases",
        "alias",
        "version",
        "name",
    ),
    *("runs", "run", "info", "data", "metrics", "params", "tags", "key", "value", "outputs", "model_outputs", "step"),
    *("inputs", "dataset_inputs", "dataset", "experiment", "experiment_id", "lifecycle_stage", "latest_versions"),
    *(
        "creation_timestamp",
        "start_time",
        "end_time",
        "artifact_uri",
        "next_page_token",
        "run_id",
        "timestamp",
        "files",
    ),
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["1", "zz"])
shapes = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)
ASKED: dict[str, Callable[[RestRegistry, Path], Any]] = {
    "versions": lambda registry, _: registry.versions("m"),
    "version": lambda registry, _: registry.version("m", 1),
    "models": lambda registry, _: registry.models(),
    "aliases": lambda registry, _: registry.aliases("m"),
    "run": lambda registry, _: registry.run("r"),
    "find_runs": lambda registry, _: registry.find_runs("e", ["k"]),
    "metric_history": lambda registry, _: registry.metric_history("r", "acc"),
    "fetch": lambda registry, into: registry.fetch("m", 1, into / "m" / "1"),
}


class Answering:
    """Stands in for the connection: each answer is the same document, as JSON gives it back."""

    name = "the MLflow server at http://x"

    def __init__(self, document: dict[str, Any]) -> None:
        self.get = self.post = lambda *_args, **_options: json.loads(json.dumps(document))


def registry(document: dict[str, Any]) -> RestRegistry:
    made = RestRegistry(Mlflow("http://127.0.0.1:1", "e", "m"), Path("/nonexistent"), {})
    made._server = made._registry = Answering(document)  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("method", ASKED)
@settings(max_examples=60, deadline=None)
@given(document=st.dictionaries(st.sampled_from(NAMES), shapes, max_size=8))
def test_no_shape_ends_as_an_unforeseen_error(method: str, document: dict[str, Any], tmp_path_factory: Any) -> None:
    try:
        found = ASKED[method](registry(document), tmp_path_factory.mktemp("models"))
    except PodiumError as error:
        assert error.message
    else:
        str(found).encode()


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"registered_model": []}, "`registered_model` is []"),
        ({"registered_model": {"aliases": 5}}, "`aliases` is 5"),
        ({"registered_model": {"aliases": [{"alias": "a"}]}}, "`version` is None"),
        ({"model_versions": [{"version": "x"}]}, "`version` is 'x'"),
        ({"model_versions": [1]}, "an item of `model_versions` is 1"),
        ({"model_versions": {"a": 1}}, "`model_versions` is {'a': 1}"),
        ({"model_versions": [{"version": "1", "creation_timestamp": "zz"}]}, "`creation_timestamp` is 'zz'"),
        ({"model_versions": [{"version": "1", "creation_timestamp": 10**17}]}, "`creation_timestamp` is 1000"),
        ({"model_versions": [{"version": "1", "tags": "t"}]}, "`tags` is 't'"),
        ({"model_versions": [{"version": 1e400}]}, "`version` is inf"),
    ],
)
def test_the_error_names_what_is_not_mlflows(document: dict[str, Any], named: str) -> None:
    with pytest.raises(Unreachable, match="not MLflow's JSON") as caught:
        registry(document).versions("m")
    assert named in caught.value.message and caught.value.hint


def test_letters_that_no_file_takes_are_replaced() -> None:
    (version,) = registry({"model_versions": [{"version": "1", "description": "a\ud800b"}]}).versions("m")
    assert version.description == "a?b"
