from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.comparison.contents import contents
from podium.core.comparison.goals import chosen, goal_of, metric_of
from podium.core.comparison.lines import MOST, difference
from podium.core.comparison.rows import Known, compare
from podium.core.config import load
from podium.core.domain.comparisons import Change, ComparedRow, Comparison, Kind, Subject
from podium.core.domain.models import Version
from podium.core.domain.verdicts import CheckResult, FlippedRow, Flips, GateReport, Verdict
from podium.core.registry.files import directory


def subject(number: int, *aliases: str) -> Subject:
    return Subject(f"v{number}", aliases, Version("m", number, 0.0, aliases=aliases))


def row(comparison: Comparison, kind: Kind, title: str) -> ComparedRow:
    return next(row for row in comparison.rows if row.kind is kind and row.title == title)


def test_a_row_differs_where_values_do_and_where_one_is_missing() -> None:
    one = Known(subject(1), metrics={"auc": 0.5, "nan": math.nan}, params={"depth": "4", "rate": "1"}, tags={"t": "x"})
    two = Known(subject(2), metrics={"auc": 0.6, "nan": math.nan}, params={"depth": "4"}, tags={"t": "x"})
    found = compare([one, two])
    assert row(found, Kind.METRIC, "auc").values == (0.5, 0.6) and row(found, Kind.METRIC, "auc").differs
    assert not row(found, Kind.METRIC, "nan").differs
    assert not row(found, Kind.PARAM, "depth").differs
    assert row(found, Kind.PARAM, "rate").values == ("1", None)
    assert row(found, Kind.PARAM, "rate").cells[1].change is Change.MISSING
    assert compare([]).rows == ()


def test_the_champion_is_the_baseline_and_comes_first() -> None:
    found = compare([Known(subject(4)), Known(subject(3, "champion")), Known(subject(5))])
    assert [each.label for each in found.subjects] == ["v3", "v4", "v5"]
    assert found.why == "v3 is the champion"
    assert compare([Known(subject(4)), Known(subject(5))]).why == "v4 is the first that was named"


def test_the_direction_of_a_metric_says_what_is_better() -> None:
    tables = ({"loss": 0.4, "roc_auc": 0.7, "odd": 1.0, "e": 0.1}, {"loss": 0.3, "roc_auc": 0.6, "odd": 2.0, "e": 0.1})
    found = compare([Known(subject(number), metrics=table) for number, table in enumerate(tables)])
    changes = {name: row(found, Kind.METRIC, name).cells[1].change for name in tables[0]}
    assert changes == {"loss": Change.BETTER, "roc_auc": Change.WORSE, "odd": Change.OTHER, "e": Change.SAME}
    assert row(found, Kind.METRIC, "roc_auc").cells[1].change_words == "worse -0.1000"


def test_names_that_training_makes_up_have_the_direction_of_the_metric_in_them() -> None:
    assert goal_of("valid_roc_auc") == "maximize" and goal_of("test f1 macro") == "maximize"
    assert goal_of("val_loss") == "minimize" and goal_of("log_loss") == "minimize"
    assert goal_of("profit") == "" and goal_of("train_profit", {"profit": "maximize"}) == "maximize"
    assert goal_of("overall") == "", "a part of a word is no metric"
    assert goal_of("f1_loss") == goal_of("val_accuracy_loss") == "minimize", "the loss of a metric is a loss"
    assert goal_of("neg_log_loss") == goal_of("mean_test_neg_root_mean_squared_error") == "maximize"
    assert goal_of("neg_class_error") == "minimize"


def report(version: int, champion: int | None, *checks: CheckResult, at: float = 0.0, **metrics: float) -> GateReport:
    return GateReport("quality", "m", version, champion, Verdict.PASS, checks, at, metrics=metrics)


AGAINST = CheckResult("rmse against champion", Verdict.PASS, "words", 2.0, 2.5, 0.1, 0.9)


def test_a_gates_interval_is_turned_into_the_metrics_own_direction() -> None:
    known = [Known(subject(3, "champion")), Known(subject(4), reports=(report(4, 3, AGAINST, rmse=2.0),))]
    cell = row(compare(known), Kind.GATE, "rmse").cells[1]
    assert (cell.change, cell.delta, cell.low, cell.high) == (Change.BETTER, -0.5, -0.9, -0.1)
    assert cell.verdict is Verdict.PASS and cell.words == "words"
    base = row(compare(known), Kind.GATE, "rmse").cells[0]
    assert base.value == 2.5 and base.words == "measured in the gate of v4", "the champion, on the same rows"


