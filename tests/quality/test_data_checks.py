"""`data:` checks, on the real flights of 2013 and on tables that are broken on purpose."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
from podium.core.domain.gates.checks import DataCheck
from podium.core.domain.verdicts import CheckResult, Verdict
from podium.core.quality.data_checks import judge as judging
from podium.core.quality.data_checks import profile as profiling
from podium.core.quality.data_checks.drift import psi
from podium.core.quality.data_checks.hashing import HashSample, row_hashes
from podium.core.quality.data_checks.profile import profile
from podium.core.quality.metrics import Unmeasurable
from podium.core.quality.outside.datasets import NoChampion

from tests.quality import flights as all_flights

TRAINING = "train.parquet"


@pytest.fixture(scope="module")
def flights() -> pandas.DataFrame:
    """30,000 flights in the order of time."""
    columns = ["month", "day", "hour", "dep_delay", "carrier", "origin", "dest", "distance", "time_hour", "arr_delay"]
    table = all_flights.read(columns).dropna(subset="arr_delay").sample(30_000, random_state=1)
    table["time_hour"] = pandas.to_datetime(table["time_hour"])
    table = table.assign(late=(table["arr_delay"] > 30).astype(int)).drop(columns="arr_delay")
    return table.sort_values("time_hour", ignore_index=True)


def judge(
    root: Path,
    test: pandas.DataFrame,
    training: pandas.DataFrame | None,
    *kinds: str,
    target: str = "",
    **limits: object,
) -> dict[str, CheckResult]:
    """By name, without the first word."""
    if training is not None:
        training.to_parquet(root / TRAINING)
        limits["training"] = TRAINING
    spec = DataCheck(kinds, **limits)  # type: ignore[arg-type]
    found = judging.judge(spec, test, target=target, shown="test.parquet", locate=root.joinpath)
    return {each.name.removeprefix("data "): each for each in found}


def verdicts(found: dict[str, CheckResult]) -> dict[str, str]:
    return {name: str(each.verdict) for name, each in found.items()}


def test_the_flights_of_another_week_are_as_those_before(flights: pandas.DataFrame, tmp_path: Path) -> None:
    shuffled = flights.sample(frac=1.0, random_state=3).drop(columns="time_hour")
    training, test = shuffled[:25_000], shuffled[25_000:]
    kinds = ("schema", "missing", "ranges", "categories", "leakage", "drift")
    found = judge(tmp_path, test, training, *kinds, target="late", columns=tuple(c for c in test if c != "dep_delay"))
    assert set(verdicts(found).values()) == {"pass"}, found


def test_a_delay_at_departure_tells_of_one_at_arrival_but_not_all(flights: pandas.DataFrame, tmp_path: Path) -> None:
    found = judge(tmp_path, flights[25_000:], None, "leakage", target="late")["leakage: one feature"]
    assert found.verdict is Verdict.PASS and "dep_delay, predicts late with AUC 0.9" in found.message
    told = flights[25_000:].assign(cause=lambda table: np.where(table["late"] == 1, "late aircraft", "none"))
    found = judge(tmp_path, told, None, "leakage", target="late")["leakage: one feature"]
    assert found.verdict is Verdict.FAIL and "cause 1.0000" in found.message
    assert found.value is not None and found.value >= 0.99 == found.limit


def test_december_is_not_like_the_year_before_it(flights: pandas.DataFrame, tmp_path: Path) -> None:
    before, after = flights[flights["month"] < 9], flights[flights["month"] == 12]
    found = judge(tmp_path, after, before, "drift", "leakage", target="late", time="time_hour")
    assert found["drift"].verdict is Verdict.FAIL and "month" in found["drift"].message
    assert found["leakage: time"].verdict is Verdict.PASS and "0 rows" in found["leakage: time"].message
    mixed = pandas.concat([after, before[-5:]])
    found = judge(tmp_path, mixed, before, "leakage", target="late", time="time_hour")
    assert found["leakage: time"].verdict is Verdict.FAIL and "5 rows" in found["leakage: time"].message
    assert found["leakage: shared rows"].verdict is Verdict.FAIL


def test_rows_of_the_training_data_are_found_whatever_the_format(flights: pandas.DataFrame, tmp_path: Path) -> None:
    training, test = flights[:20_000], pandas.concat([flights[20_000:21_000], flights[:100]])
    test.to_csv(tmp_path / "test.csv", index=False)
    again = pandas.read_csv(tmp_path / "test.csv").astype({"distance": "float32"})
    found = judge(tmp_path, again, training, "leakage", target="late", max_shared=0.0)["leakage: shared rows"]
    assert found.verdict is Verdict.FAIL and found.value == pytest.approx(100 / 1100)
    assert "100 rows (9.09%) of test.parquet are in train.parquet, by 10 common columns" in found.message


def test_equal_rows_of_few_columns_are_no_leak(flights: pandas.DataFrame, tmp_path: Path) -> None:
    few = flights[["carrier", "origin", "late"]]
    found = judge(tmp_path, few[20_000:], few[:20_000], "leakage", target="late")["leakage: shared rows"]
    assert found.verdict is Verdict.PASS and "may be chance" in found.message
    assert found.value is not None and found.value > 0.99


def frame(count: int = 400, seed: int = 0) -> pandas.DataFrame:
    generator = np.random.default_rng(seed)
    made = pandas.DataFrame({"x": generator.normal(size=count), "ok": generator.random(count) < 0.5})
    return made.assign(word=generator.choice(["a", "b"], count), day=pandas.date_range("2026-01-01", periods=count))


def test_each_kind_finds_its_own(tmp_path: Path) -> None:
    training = frame()
    test = frame(200, seed=1).assign(day=training["day"][:200])
    assert set(verdicts(judge(tmp_path, test, training, "schema", "missing", "ranges", "categories")).values()) == {
        "pass"
    }
    broken = test.assign(
        x=test["x"].where(test.index > 20, np.inf).where(test.index < 150), word=["new\x1b[31m"] * 10 + ["a"] * 190
    )
    found = judge(tmp_path, pandas.concat([broken, broken[:4]]), training, *judging._JUDGES)
    assert verdicts(found) == {
        "schema": "pass",
        "missing": "fail",
        "ranges": "fail",
        "categories": "fail",
        "duplicates": "fail",
        "leakage: shared rows": "pass",
        "drift": "fail",
    }
    assert "x 24.51% instead of 0.00%" in found["missing"].message
    assert "inf instead of" in found["ranges"].message
    assert "word 6.86% (new" in found["categories"].message and "\x1b" not in found["categories"].message
    assert "4 rows (1.96%)" in found["duplicates"].message
    assert all(each.rows == 204 for each in found.values())


def test_a_limit_that_is_said_counts(tmp_path: Path) -> None:
    test = frame(100).assign(x=lambda table: table["x"].where(table.index >= 5))
    assert judge(tmp_path, test, None, "missing", max_missing=0.05)["missing"].verdict is Verdict.PASS
    assert judge(tmp_path, test, None, "missing", max_missing=0.04)["missing"].verdict is Verdict.FAIL
    with pytest.raises(Unmeasurable, match="no column 'z'"):
        judging.Rows(test, "", "t", tmp_path.joinpath, DataCheck(("missing",), columns=("z",))).columns()
    found = judge(tmp_path, test, None, "missing", columns=("z",), max_missing=0.0)["missing"]
    assert found.verdict is Verdict.ERROR and "no column 'z'" in found.message


def test_a_schema_is_that_of_the_training_data(tmp_path: Path) -> None:
    training = frame()
    test = training.drop(columns="ok").assign(x="text", new=1)
    found = judge(tmp_path, test, training, "schema")["schema"]
    assert found.verdict is Verdict.FAIL
    assert "x holds text instead of numbers" in found.message and "ok is missing" in found.message
    assert "new and not looked at: new" in judge(tmp_path, training.assign(new=1), training, "schema")["schema"].message
    test = training.assign(x=np.nan, day=training["day"].dt.date)
    assert judge(tmp_path, test, training, "schema")["schema"].verdict is Verdict.PASS


@pytest.mark.parametrize("there", [True, False])
def test_a_column_that_the_training_data_does_not_have_is_named(tmp_path: Path, there: bool) -> None:
    test = frame().assign(**{"new": 1} if there else {})
    found = judge(tmp_path, test, frame(), "schema", columns=("x", "new"))["schema"]
    assert found.verdict is Verdict.ERROR and "train.parquet has no column 'new'" in found.message


def test_a_target_of_free_text_is_not_taken_for_thousands_of_classes(tmp_path: Path) -> None:
    from podium.core.quality.data_checks.leakage import _truth

    told = np.random.default_rng(0).random(1000) < 0.3
    words = pandas.Series([f"answer {place}" for place in range(1000)]).where(~told, "no")
    codes, classes = _truth(words)
    assert classes == 2 and codes.tolist() == (~told).astype(int).tolist(), "what is frequent, and all others"
    test = pandas.DataFrame({"x": told.astype(int), "answer": words})
    found = judge(tmp_path, test, None, "leakage", target="answer")["leakage: one feature"]
    assert found.verdict is Verdict.FAIL and "x 1.0000" in found.message
    found = judge(tmp_path, test[~told], None, "leakage", target="answer")["leakage: one feature"]
    assert found.verdict is Verdict.PASS and "no values that are frequent enough" in found.message


def test_too_few_rows_cannot_tell_drift_from_chance(tmp_path: Path) -> None:
    training, test = frame(2000)[["x"]], frame(8, seed=5)[["x"]]
    found = judge(tmp_path, test, training, "drift")["drift"]
    assert found.value is not None and found.value > 0.25
    assert found.verdict is Verdict.INCONCLUSIVE and "cannot tell from chance" in found.message


def test_the_index_is_that_of_the_textbook() -> None:
    p, q = np.asarray([0.2, 0.5, 0.3]), np.asarray([0.25, 0.35, 0.4])
    assert psi(p * 1000, q * 400) == pytest.approx(float(((q - p) * np.log(q / p)).sum()), rel=1e-12)
    assert psi(np.asarray([5, 5]), np.asarray([50, 50])) == 0


@pytest.mark.parametrize("rows", [0, 1])
def test_almost_nothing_is_judged_without_a_crash(tmp_path: Path, rows: int) -> None:
    test = frame(5)[:rows].assign(late=1)
    found = judge(tmp_path, test, frame().assign(late=0), *judging._JUDGES, target="late", time="day")
    assert found["leakage: one feature"].verdict is Verdict.INCONCLUSIVE
    assert not [each for each in found.values() if "Error" in each.message], found


def test_strange_columns_are_judged_without_a_crash(tmp_path: Path) -> None:
    made = pandas.DataFrame(
        {
            "gaps": [None] * 60,
            "same": [7] * 60,
            "lists": [[1, 2]] * 60,
            "mixed": [1, "a"] * 30,
            "2013 ü\x1b[0m": range(60),
            "large": [2**53 + each for each in range(60)],
            "late": [0, 1] * 30,
        }
    )
    made.drop(columns="mixed").to_parquet(tmp_path / TRAINING)
    limits = {"max_missing": 1.0, "training": TRAINING}
    spec = DataCheck(tuple(judging._JUDGES), **limits)  # type: ignore[arg-type]
    found = judging.judge(spec, made, target="late", shown="t", locate=tmp_path.joinpath)
    words = "\n".join(each.message for each in found)
    assert "Error" not in words and "\x1b" not in words, words
    assert {each.name for each in found} >= {"data duplicates", "data leakage: one feature"}


def test_rows_that_differ_only_in_the_last_digit_of_a_large_number_differ() -> None:
    whole = pandas.DataFrame({"id": [2**60, 2**60 + 1, 2**60]})
    hashes = row_hashes(whole, ["id"])
    assert hashes[0] == hashes[2] != hashes[1]
    same = [pandas.Series([1, 2], dtype=kind) for kind in ("int8", "int64", "float32", "float64", "Int32")]
    assert len({tuple(row_hashes(pandas.DataFrame({"id": each}), ["id"])) for each in same}) == 1
    thirds = [pandas.Series([1 / 3], dtype=kind) for kind in ("float32", "float64")]
    assert len({tuple(row_hashes(pandas.DataFrame({"x": each}), ["x"])) for each in thirds}) == 1
    zeros = pandas.DataFrame({"x": [0.0, -0.0, np.nan, -np.nan]})
    assert len(set(row_hashes(zeros, ["x"]))) == 2
    words = pandas.DataFrame({"w": pandas.Categorical(["a", "b"])})
    assert list(row_hashes(words, ["w"])) == list(row_hashes(words.astype(str), ["w"]))
    assert row_hashes(pandas.DataFrame({"w": ["", None]}), ["w"])[0] != row_hashes(words, ["w"])[0]


def test_a_sample_of_hashes_keeps_its_share_of_twins() -> None:
    generator = np.random.default_rng(0)
    once, twice = (generator.integers(0, 2**63, 20_000, dtype=np.uint64) for _ in range(2))
    small, whole = HashSample(most=3000), HashSample()
    for each in (small, whole):
        for part in np.array_split(generator.permutation(np.concatenate([once, twice, twice])), 7):
            each.add(part)
    assert whole.twins() == (40_000, 60_000)
    twins, kept = small.twins()
    assert 1000 < kept <= 3000 and twins / kept == pytest.approx(2 / 3, abs=0.05)


def test_a_table_is_profiled_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from podium.core.quality import tables

    made = frame(1000).assign(word=[None, "a"] * 500)
    made.to_csv(tmp_path / "t.csv", index=False)
    whole = profile(tmp_path / "t.csv", "t.csv", made, made.columns)
    monkeypatch.setattr(tables, "BATCH_ROWS", 64)
    monkeypatch.setattr(profiling, "SAMPLE_ROWS", 30)
    parts = profile(tmp_path / "t.csv", "t.csv", made, made.columns)
    assert replace(parts, sample=None) == replace(whole, sample=None)
    assert (parts.rows, len(parts.sample), parts.shared) == (1000, 30, 1000)
    assert set(parts.sample.columns) == set(made.columns)


def test_without_a_champion_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    def locate(_: str) -> Path:
        raise NoChampion("there is no champion yet")

    spec = DataCheck(tuple(judging._JUDGES), training="dataset:train@champion", time="day")
    found = judging.judge(spec, frame(), target="ok", shown="t", locate=locate)
    assert [each.verdict for each in found] == [Verdict.PASS] * 3, found
    assert [each.name for each in found] == ["data training", "data duplicates", "data leakage: one feature"]
    with pytest.raises(Unmeasurable, match="does not exist"):
        judging.judge(replace(spec, training="gone.csv"), frame(), target="", shown="t", locate=tmp_path.joinpath)


@pytest.mark.parametrize("days", ["numbers", "times", "words"])
def test_rows_that_are_later_as_they_should_be_are_not_out_of_range(tmp_path: Path, days: str) -> None:
    early, late = range(len(frame())), range(100_000, 100_000 + len(frame()))
    made = {"numbers": list, "times": pandas.to_datetime, "words": lambda each: [f"{day:06d}" for day in each]}[days]
    before, after = (frame().assign(day=made(each)) for each in (early, late))
    found = judge(tmp_path, after, before, "ranges", "categories", "drift", time="day")
    assert {name: each.verdict for name, each in found.items()} == dict.fromkeys(found, Verdict.PASS), found
    plain = judge(tmp_path, after, before, "ranges", "categories", "drift")
    assert {each.verdict for each in plain.values()} > {Verdict.PASS} and len(plain) == len(found) == 3


def test_times_of_two_kinds_are_not_compared(tmp_path: Path) -> None:
    training = frame()
    for day, words in (("2026-01-01", "are text"), (1.5, "holds numbers here and times in train.parquet")):
        found = judge(tmp_path, training.assign(day=day), training, "leakage", time="day")["leakage"]
        assert found.verdict is Verdict.ERROR and words in found.message
    dates = training.assign(day=[datetime.date(2020, 1, 1)] * len(training))
    assert judge(tmp_path, dates, training, "leakage", time="day")["leakage: time"].value == 1.0


def test_a_pandera_schema_says_all_that_is_wrong(tmp_path: Path) -> None:
    pytest.importorskip("pandera")
    (tmp_path / "schemas.py").write_text(
        """
