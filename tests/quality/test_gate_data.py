"""What a model gets to see of a gate's data: what a request would bring, and never the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
from podium.core.domain.models import Version
from podium.core.domain.project import Check, Gate, Git, Mlflow, Project
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.quality import subjects
from podium.core.quality.evaluate import evaluate
from podium.core.quality.subjects import read_data

INPUTS = {"n": "integer", "ok": "boolean", "word": "string", "at": "datetime"}
ROWS = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers how it was asked: `late` exactly if every cell has the type and value of a request."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    class Strict(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            assert model_input["n"].dtype == "int32", model_input.dtypes
            assert model_input["at"].dtype == "datetime64[ns]", model_input.dtypes
            assert model_input["ok"].dtype == bool
            return [
                int(word == "NA" and not ok) for word, ok in zip(model_input["word"], model_input["ok"], strict=True)
            ]

    path = tmp_path_factory.mktemp("strict") / "model"
    columns = [ColSpec(kind, name) for name, kind in INPUTS.items()]
    signature = ModelSignature(Schema(columns), Schema([ColSpec("long")]))
    mlflow.pyfunc.save_model(str(path), python_model=Strict(), signature=signature, pip_requirements=[])
    return path


def table() -> pandas.DataFrame:
    late = np.arange(ROWS) % 2
    times = pandas.date_range("2026-01-01", periods=ROWS, freq="h")
    ok = [None if each else True for each in late]
    return pandas.DataFrame({"n": range(ROWS), "ok": ok, "word": np.where(late, "NA", "b"), "at": times, "late": late})


def judged(root: Path, model: Path, data: str, target: str = "late") -> GateReport:
    project = Project("p", root, root, Git(), Mlflow("sqlite:////x", "e", "m"), {}, {}, {}, {}, {}, {})
    gate = Gate("quality", data, target, (Check("metric", metric="accuracy", at_least=1.0),))
    return evaluate(project, gate, Version("m", 2, 0.0), None, fetch=lambda _: model)


@pytest.mark.parametrize("name", ["d.parquet", "d.csv", "d.jsonl", "parts"])
def test_a_model_is_asked_as_a_request_would(tmp_path: Path, model: Path, name: str) -> None:
    made, path = table(), tmp_path / name
    if name == "d.csv":
        made.to_csv(path, index=False)
    elif name == "d.jsonl":
        made.assign(at=made["at"].astype(str)).to_json(path, orient="records", lines=True)
    else:
        made.to_parquet(path, partition_cols=["word"] if name == "parts" else None)
    report = judged(tmp_path, model, name)
    assert report.verdict is Verdict.PASS, report.checks


def test_a_model_that_is_told_the_truth_is_an_error(tmp_path: Path, model: Path) -> None:
    table().assign(ok=True).to_parquet(tmp_path / "d.parquet")
    report = judged(tmp_path, model, "d.parquet", target="ok")
    assert report.verdict is Verdict.ERROR
    assert "version 2 cannot be asked: the target 'ok' is also an input in its signature" in report.checks[0].message
    assert "Train it without 'ok'" in report.checks[0].message


def test_two_columns_of_one_name_are_an_error(tmp_path: Path, model: Path) -> None:
    (tmp_path / "d.csv").write_text("n,late,n\n1,0,2\n2,1,3\n")
    assert "more than one column 'n'" in judged(tmp_path, model, "d.csv").checks[0].message


def test_a_changed_part_of_a_directory_is_noticed(tmp_path: Path) -> None:
    table().to_parquet(tmp_path / "parts", partition_cols=["word"])
    project = Project("p", tmp_path, tmp_path, Git(), Mlflow("sqlite:////x", "e", "m"), {}, {}, {}, {}, {}, {})
    before = read_data(project, Gate("quality", "parts", "late", ()))
    part = next((tmp_path / "parts").rglob("*.parquet"))
    with part.open("ab") as file:
        file.write(b" ")
    assert subjects._stamp(tmp_path / "parts") != before.stamp
