"""Fairness by slices: fairlearn's numbers on the real flights, and intervals that hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas
import pytest
from podium.core.domain.gates.checks import FAIRNESS_ROWS
from podium.core.domain.metrics import REGRESSION
from podium.core.domain.models import Version
from podium.core.domain.project import Check, Gate
from podium.core.domain.verdicts import CheckResult, Verdict
from podium.core.quality import fairness as judging
from podium.core.quality.checks import CheckInputs
from podium.core.quality.fairness import fairness
from podium.core.quality.outputs import Output
from podium.core.quality.slices import slices_by
from podium.core.quality.subjects import GateData, JudgedModel
from podium.core.quality.target.truths import truth_of

from tests.quality import flights as all_flights

PARITY, OPPORTUNITY, ODDS = (
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
)
# fairlearn 0.15.0 on `flights()` below, with groups of at least 30 rows.
FAIRLEARN = {
    ("origin", PARITY): 0.04861506123702278,
    ("origin", OPPORTUNITY): 0.062038827996274803,
    ("origin", ODDS): 0.062038827996274803,
    ("carrier", PARITY): 0.1689504592681825,
    ("carrier", OPPORTUNITY): 0.2672064777327936,
    ("carrier", ODDS): 0.2672064777327936,
    ("origin", "worst_group"): 0.8181818181818182,
    ("carrier", "worst_group"): 0.6666666666666666,
}


@pytest.fixture(scope="module")
def flights() -> pandas.DataFrame:
    """20,000 flights; the answer is that one which leaves late will arrive late."""
    columns = ["carrier", "origin", "dep_delay", "arr_delay"]
    table = all_flights.read(columns).dropna(subset="arr_delay").sample(20_000, random_state=1)
    return table.assign(truth=(table.arr_delay > 30).astype(int), label=(table.dep_delay > 20).astype(int))


def bench(table: pandas.DataFrame, *, binary: bool = True, answers: str = "label") -> CheckInputs:
    gate = Gate("g", "t", "truth", (), answers=answers if binary else "", task="" if binary else REGRESSION)
    truth, process, functions = truth_of(gate, table), cast("Any", None), cast("Any", None)
    data = GateData(table, ("truth",), truth, Path("t"), "t", (0, 0, 0), Path)
    candidate = JudgedModel(Version("m", 2, 0.0), Output.of(table["label"]), truth, gate, None, process)
    return CheckInputs(data, candidate, None, functions)


def judge(table: pandas.DataFrame, measure: str, by: str, **limits: Any) -> CheckResult:
    limits = {"min_rows": FAIRNESS_ROWS, **({} if "at_least" in limits else {"at_most": 1.0}), **limits}
    metric = "recall" if measure == "worst_group" else ""
    (found,) = fairness(Check("fairness", fairness=measure, metric=metric, slices=(by,), **limits), bench(table))
    return found


@pytest.mark.parametrize(("by", "measure"), FAIRLEARN)
def test_the_numbers_are_fairlearns(flights: pandas.DataFrame, by: str, measure: str) -> None:
    found = judge(flights, measure, by)
    assert found.value == pytest.approx(FAIRLEARN[by, measure], rel=1e-12)
    assert found.low is not None and found.high is not None and found.low <= found.value <= found.high


def test_the_numbers_are_those_of_the_fairlearn_that_is_installed(flights: pandas.DataFrame) -> None:
    metrics = pytest.importorskip("fairlearn.metrics")
    for measure in (PARITY, OPPORTUNITY, ODDS):
        expected = getattr(metrics, measure)(flights.truth, flights.label, sensitive_features=flights.origin)
        assert judge(flights, measure, "origin").value == pytest.approx(float(expected), rel=1e-12)


def test_the_whole_interval_has_to_keep_the_limit(flights: pandas.DataFrame) -> None:
    found = judge(flights, PARITY, "origin")
    assert found.low is not None and found.high is not None and 0 < found.low < found.high < 0.08
    verdicts = [judge(flights, PARITY, "origin", at_most=limit).verdict for limit in (0.08, 0.0486, 0.02)]
    assert verdicts == [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    assert "which side of the limit" in judge(flights, PARITY, "origin", at_most=0.0486).message
    worst = [judge(flights, "worst_group", "origin", at_least=limit).verdict for limit in (0.7, 0.8181, 0.9)]
    assert worst == [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    assert "between the selection rates of origin=EWR" in found.message


def test_groups_without_the_rate_or_with_too_few_rows_are_left_out(flights: pandas.DataFrame) -> None:
    table = pandas.concat([flights, pandas.DataFrame({"origin": ["new"] * 50, "truth": 0, "label": 0})])
    assert judge(table, OPPORTUNITY, "origin").value == pytest.approx(FAIRLEARN["origin", OPPORTUNITY])
    table = pandas.concat([flights, pandas.DataFrame({"origin": [None] * 50 + ["few"] * 3, "truth": 1, "label": 0})])
    found = judge(table, OPPORTUNITY, "origin")
    assert found.value is not None and found.value > 0.8 and "origin=(missing) (0.0000)" in found.message
    assert "1 of fewer than 30 rows were not judged: origin=few" in found.message


def test_what_cannot_be_judged_is_an_error(flights: pandas.DataFrame) -> None:
    for by, limits, words in (
        ("nothing", {}, "no column 'nothing'"),
        ("origin", {"min_rows": 19_000}, "0 groups of at least 19,000 rows"),
        ("arr_delay", {"min_rows": 1}, "slices are for columns with few"),
    ):
        found = judge(flights, PARITY, by, **limits)
        assert found.verdict is Verdict.ERROR and words in found.message, found.message
    check = Check("fairness", fairness=PARITY, slices=("origin",), at_most=0.1)
    (found,) = fairness(check, bench(flights, binary=False))
    assert found.verdict is Verdict.ERROR and "two classes" in found.message


@pytest.mark.timeout(60)  # with a comparison of all rows for each id it takes many minutes
def test_an_id_has_no_slices(flights: pandas.DataFrame) -> None:
    table = pandas.DataFrame({"label": 0, "truth": 0, "id": np.arange(400_000) // 2})
    found, small = slices_by(bench(table).data, "id", 30)
    assert (len(found), len(small), small[0]) == (0, 200_000, "id=0")


def test_a_group_whose_rows_are_all_alike_is_not_certain() -> None:
    table = pandas.DataFrame({"group": ["a"] * 30 + ["b"] * 30, "truth": 1, "label": [1] * 60})
    for measure, limits in ((OPPORTUNITY, {"at_most": 0.05}), ("worst_group", {"at_least": 0.99})):
        found = judge(table, measure, "group", **limits)
        assert found.verdict is Verdict.INCONCLUSIVE, found


def test_a_group_of_calibrated_answers_is_not_refused_for_its_few_rows() -> None:
    """An error that is never below 0 is not 0 on a hundred rows either: the worst of thirty groups has one of 0.15."""
    for seed in range(3):
        generator = np.random.default_rng(seed)
        chance = generator.random(3000)
        truth = (generator.random(3000) < chance).astype(int)
        table = pandas.DataFrame({"label": chance, "truth": truth, "group": np.arange(3000) % 30})
        check = Check("fairness", fairness="worst_group", metric="ece", slices=("group",), at_most=0.02, min_rows=30)
        (found,) = fairness(check, bench(table, answers="probability"))
        assert found.verdict is Verdict.INCONCLUSIVE and found.value is not None and found.value > 0.1, found
    (found,) = fairness(replace(check, metric="calibration_slope"), bench(table, answers="probability"))
    assert found.verdict is Verdict.ERROR and "best at 1: no group fares worst by it" in found.message


def test_the_interval_holds_the_true_gap_as_often_as_it_says() -> None:
    """Of 300 tables without any gap between five groups the lower bound is above 0 in at most 5 % (binomial bound at
    1 in 1,000: 27), and of 300 with a gap of 0.2 the interval holds it in at least 95 % (likewise)."""
    generator = np.random.default_rng(0)
    wrong = missed = 0
    for _ in range(300):
        sizes = np.asarray([80, 120, 200, 300, 500])
        for rates, true in ((np.full(5, 0.3), 0.0), (np.asarray([0.2, 0.3, 0.3, 0.35, 0.4]), 0.2)):
            hits = generator.binomial(sizes, rates).astype(float)
            rate = judging._Rate("selection rate", (), hits, sizes)
            low, high = judging._interval([rate], 0.95)
            if true:
                missed += not low <= true <= high
            else:
                wrong += low > 0
    assert wrong <= 27 and missed <= 27