def test_an_interval_that_holds_both_is_unclear_whatever_the_values_say() -> None:
    check = CheckResult("roc_auc against champion", Verdict.INCONCLUSIVE, "", 0.71, 0.70, -0.01, 0.03)
    known = [Known(subject(3, "champion")), Known(subject(4), reports=(report(4, 3, check),))]
    assert row(compare(known), Kind.GATE, "roc_auc").cells[1].change is Change.UNCLEAR


def test_a_report_against_another_champion_gives_no_interval() -> None:
    known = [
        Known(subject(5, "champion"), reports=(report(5, 3, rmse=1.0),)),
        Known(subject(4), reports=(report(4, 3, AGAINST, rmse=2.0),)),
    ]
    cell = row(compare(known), Kind.GATE, "rmse").cells[1]
    assert (cell.change, cell.delta, cell.low) == (Change.WORSE, 1.0, None)
    assert "measured on other rows" in cell.words


def test_only_the_newest_report_of_a_gate_counts_and_a_comparison_before_a_limit() -> None:
    limit = CheckResult("rmse ≤ 9", Verdict.PASS, "limit", 2.0)
    newest = report(4, 3, AGAINST, limit, at=2.0, rmse=2.0)
    known = [Known(subject(3, "champion")), Known(subject(4), reports=(newest, report(4, 3, rmse=7.0, at=1.0)))]
    cells = row(compare(known), Kind.GATE, "rmse").cells
    assert cells[1].value == 2.0 and cells[1].words == "words"


def test_flipped_rows_are_counted_and_named_beside_the_champion_that_they_were_measured_with() -> None:
    flips = Flips(12, 9, tuple(FlippedRow(number, "yes", "yes", "no") for number in range(1, 22)))
    old, new = (
        replace(report(4, 3, AGAINST, at=at), flips=each) for at, each in ((1.0, Flips(0, 0, ())), (2.0, flips))
    )
    known = [Known(subject(3, "champion")), Known(subject(4), reports=(new, old)), Known(subject(5))]
    found = row(compare(known), Kind.GATE, "flipped rows")
    assert found.values == (None, "9 worse, 12 better", None) and found.differs and found.of == "quality"
    assert found.cells[1].flips is flips and "v3 answers otherwise" in found.cells[1].words
    other = compare([Known(subject(2, "champion")), Known(subject(4), reports=(new,))])
    assert not [each for each in other.rows if each.name == "flipped rows"], "of another champion"


def test_slices_are_rows_of_their_own_below_the_whole() -> None:
    parts = [
        CheckResult("roc_auc against champion", Verdict.FAIL, "", 0.6, 0.7, -0.2, -0.05, slice=f"origin={name}")
        for name in ("JFK", "EWR")
    ]
    found = compare([Known(subject(3, "champion")), Known(subject(4), reports=(report(4, 3, *parts, roc_auc=0.7),))])
    assert [each.title for each in found.rows if each.kind in (Kind.GATE, Kind.SLICE)] == [
        "roc_auc",
        "roc_auc [origin=EWR]",
        "roc_auc [origin=JFK]",
    ]
    assert row(found, Kind.SLICE, "roc_auc [origin=JFK]").cells[1].change is Change.WORSE


