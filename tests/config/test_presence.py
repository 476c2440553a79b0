"""What podium.yaml names and is not there: told by `validate` where it can only fail, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from podium.core.config import load
from podium.core.config.presence import missing

GATE = "gates: {q: {data: data/test.csv, target: y, checks: [{metric: f1, at_least: 0}]}}\n"


def found(home: Path, steps: str, more: str = "") -> list[tuple[str, int]]:
    (home / "podium.yaml").write_text(f"project: p\npipelines:\n  p:\n    steps:\n{steps}{more}")
    return [(problem.key, problem.line) for problem in missing(load(home, environ={}))]


def test_an_input_that_nothing_writes(tmp_path: Path) -> None:
    steps = """\
      a: {run: "true", inputs: [here.py, gone.py, gone/]}
      b: {run: "true", inputs: [made.py], needs: [a]}
      c: {run: "true", inputs: ["${{ matrix.n }}.py"], matrix: {n: [1]}}
"""
    (tmp_path / "here.py").touch()
    assert found(tmp_path, steps) == [("pipelines.p.steps.a.inputs[1]", 5), ("pipelines.p.steps.a.inputs[2]", 5)]


def test_a_directory_to_build_and_the_data_of_a_gate(tmp_path: Path) -> None:
    steps = """\
      a: {run: "true", build: docker}
      g: {uses: gate, gate: q, version: 3}
      later: {uses: gate, gate: q, version: 3, needs: [a]}
      again: {uses: gate, gate: q, version: 3, needs: [g]}
"""
    assert found(tmp_path, steps, GATE) == [
        ("pipelines.p.steps.a.build", 5),
        ("pipelines.p.steps.g.gate", 6),
        ("pipelines.p.steps.again.gate", 8),
    ]
    (tmp_path / "docker").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test.csv").touch()
    assert found(tmp_path, steps, GATE) == []


def test_what_a_step_dataset_before_writes_is_there(tmp_path: Path) -> None:
    steps = """\
      rows: {uses: dataset, environment: production, target: y, output: data/rows.parquet, test: data/test.csv}
      a: {run: "true", inputs: [data/rows.parquet], needs: [rows]}
      g: {uses: gate, gate: q, version: 3, needs: [rows]}
      early: {run: "true", inputs: [data/rows.parquet]}
"""
    assert found(tmp_path, steps, f"{GATE}environments: {{production: {{}}}}\n") == [
        ("pipelines.p.steps.early.inputs[0]", 8)
    ]


def test_a_new_project_has_everything(tmp_path: Path) -> None:
    from podium.core.template import create

    create(tmp_path / "new")
    assert missing(load(tmp_path / "new", environ={})) == []