import pandera.pandas as pa

flights = pa.DataFrameSchema({"x": pa.Column(float, pa.Check.gt(-100)), "word": pa.Column(str, pa.Check.isin(["a"]))})

class Model(pa.DataFrameModel):
    x: float = pa.Field(gt=100)
    missing: int

number = 3
"""
    )
    found = judge(tmp_path, frame(), None, "schema", pandera="schemas.py:flights")["schema"]
    assert found.verdict is Verdict.FAIL and "word isin(['a'])" in found.message
    found = judge(tmp_path, frame().assign(word="a"), None, "schema", pandera="schemas.py:flights")["schema"]
    assert found.verdict is Verdict.PASS
    found = judge(tmp_path, frame(), None, "schema", pandera="schemas.py:Model")["schema"]
    assert "greater_than(100)" in found.message and "missing" in found.message
    for place, words in {"gone.py:x": "does not exist", "schemas.py:number": "has no schema 'number'"}.items():
        found = judge(tmp_path, frame(), None, "schema", pandera=place)["schema"]
        assert found.verdict is Verdict.ERROR and words in found.message


def test_a_schema_file_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    from podium.core.quality.data_checks import schema

    rows = judging.Rows(frame(), "", "t", tmp_path.joinpath, DataCheck(("schema",)))
    for text, words in {
        "raise SystemExit(3)": "SystemExit: 3",
        "1/0": "ZeroDivisionError",
        "x = 1": "has no schema",
    }.items():
        (tmp_path / "s.py").write_text(text)
        with pytest.raises(Unmeasurable, match=words):
            schema._named(rows, "s.py:flights")