def test_what_the_project_looks_at_comes_first(tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text(
        "project: p\npipelines:\n  a:\n    steps:\n      train: {run: x}\n"
        "      best: {uses: register, needs: [train], metric: zeta, goal: minimize}\n"
        "gates:\n  q: {data: d.csv, target: t, checks: [{metric: roc_auc, at_least: 0.5}, {metric: accuracy,"
        " at_least: 0.5}]}\n"
    )
    looked_at = chosen(load(tmp_path))
    assert looked_at == {"zeta": "minimize", "roc_auc": "maximize", "accuracy": "maximize"}
    metrics = {"accuracy": 1.0, "abc": 1.0, "zeta": 1.0, "roc_auc": 1.0}
    found = compare([Known(subject(1), metrics=metrics), Known(subject(2), metrics=metrics)], looked_at)
    rows = [each for each in found.rows if each.kind is Kind.METRIC]
    assert [each.name for each in rows] == ["zeta", "roc_auc", "accuracy", "abc"]
    assert [each.chosen for each in rows] == [True, True, True, False]


def test_a_checks_name_says_its_metric() -> None:
    known = {"f1": 0.5, "f1 macro": 0.4}
    assert metric_of("f1 ≥ 0.5", known) == "f1" and metric_of("f1 macro against champion", known) == "f1 macro"
    assert metric_of("f1 of yes ≥ 0.5", known) == "f1 of yes"
    assert metric_of("latency p95 ≤ 50 ms", known) == "latency p95"


def test_tags_of_mlflow_and_podium_are_noise() -> None:
    tags = {"mlflow.user": "a", "podium.run": "1", "team": "b"}
    found = compare([Known(subject(1), tags=tags), Known(subject(2))])
    assert [each.name for each in found.shown() if each.kind is Kind.TAG] == ["team"]
    assert len([each for each in found.shown(noise=True) if each.kind is Kind.TAG]) == 3
    assert all(each.differs for each in found.shown(differing=True))


def test_a_models_files_say_signature_requirements_and_size(tmp_path: Path) -> None:
    version = Version("m", 2, 0.0, digest="sha256:1")
    assert contents(version, (), (), tmp_path)["requirements"] == ""
    where = directory(tmp_path, "m", 2)
    where.mkdir(parents=True)
    (where / "MLmodel").write_text('flavors: {sklearn: {}}\nsignature:\n  inputs: \'[{"name": "a"}]\'\n')
    (where / "requirements.txt").write_text("mlflow\nscikit-learn\n")
    found = contents(version, (), (), tmp_path)
    assert found["signature"] == 'inputs: [{"name": "a"}]' and found["requirements"] == "mlflow\nscikit-learn"
    assert found["flavours"] == "sklearn" and found["size"].endswith(" B")


def test_a_link_among_a_models_files_is_not_followed(tmp_path: Path) -> None:
    where = directory(tmp_path, "m", 2)
    where.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (where / "requirements.txt").symlink_to(tmp_path / "secret")
    (where / "MLmodel").write_text("&a [*a, *a]: {")
    found = contents(Version("m", 2, 0.0), (), (), tmp_path)
    assert "secret" not in str(found) and found["signature"] == ""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "line", ["inputs: *a9", "inputs: {<<: *m9}", "inputs: !!int ''", "inputs: !!timestamp no", "x: 1"]
)
def test_a_models_file_that_nobody_would_write_is_read_as_far_as_it_goes(tmp_path: Path, line: str) -> None:
    """Lines whose parts refer to each other: written out they would be gigabytes."""
    rows = ["a0: &a0 [x]", "m0: &m0 {k: v}"]
    rows += [
        f"{a}{n}: &{a}{n} {o}{', '.join([f'*{a}{n - 1}'] * 10)}{c}"
        for n in range(1, 10)
        for a, o, c in (("a", "[", "]"), ("m", "{<<: [", "]}"))
    ]
    where = directory(tmp_path, "m", 2)
    where.mkdir(parents=True)
    (where / "requirements.txt").write_text("mlflow")
    (where / "MLmodel").write_text(
        "\n".join([*rows, "flavors: {sklearn: {}}", "signature:", f"  {line}", "  params: null"])
    )
    found = contents(Version("m", 2, 0.0), (), (), tmp_path)
    assert found["signature"] in ("", "inputs: no")
    assert (found["requirements"], found["flavours"]) == ("mlflow", "sklearn")


@pytest.mark.timeout(60)
def test_a_value_that_repeats_two_lines_thousands_of_times_is_compared_too() -> None:
    found = difference("x\n" * MOST, "x\ny\n" * (MOST // 2))
    assert [line for mark, line in found if mark != "+"] == ["x"] * MOST
    assert [line for mark, line in found if mark != "-"] == ["x", "y"] * (MOST // 2)


def test_long_values_differ_item_by_item() -> None:
    assert difference("carrier origin dest", "carrier origin distance") == [
        (" ", "carrier"),
        (" ", "origin"),
        ("-", "dest"),
        ("+", "distance"),
    ]
    assert ("+", ' "b": 2') in difference('{"a": 1}', '{"b": 2, "a": 1}')
    assert difference("a,b", "a,b") == [(" ", "a,"), (" ", "b")]
    assert len(difference("", "x " * (MOST + 50))) == MOST + 1
