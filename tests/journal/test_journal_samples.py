"""Samples: means stay means through every fold, and their number stays bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podium.core.domain.watching import Sample
from podium.core.journal import Journal
from podium.core.journal import samples as module

from tests.runner.turns import examples

NOW = 1_800_000_000.0
Q = "production"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def test_a_series_is_even_and_says_where_nothing_was_measured(journal: Journal) -> None:
    journal.samples.add(
        [Sample(Q, "cpu", NOW + n, float(n)) for n in (0, 1, 3)]
        + [Sample(Q, "cpu", NOW + 3.7, 5.0), Sample("other", "cpu", NOW, 99.0)]
    )
    series = journal.samples.series(Q, "cpu", start=NOW, end=NOW + 4, points=60)
    assert (series.start, series.step) == (NOW, 1.0)
    assert series.values == (0.0, 1.0, None, 4.0, None)
    assert journal.samples.series(Q, "nothing", start=NOW, end=NOW + 4, points=3).values == (None, None, None)


def test_what_is_no_number_was_not_measured(journal: Journal) -> None:
    journal.samples.add([Sample(Q, "cpu", NOW, math.nan), Sample(Q, "cpu", NOW, math.inf), Sample(Q, "cpu", NOW, 2.0)])
    assert journal.samples.series(Q, "cpu", start=NOW, end=NOW, points=1).values == (2.0,)


def test_a_picture_that_moves_on_keeps_what_it_showed(journal: Journal) -> None:
    journal.samples.add(Sample(Q, "cpu", NOW - n, float(n % 7)) for n in range(1000))
    first = journal.samples.series(Q, "cpu", start=NOW - 900, end=NOW, points=100)
    later = journal.samples.series(Q, "cpu", start=NOW - 900 + first.step, end=NOW + first.step, points=100)
    assert first.step == later.step and first.values[1:-1] == later.values[:-2]


def test_old_samples_become_coarse_and_then_go(journal: Journal) -> None:
    ages = {"fresh": 100, "hours": 3 * 3600, "days": 3 * 86_400, "gone": 400 * 86_400}
    for signal, age in ages.items():
        journal.samples.add(Sample(Q, signal, NOW - age + n, float(n)) for n in range(60))
    before = journal.samples.rows()
    journal.samples.compact(NOW)
    journal.samples.compact(NOW)
    assert (before, journal.samples.rows()) == (240, 60 + 6 + 1)
    for signal in ("fresh", "hours", "days"):
        start = NOW - ages[signal]
        values = journal.samples.series(Q, signal, start=start - 60, end=start + 120, points=1000).values
        known = [value for value in values if value is not None]
        assert known and min(known) >= 0 and max(known) <= 59
    assert set(journal.samples.series(Q, "gone", start=NOW - 401 * 86_400, end=NOW, points=50).values) == {None}


def test_a_year_is_kept_in_steps(journal: Journal) -> None:
    days = {"weeks": (30, 6), "months": (200, 1)}
    for signal, (age, _) in days.items():
        start = (NOW - age * 86_400) // 3600 * 3600
        journal.samples.add(Sample(Q, signal, start + n * 60, float(n)) for n in range(60))
    journal.samples.compact(NOW)
    assert journal.samples.rows() == sum(rows for _, rows in days.values())
    for signal, (age, _) in days.items():
        start = (NOW - age * 86_400) // 3600 * 3600
        values = journal.samples.series(Q, signal, start=start, end=start + 7199, points=2).values
        assert values == (29.5, None)


@pytest.mark.parametrize(("keep", "rows"), [(60.0, 60), (1800.0, 120), (7200.0, 126), (400 * 86_400.0, 127)])
def test_what_is_kept_for_a_shorter_time_goes_earlier(journal: Journal, keep: float, rows: int) -> None:
    for age in (60, 1000, 3700, 90_000):
        journal.samples.add(Sample(Q, "cpu", NOW // 60 * 60 - age + n, 1.0) for n in range(60))
    journal.samples.compact(NOW // 60 * 60, 400 * 86_400.0)
    journal.samples.compact(NOW // 60 * 60, keep)
    assert journal.samples.rows() == rows


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    values=st.lists(st.tuples(st.integers(0, 5000), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    shift=st.integers(0, 30 * 86_400),
    points=st.integers(1, 300),
)
def test_folding_keeps_number_and_sum_and_a_series_stays_between_its_extremes(
    journal: Journal, values: list[tuple[int, float]], shift: int, points: int
) -> None:
    database = journal._database
    database.run("DELETE FROM samples")
    journal.samples.add(Sample(Q, "s", NOW + at, value) for at, value in values)
    journal.samples.compact(NOW + shift)
    number, total = database.one("SELECT sum(number), sum(total) FROM samples") or (0, 0.0)
    if shift <= 13 * 86_400:
        assert number == len(values) and total == pytest.approx(sum(value for _, value in values), rel=1e-9, abs=1e-3)
        series = journal.samples.series(Q, "s", start=NOW - 60, end=NOW + 5060, points=points)
        assert 1 <= len(series.values) <= points
        known = [value for value in series.values if value is not None]
        low, high = min(value for _, value in values), max(value for _, value in values)
        assert all(low - 1e-3 <= value <= high + 1e-3 for value in known)


def test_the_number_of_rows_is_bounded_whatever_comes(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 500)
    for name in range(5):
        journal.samples.add(Sample(f"e{name}", "cpu", NOW - n, 1.0) for n in range(300))
    journal.samples.compact(NOW)
    assert journal.samples.rows() == 500
    assert journal.samples.series("e1", "cpu", start=NOW - 50, end=NOW, points=51).values == (1.0,) * 51


def test_two_weeks_at_1_hz_fit_into_the_stated_bound(journal: Journal) -> None:
    bound = 3600 + 8280 + 18_720
    # As the agent does it, but in steps of two hours; compaction runs all the time.
    start = NOW - 15 * 86_400
    two_weeks = 14 * 86_400.0
    for hour in range(0, 15 * 24, 2):
        journal.samples.add(Sample(Q, "cpu", start + hour * 3600 + n, 1.0) for n in range(0, 7200, 5))
        journal.samples.compact(start + (hour + 2) * 3600, two_weeks)
    assert 20_000 < journal.samples.rows() <= bound + 20


def test_a_clock_that_was_set_wrong_leaves_nothing_for_ever(journal: Journal) -> None:
    journal.samples.add([Sample(Q, "cpu", NOW + 10 * 86_400, 1.0), Sample(Q, "cpu", -5.0, 1.0)])
    journal.samples.compact(NOW)
    assert journal.samples.rows() == 0


def test_many_samples_cost_few_statements_and_compaction_lets_others_write(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMPACTED_AT_ONCE", 100)
    said: list[str] = []
    many = [Sample(f"e{number}", "cpu", NOW, 0.5) for number in range(250)]
    journal.samples.add(many)
    raw = journal._database.connection
    raw.set_trace_callback(said.append)
    journal.samples.add([*many, Sample("e1", "memory", NOW, 7.0)])
    assert len([each for each in said if "sample" in each]) == 4, "two for each 200"
    assert len([each for each in said if each.startswith("COMMIT")]) == 2, "others write in between"
    said.clear()
    journal.samples.compact(NOW + 1.0)
    raw.set_trace_callback(None)
    assert len([each for each in said if each.startswith("COMMIT")]) == 4
    assert journal.samples.rows() == 251
    assert journal.samples.series("e1", "memory", start=NOW, end=NOW, points=1).values == (7.0,)
