"""That every benchmark can be run at its smallest size and is on the page, and what `make bench` calls green."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks import _measuring as measuring

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = [ROOT / "benchmarks" / f"{name}.py" for name in runner.scripts()]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


@each_script
def test_a_benchmark_has_a_smallest_size(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"))
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {"parser", "Report"} <= calls, "`parser` brings --quick, and `Report` says what was missed"
    assert "quick" in read, "--quick is accepted and changes nothing"


@each_script
def test_a_benchmark_has_no_words_of_its_own_for_a_bound(script: Path) -> None:
    assert not re.findall(r"MISSED|\bbound\b.*\{", script.read_text(encoding="utf-8"))


@each_script
def test_the_page_names_the_command_of_a_benchmark(script: Path) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert any(f"`{script.stem}.py`" in row for row in rows)


def test_every_row_of_the_page_names_its_command() -> None:
    commands = {f"`{script.stem}.py`" for script in SCRIPTS} | {"`make demo`"}
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what ")]
    assert rows
    assert not [row for row in rows if not any(command in row.split("|")[-2] for command in commands)]


def test_a_bound_is_a_ratio_in_both_directions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = tmp_path / "report"
    monkeypatch.setenv(measuring.REPORT_VARIABLE, str(told))
    report = measuring.Report()
    report.compare("as fast", 2.0, "peer", 1.0, most=2.0)
    report.compare("as many", 1.0, "peer", 2.0, least=0.5)
    assert report.end() == 0
    report.compare("slower", 2.1, "peer", 1.0, most=2.0)
    report.compare("fewer", 0.9, "peer", 2.0, least=0.5)
    report.count("lost", 1, 0)
    report.not_measured("elsewhere", "no engine answers")
    assert report.end() == measuring.MISSED
    assert capsys.readouterr().out.count("MISSED") == 3
    found = json.loads(told.read_text().splitlines()[-1])
    assert [line.partition(":")[0] for line in found["missed"]] == ["slower", "fewer", "lost"]
    assert found["unmeasured"] == ["elsewhere: no engine answers"]


def test_what_was_not_measured_is_not_green() -> None:
    report = measuring.Report()
    report.compare("as fast", 1.0, "peer", 1.0, most=1.0)
    report.not_measured("elsewhere", "no engine answers")
    assert report.end() == measuring.NOT_MEASURED


@pytest.mark.parametrize(
    ("code", "told", "ends"),
    [
        (0, {"missed": [], "unmeasured": []}, 0),
        (measuring.MISSED, {"missed": ["a"], "unmeasured": ["b"]}, measuring.MISSED),
        (measuring.NOT_MEASURED, {"missed": [], "unmeasured": ["b"]}, measuring.NOT_MEASURED),
        (1, {"missed": ["a"], "unmeasured": ["b"]}, 1),
        (-9, None, 1),
    ],
)
def test_only_all_measured_and_all_met_is_green(
    code: int, told: dict[str, list[str]] | None, ends: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report"
    report.write_text(json.dumps(told) + "\n" if told else "")
    outcome = runner.Outcome()
    outcome.take("logs", code, report)
    assert outcome.end() == ends
    assert ("every bound was met" in capsys.readouterr().out) == (ends == 0)


def test_a_script_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text("import threading\nthreading.Event().wait()\n")
    monkeypatch.setattr(runner, "HERE", tmp_path)
    assert runner.run("stuck", [], tmp_path / "report", patience=0.5, together=True) != 0
