"""The step `data-check`, as the engine calls it before training."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from podium.core.domain.project import Git, Mlflow, Project
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.engine.context import StepContext
from podium.core.errors import NotFound
from podium.core.quality.data_checks.step import DataRefused, data_check

RUN = Run(17, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 0.0)


def carry_out(root: Path, **options: object) -> dict[str, object]:
    project = Project(
        "p", root, root, Git(), Mlflow("sqlite:////x", "e", "m"), {}, {}, {}, {}, {}, {}, secrets=("hunter2hunter2",)
    )
    return dict(data_check(StepContext(project, RUN, "check", {"data": "d.csv", **options})))


def test_good_data_passes_and_bad_data_stops_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pandas.DataFrame({"x": range(100), "late": [0, 1] * 50})
    table.to_csv(tmp_path / "d.csv", index=False)
    found = carry_out(tmp_path, checks=["duplicates", "leakage"], target="late")
    assert found["verdict"] == "pass" and len(found["checks"]) == 2  # type: ignore[arg-type]
    assert "pass         data duplicates: 0 rows" in capsys.readouterr().out
    table.assign(told=table["late"]).to_csv(tmp_path / "d.csv", index=False)
    with pytest.raises(DataRefused, match=r"d\.csv: fail: data leakage: one feature") as caught:
        carry_out(tmp_path, checks=["leakage"], target="late", columns=["told"], max_alone="0.9")
    assert caught.value.results["verdict"] == "fail"


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"d\.csv does not exist"):
        carry_out(tmp_path, checks=["duplicates"])
    (tmp_path / "d.csv").write_text("x,x\n1,2\n")
    with pytest.raises(DataRefused, match="more than one column 'x'"):
        carry_out(tmp_path, checks=["duplicates"])
    (tmp_path / "d.csv").write_text("hunter2hunter2,hunter2hunter2\n1,2\n")
    with pytest.raises(DataRefused, match=r"more than one column '\*\*\*'") as caught:
        carry_out(tmp_path, checks=["duplicates"])
    assert "hunter2" not in str(caught.value.results)
    (tmp_path / "d.csv").write_text("x\n")
    with pytest.raises(DataRefused, match=r"d\.csv has no rows"):
        carry_out(tmp_path, checks=["duplicates", "missing"], max_missing=0.1)
    (tmp_path / "d.csv").write_text("x\n1\n")
    with pytest.raises(DataRefused, match="no column 'late'"):
        carry_out(tmp_path, checks=["leakage"], target="late")
