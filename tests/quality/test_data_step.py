"""The step `data-check`, as the engine calls it before training."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from podium.core.domain.project import Git, Mlflow, Project
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.engine.context import StepContext
from podium.core.errors import NotFound, PodiumError
from podium.core.quality.data_checks.step import DataRefused, data_check
from podium.core.quality.outside.datasets import of_run

RUN = Run(17, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 0.0)


def carry_out(root: Path, home: Path | None = None, **options: object) -> dict[str, object]:
    project = Project(
        "p",
        root,
        home or root,
        Git(),
        Mlflow("sqlite:////x", "e", "m"),
        {},
        {},
        {},
        {},
        {},
        {},
        secrets=("hunter2hunter2",),
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


def test_a_link_that_a_step_in_a_container_left_in_a_commits_directory_leads_nowhere(tmp_path: Path) -> None:
    """It can write there whatever it likes; what reads on this machine does not follow it out."""
    home, outside = tmp_path / "home", tmp_path / "outside.csv"
    tree = home / ".podium" / "worktrees" / "7"
    for place, words in (
        (outside, "secret-of-the-host"),
        (home / "own.csv", "x"),
        (home / ".podium/state.csv", "state"),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{words},{words}\n1,2\n")
    tree.mkdir(parents=True)
    (tree / "real.csv").write_text("x\n1\n")
    for target in (outside, home / ".podium/state.csv"):
        (tree / "d.csv").unlink(missing_ok=True)
        (tree / "d.csv").symlink_to(target)
        with pytest.raises(PodiumError, match=r"d\.csv is a link that leads out of the project") as caught:
            carry_out(tree, home, checks=["duplicates"])
        assert "secret-of-the-host" not in str(caught.value) and "Name that path in podium.yaml" in caught.value.hint
        assert of_run(tree, home, str(outside)) == outside, "what podium.yaml names itself is meant"
        assert of_run(home, home, "d.csv") == home / "d.csv", "a person's own directory has links of its own"
    for target in ("real.csv", "../../../own.csv"):
        (tree / "d.csv").unlink()
        (tree / "d.csv").symlink_to(target)
        assert of_run(tree, home, "d.csv") == tree / "d.csv"
