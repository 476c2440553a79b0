"""What a gate says of its model and its metrics has to fit together; each problem with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.config.loading import from_text
from podium.core.config.presence import missing
from podium.core.domain.project import Series
from podium.core.errors import ConfigError

METRIC = "checks: [{metric: accuracy, at_least: 0}]"


def load(gate: str, home: Path, more: str = ""):  # type: ignore[no-untyped-def]
    return from_text(f"project: p\n{more}gates: {{g: {{data: d.csv, {gate}}}}}\n", "podium.yaml", home, home, {})


@pytest.mark.parametrize(
    ("gate", "key", "words"),
    [
        ("target: [a, b], task: binary, " + METRIC, "target", "several columns are several labels"),
        ("target: a, task: multilabel, " + METRIC, "target", "has one column"),
        ("target: [], " + METRIC, "target", "empty list"),
        ("target: a, classes: [x, x], " + METRIC, "classes", "has a class twice"),
        ("target: a, classes: [1, '1'], " + METRIC, "classes", "has a class twice"),
        ("target: a, classes: [x], " + METRIC, "classes", ""),
        ("target: a, task: binary, classes: [x, y, z], " + METRIC, "classes", "3 classes"),
        ("target: a, task: binar, " + METRIC, "task", "did you mean `binary`"),
        (
            "target: a, task: text, classes: [x, y], checks: [{metric: token_f1, at_least: 0}]",
            "classes",
            "about classes",
        ),
        (
            "target: a, task: regression, answers: label, checks: [{metric: mae, at_most: 1}]",
            "answers",
            "about classes",
        ),
        ("target: a, task: ranking, checks: [{metric: ndcg, at_least: 0}]", "", "query by query"),
        ("target: a, checks: [{metric: map, at_least: 0}]", "checks[0].metric", "query by query"),
        ("target: a, group: q, series: {by: q}, checks: [{metric: mae, at_most: 1}]", "group", "belong together"),
        ("target: a, series: {season: 7}, checks: [{metric: mae, at_most: 1}]", "series.season", "beside `history`"),
        ("target: a, checks: [{metric: mase, at_most: 1}]", "checks[0].metric", "naive forecast"),
        ("target: a, checks: [{metric: mae, horizon: 7, at_most: 1}]", "checks[0].horizon", "look so far ahead"),
        ("target: a, checks: [{metric: pinball, at_most: 1}]", "checks[0].metric", "loss of a quantile"),
        ("target: a, checks: [{metric: mae, quantile: 0.9, at_most: 1}]", "checks[0].quantile", "beside `mae`"),
        ("target: a, checks: [{metric: mae, average: macro, at_most: 1}]", "checks[0].average", "beside `mae`"),
        ("target: a, checks: [{metric: f1, average: macro, class: x, at_least: 0}]", "checks[0].class", "keep one"),
        ("target: a, task: multiclass, checks: [{metric: f1, at_least: 0}]", "checks[0].metric", "average"),
        ("target: a, task: text, checks: [{metric: f1, at_least: 0}]", "checks[0].metric", "on the task text"),
        (
            "target: a, checks: [{metric: calibration_slope, goal: maximize, at_least: 0}]",
            "checks[0].goal",
            "best at 1",
        ),
        ("target: a, checks: [{metric: smape, at_least: 3}]", "checks[0].at_least", "never above 2"),
        ("target: a, checks: [{metric: 'metrics.py:profit', at_least: 0}]", "checks[0].metric", "whether more"),
        ("target: a, checks: [{metric: 'm.py:f', goal: maximize, k: 3, at_least: 0}]", "checks[0].k", "of your own"),
        ("target: a, checks: [{metric: '../m.py:f', goal: maximize, at_least: 0}]", "checks[0].metric", "leads out"),
        ("target: a, checks: [{metric: 'm:f', goal: maximize, at_least: 0}]", "checks[0].metric", "metrics.py:profit"),
        (
            "target: a, checks: [{metric: 'm.py:f()', goal: maximize, at_least: 0}]",
            "checks[0].metric",
            "metrics.py:profit",
        ),
        ("target: a, checks: [{metric: mae, margin: 1, at_most: 1}]", "checks[0].margin", "beside `compare`"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, gate: str, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(gate, tmp_path)
    problems = {problem.key: f"{problem.message} {problem.hint}" for problem in caught.value.problems}
    where = f"gates.g.{key}".rstrip(".")
    assert where in problems and words in problems[where], problems


def test_the_keys_of_a_gate_are_read(tmp_path: Path) -> None:
    series = "series: {by: shop, time: day, horizon: ahead, history: h.csv, season: 7}"
    gate = load(f"target: a, {series}, checks: [{{metric: mase, horizon: 7, at_most: 1}}]", tmp_path).gates["g"]
    assert (gate.target, gate.targets, gate.series) == ("a", (), Series("shop", "day", "ahead", "h.csv", 7))
    assert (gate.checks[0].horizon, gate.checks[0].goal) == (7, "minimize")
    gate = load(
        "target: [a, b], prediction: [p, q], checks: [{metric: f1, average: macro, at_least: 0}]", tmp_path
    ).gates["g"]
    assert (gate.target, gate.targets, gate.prediction) == ("a", ("a", "b"), ("p", "q"))
    gate = load("target: a, classes: [1, two, 'true'], checks: [{metric: f1, class: 1, at_least: 0}]", tmp_path).gates[
        "g"
    ]
    assert gate.classes == (1, "two", "true") and gate.checks[0].of_class == 1


def test_files_that_a_gate_reads_and_nothing_writes_are_named(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a\n1\n")
    pipeline = "pipelines: {p: {steps: {s: {uses: gate, gate: g, version: 1}}}}\n"
    checks = "checks: [{metric: mase, at_most: 1}, {metric: 'metrics.py:profit', goal: maximize, at_least: 0}]"
    project = load(f"target: a, series: {{history: h.csv}}, {checks}", tmp_path, pipeline)
    assert [problem.message.split(",")[0] for problem in missing(project)] == ["`h.csv`", "`metrics.py`"]
