"""What monitors measured: kept as it was, found in its order, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.domain.monitoring import ColumnMeasurement, Histogram, Measurement, MonitorKind
from podium.core.journal import Journal
from podium.core.journal import measurements as module

NOW = 1_800_000_000.0
HOUR, DAY = 3600.0, 86_400.0
DRAWN = Histogram((0.25, 0.75), (0.5, 0.5), edges=(0.0, 1.0, 2.0))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def measured(at: float, value: float | None = 1.0, monitor: str = "m", **more: object) -> Measurement:
    return Measurement(monitor, "production", MonitorKind.DRIFT, at, value, **more)  # type: ignore[arg-type]


def test_everything_comes_back_as_it_was(journal: Journal) -> None:
    columns = (
        ColumnMeasurement("a\u202e<b>", 0.5, 0.25, 0.01, DRAWN),
        ColumnMeasurement("b", None, message="no request has it"),
    )
    full = measured(
        NOW + 0.123, 0.5, start=NOW - 1, end=NOW, rows=9, low=0.0, high=1.0, critical=0.25, p_value=0.02, baseline=0.1,
        version=3, columns=columns, warnings=("few rows",), message="a is the farthest",
    )  # fmt: skip
    journal.measurements.add(full)
    assert journal.measurements.latest("m") == full
    assert journal.measurements.latest("other") is None


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20))
def test_any_number_and_any_name_can_be_kept(value: float, name: str) -> None:
    found = module.read(module.written(measured(NOW, value, columns=(ColumnMeasurement(name, 1.0),))))
    assert found.value == pytest.approx(value, rel=1e-7) and found.columns[0].column == name


def test_the_latest_is_what_was_stored_last_whatever_the_clock_said(journal: Journal) -> None:
    journal.measurements.add(measured(NOW + DAY / 2, 1.0))
    journal.measurements.add(measured(NOW, 2.0))
    assert journal.measurements.latest("m").value == 2.0  # type: ignore[union-attr]
    assert journal.measurements.latest_time("m") == NOW


def test_a_series_is_in_order_and_what_came_after_an_id_is_found_once(journal: Journal) -> None:
    ids = [journal.measurements.add(measured(NOW + n, float(n), "a" if n % 2 else "m")) for n in range(6)]
    assert [each.value for each in journal.measurements.series("m", NOW, NOW + 3)] == [0.0, 2.0]
    assert [(number, each.monitor) for number, each in journal.measurements.after(ids[3])] == [
        (ids[4], "m"),
        (ids[5], "a"),
    ]
    assert journal.measurements.newest_id() == ids[-1]
    assert journal.measurements.newest("m", up_to=ids[3])[0] == ids[2]  # type: ignore[index]


def test_only_the_newest_have_histograms(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_HISTOGRAMS", 3)
    for n in range(5):
        journal.measurements.add(measured(NOW + n, columns=(ColumnMeasurement("a", 0.5, histogram=DRAWN),)))
    found = journal.measurements.series("m", 0, NOW + 9, columns=True)
    assert [each.columns[0].histogram is not None for each in found] == [False, False, True, True, True]
    assert all(each.columns[0].value == 0.5 for each in found)


def test_after_a_week_the_last_of_each_hour_stays(journal: Journal) -> None:
    hour = (NOW // HOUR) * HOUR
    old = [hour - 8 * DAY + minute * 60 for minute in (0, 20, 40, 61, 130)]
    young = [hour - 6 * DAY + minute * 60 for minute in (0, 20, 40)]
    for at in (*old, *young, hour + 2 * DAY):
        journal.measurements.add(measured(at))
    journal.measurements.add(measured(old[0], monitor="other"))
    journal.measurements.thin_out(NOW)
    assert [each.at for each in journal.measurements.series("m", 0, NOW + 9 * DAY)] == [*old[2:], *young]
    assert len(journal.measurements.series("other", 0, NOW)) == 1
    assert journal.measurements.thin_out(NOW) == 0
