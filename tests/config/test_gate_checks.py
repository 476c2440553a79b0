"""The checks of a gate that are not about a metric on its rows: what they become, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.config.loading import from_text
from podium.core.domain.gates.checks import CommandCheck, DataCheck, Limits, LoadCheck
from podium.core.domain.project import Check, Project
from podium.core.errors import ConfigError

REST = "environments: {staging: {}, production: {port: 5200, protected: true}}\n"


def loaded(check: str, data: str = "t.csv") -> Project:
    text = f"project: p\ngates: {{g: {{data: '{data}', target: y, checks: [{check}]}}}}\n{REST}"
    return from_text(text, "podium.yaml", Path("/x"), Path("/x"), {})


def check_of(text: str) -> Check:
    return loaded(text).gates["g"].checks[0]


def test_they_become_what_the_gate_reads() -> None:
    made = check_of("{run: 'python e.py $X', metrics: {profit: {at_least: 3}}, timeout: 2m, cpus: 1, memory: 1g}")
    assert made.command == CommandCheck("python e.py $X", {"profit": Limits(3.0)}, 120.0, 1.0, 1 << 30)
    made = check_of("{logged: auc, at_most: 1, compare: champion, margin: 0.1, goal: minimize}")
    assert (made.kind, made.metric, made.at_most, made.margin, made.goal) == ("logged", "auc", 1.0, 0.1, "minimize")
    made = check_of("{data: [drift, leakage], training: t.parquet, max_drift: 0.1, columns: a, time: at}")
    assert made.data == DataCheck(("drift", "leakage"), "t.parquet", columns=("a",), time="at", max_drift=0.1)
    made = check_of("{fairness: worst_group, of: recall, by: [a, b], at_least: 0.3}")
    assert (made.fairness, made.metric, made.slices, made.min_rows) == ("worst_group", "recall", ("a", "b"), 30)
    made = check_of("{load: {rate: 90/m, for: 30s, environment: staging}, p95: 50ms, errors: 1%, memory: 500MB}")
    assert made.load == LoadCheck("staging", 1.5, 30.0, p95=0.05, errors=0.01, memory=500 << 20)
    assert loaded("{data: duplicates}", "dataset:test").gates["g"].data == "dataset:test"


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("{run: x}", "metrics: is missing"),
        ("{run: x, metrics: {}}", "has no metric"),
        ("{run: x, metrics: {a: {}}}", "metrics.a: checks nothing"),
        ("{run: x, metrics: {a: {at_least: 2, at_most: 1}}}", "nothing can pass"),
        ("{run: '${{ params.x }}', metrics: {a: {at_most: 1}}}", "not filled in here"),
        ("{run: x, metric: f1}", "has both `metric` and `run`"),
        ("{logged: a}", "checks nothing"),
        ("{logged: a, at_most: 1, margin: 1}", "only means something beside `compare`"),
        ("{data: [drift, schema]}", "`drift` needs `training`"),
        ("{data: schema}", "`schema` needs `training` or `pandera`"),
        ("{data: missing}", "`missing` needs `training` or `max_missing`"),
        ("{data: leakage, time: at}", "`time`: only means something beside `training`"),
        ("{data: []}", "is an empty list"),
        ("{data: drfit, training: t.csv}", "`drfit` is not known"),
        ("{data: schema, pandera: schema.py}", "is not FILE.py:NAME"),
        ("{data: schema, pandera: '../s.py:x'}", "leads out of the project"),
        ("{data: drift, training: 'dataset: '}", "names no dataset"),
        ("{fairness: worst_group, by: a, at_least: 1}", "has no metric"),
        ("{fairness: equal_opportunity_difference, by: a}", "checks nothing"),
        ("{fairness: equal_opportunity_difference, by: a, at_most: 1, of: recall}", "beside `fairness: worst_group`"),
        ("{load: {rate: 5/s, for: 3s, environment: staging}}", "checks nothing"),
        ("{load: {rate: 5, for: 3s, environment: staging}, p95: 1s}", "is not a rate"),
        ("{load: {rate: 9000/s, for: 3s, environment: staging}, p95: 1s}", "out of range"),
        ("{load: {rate: 5000/s, for: 3m, environment: staging}, p95: 1s}", "more than 300,000 requests"),
        ("{load: {rate: 5/s, for: 3s, environment: stagin}, p95: 1s}", "unknown environment `stagin`"),
        ("{load: {rate: 5/s, for: 3s, environment: production}, p95: 1s}", "`production` is protected"),
        ("{load: {rate: 5/s, for: 3s, environment: staging}, p95: 1s, max_slowdown: 1}", "beside `compare`"),
    ],
)
def test_what_is_wrong_is_said(check: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(check)
    (problem,) = caught.value.problems
    assert message.replace("`time`: ", "") in str(problem), str(problem)


def test_the_step_has_the_same_keys() -> None:
    text = "project: p\npipelines: {p: {steps: {s: {uses: data-check, data: d.csv, checks: [drift]%s}}}}\n"
    made = from_text(text % ", training: t.csv, max_drift: 0.1", "podium.yaml", Path("/x"), Path("/x"), {})
    options = made.pipelines["p"].steps["s"].options
    assert options == {"data": "d.csv", "checks": ("drift",), "training": "t.csv", "max_drift": 0.1}
    with pytest.raises(ConfigError, match="`drift` needs `training`"):
        from_text(text % "", "podium.yaml", Path("/x"), Path("/x"), {})
