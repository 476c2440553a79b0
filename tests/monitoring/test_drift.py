"""Monitors that read rows, on captured requests as replicas write them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from podium.core.domain.monitoring import Measurement
from podium.core.domain.monitors.thresholds import rate_words
from podium.core.domain.project import Project
from podium.core.errors import Interrupted, PodiumError
from podium.core.journal import Journal
from podium.core.labels.store import LabelStore
from podium.core.monitoring import apart, data, data_age, drift, nulls
from podium.core.monitoring.moment import Moment, measured
from podium.core.monitoring.rates import chance
from podium.core.monitoring.statistics import resampling

from .conftest import Write

Row = Mapping[str, Any]
DRIFT = "environment: production, drift: {}, reference: {}"


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "RESAMPLES", 400)
    real = resampling.null
    monkeypatch.setattr(resampling, "null", lambda *given, **more: real(*given, **{"resamples": 400, **more}))


def monitors(text: str, alert: str = "") -> str:
    alerts = f"alerts: {{a: {{monitor: m, {alert}}}}}\n" if alert else ""
    return f"monitors: {{m: {{{text}}}}}\n{alerts}"


def capture(
    home: Path,
    rows: Sequence[Row],
    *,
    version: int = 3,
    ago: float = 10.0,
    answers: Sequence[Any] = (),
    together: int = 1,
) -> None:
    """Writes requests as a replica captures them, `together` rows each, a millisecond apart, the last one `ago` seconds
    ago."""
    directory = home / ".podium" / "environments" / "production" / "capture"
    directory.mkdir(parents=True, exist_ok=True)
    end = time.time() - ago
    with (directory / f"capture-{version}.jsonl").open("a") as file:
        for place in range(0, len(rows), together):
            asked = list(rows[place : place + together])
            record = {
                "at": end - (len(rows) - place) * 1e-3,
                "request_id": f"r{version}-{end}-{place}",
                "version": str(version),
                "status": 200,
                "seconds": 0.001,
                "content_type": "application/json",
                "input": json.dumps({"dataframe_records": asked}),
                "output": json.dumps(
                    {"predictions": list(answers[place : place + together]) if answers else [0.5] * len(asked)}
                ),
            }
            file.write(json.dumps(record) + "\n")


def rows(number: int, shift: float = 0.0, seed: int = 1) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [
        {"hour": round(float(rng.normal(shift, 1)), 3), "origin": str(rng.choice(["JFK", "LGA", "EWR"]))}
        for _ in range(number)
    ]


def train(home: Path, number: int = 1000, name: str = "train.csv") -> pd.DataFrame:
    table = pd.DataFrame(rows(number, seed=2))
    table.to_csv(home / name, index=False) if name.endswith("csv") else table.to_parquet(home / name)
    return table


def measure(project: Project, journal: Journal, kind: Callable[[Moment], Measurement] = drift.measure) -> Measurement:
    return measured(Moment(project, journal, project.monitors["m"]), kind)


@pytest.mark.parametrize("name", ["train.csv", "train.parquet"])
def test_a_shift_is_beyond_what_the_reference_shows_by_chance_and_the_same_rows_are_not(
    write: Write, journal: Journal, tmp_path: Path, name: str
) -> None:
    train(tmp_path, name=name)
    project = write(monitors(DRIFT.format("psi", name), "false_alarms: 1/month"))
    capture(tmp_path, rows(300))
    calm = measure(project, journal)
    assert calm.value is not None and calm.critical is not None and calm.value < calm.critical, calm
    assert (calm.rows, calm.version) == (300, 3) and calm.warnings == ("300 of 1,000 rows so far",)
    capture(tmp_path, rows(700, shift=0.8, seed=3), ago=1.0)
    wild = measure(project, journal)
    assert wild.value is not None and wild.critical is not None and wild.value > wild.critical
    assert wild.p_value is not None and wild.p_value < 1e-4 and wild.message.startswith("hour is the least likely")
    (hour, origin) = wild.columns
    assert hour.critical == wild.critical and origin.value is not None and origin.critical is not None
    assert origin.value < origin.critical
    assert origin.histogram is not None and set(origin.histogram.names) == {"JFK", "LGA", "EWR"}


def test_what_was_resampled_is_kept_and_found_again(
    write: Write, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path)
    project = write(monitors(DRIFT.format("psi", "train.csv"), "false_alarms: 1/month"))
    capture(tmp_path, rows(300))
    first = measure(project, journal)
    (kept,) = (project.state / nulls.DIRECTORY).iterdir()
    assert kept.name == "m.psi.300.json" and kept.stat().st_mode & 0o077 == 0
    with monkeypatch.context() as patch:
        patch.setattr(resampling, "null", lambda *_, **__: pytest.fail("resampled again"))
        assert measure(project, journal).critical == first.critical
    kept.write_text('{"form": 1')
    assert measure(project, journal).critical == first.critical, "a damaged file is made again"
    train(tmp_path, 900)
    assert measure(project, journal).critical != first.critical, "another reference has another value"


def test_without_a_rate_the_farthest_column_counts_and_nothing_is_resampled(
    write: Write, journal: Journal, tmp_path: Path
) -> None:
    train(tmp_path)
    project = write(monitors(DRIFT.format("js", "train.csv"), "above: 0.1"))
    capture(tmp_path, rows(200, shift=2.0))
    found = measure(project, journal)
    assert found.value == max(each.value or 0.0 for each in found.columns)
    assert found.message == "hour is the farthest from train.csv"
    assert (found.critical, found.p_value) == (None, None) and not (project.state / nulls.DIRECTORY).exists()


def test_what_cannot_be_compared_says_why(write: Write, journal: Journal, tmp_path: Path) -> None:
    project = write(monitors(DRIFT.format("psi", "train.csv")))
    assert "train.csv is not there" in measure(project, journal).message
    train(tmp_path)
    assert measure(project, journal).message == "no request to production was captured yet"
    table = train(tmp_path).assign(
        id=[f"N{n}" for n in range(1000)], gone=1.0, empty=None, when=pd.Timestamp("2026-01-01"), code=range(1000)
    )
    table.to_parquet(tmp_path / "train.parquet")
    capture(tmp_path, [{**each, "id": "x", "when": "2026-01-01", "code": "007", "empty": 1} for each in rows(30)])
    project = write(
        monitors(DRIFT.format("ks", "train.parquet") + ", columns: [hour, origin, id, gone, empty, when, code, no]")
    )
    found = {each.column: each.message for each in measure(project, journal).columns}
    assert found.pop("hour") == ""
    assert found == {
        "origin": "ks compares numbers, and this column has categories",
        "id": "it has more than 500 different words",
        "gone": "no request has it",
        "empty": "the reference has 0 values; at least 10 are needed",
        "when": "it has times",
        "code": "30 of 30 values are no numbers, as the reference has them",
        "no": "the reference does not have it",
    }
    (tmp_path / "train.csv").write_bytes(b'a,b\n1,"2\n')
    broken = measure(write(monitors(DRIFT.format("psi", "train.csv"))), journal)
    assert broken.value is None and "train.csv cannot be read" in broken.message


def test_the_first_requests_of_a_version_are_a_reference_and_no_window(
    write: Write, journal: Journal, tmp_path: Path
) -> None:
    project = write(monitors("environment: production, drift: ks, of: predictions, reference: {first: 100}"))
    capture(tmp_path, rows(80), ago=30.0, answers=[0.1] * 80)
    assert measure(project, journal).message == "80 of the first 100 requests to version 3 are kept so far"
    capture(tmp_path, rows(20, seed=5), ago=20.0, answers=[0.2] * 20)
    assert "no request to production was answered" in measure(project, journal).message
    capture(tmp_path, rows(40, seed=6), answers=[0.2] * 40)
    found = measure(project, journal)
    assert found.value == pytest.approx(0.8) and found.rows == 40 and found.columns[0].column == "prediction"


def test_the_same_weekday_is_another_reference(write: Write, journal: Journal, tmp_path: Path) -> None:
    project = write(monitors("environment: production, drift: ks, reference: {same: weekday}, window: 1h"))
    capture(tmp_path, rows(50))
    assert "there are no requests of the same time of earlier weeks" in measure(project, journal).message
    capture(tmp_path, rows(60, shift=5.0, seed=8), version=2, ago=7 * 86_400.0)
    found = measure(project, journal)
    assert found.value is not None and found.value > 0.9 and found.rows == 50


def test_a_window_of_two_weekdays_is_compared_with_the_same_time_of_earlier_weeks(
    write: Write, journal: Journal, tmp_path: Path
) -> None:
    """On a Saturday at one, 23 of the last 24 hours are a Friday's: Saturdays are others, and nothing has changed."""
    for name, window in (("time", "24h"), ("rows", "60")):
        text = f"environment: production, drift: ks, reference: {{same: weekday}}, columns: hour, window: {window}"
        project = write(monitors(text))
        saturday = (time.time() // 86_400) * 86_400 + 3600
        saturday -= (time.gmtime(saturday).tm_wday + 2) % 7 * 86_400 + 7 * 86_400
        ago = time.time() - saturday
        if name == "time":
            for week in range(3):
                capture(tmp_path, rows(60, seed=10 + week), ago=ago + week * 7 * 86_400.0 + 5 * 3600.0)
                if week:
                    capture(tmp_path, rows(60, shift=5.0, seed=20 + week), ago=ago + week * 7 * 86_400.0 - 9 * 3600.0)
        found = measured(Moment(project, journal, project.monitors["m"], saturday), drift.measure)
        assert found.value is not None and found.value < 0.4 and found.rows == 60, (name, found)


def test_the_same_month_is_that_of_earlier_years(write: Write, journal: Journal, tmp_path: Path) -> None:
    project = write(monitors("environment: production, drift: ks, reference: {same: month}, columns: hour, window: 7d"))
    start = pd.Timestamp("2026-03-02", tz="UTC").timestamp()
    moment = Moment(project, journal, project.monitors["m"], start)
    capture(tmp_path, rows(40), ago=time.time() - start + 3 * 86_400.0)
    assert measured(moment, drift.measure).message.startswith("there are no requests of February of earlier years")
    for day, shift in (("2025-02-15", 0.0), ("2025-03-02", 5.0)):
        capture(tmp_path, rows(40, shift, seed=5), ago=time.time() - pd.Timestamp(day, tz="UTC").timestamp())
    found = measured(moment, drift.measure)
    assert (
        found.value is not None
        and found.value < 0.4
        and found.message.endswith("requests of February of earlier years")
    )


def test_first_requests_that_were_forgotten_are_said(write: Write, journal: Journal, tmp_path: Path) -> None:
    project = write(monitors("environment: production, drift: ks, of: predictions, reference: {first: 50}"))
    capture(tmp_path, rows(50), ago=60.0, answers=[0.1] * 50)
    capture(tmp_path, rows(100), ago=10.0, answers=[0.2] * 100)
    assert not any("not kept" in each for each in measure(project, journal).warnings)
    with LabelStore.open(project.state, "production") as store:
        store.forget(time.time() - 30.0, 10**6)
    found = measure(project, journal)
    assert (
        found.value == 0.0 and "the very first are not kept any more: these are the first 50 that are" in found.warnings
    )


def test_types_of_files_that_requests_do_not_have(write: Write, journal: Journal, tmp_path: Path) -> None:
    table = pd.DataFrame({"hour": [Decimal(n % 40) / 10 for n in range(400)]})
    table["place"] = pd.Series([1, 2] * 200).astype("category")
    table["vector"] = [[0.1, 0.2]] * 400
    table.to_parquet(tmp_path / "train.parquet")
    capture(tmp_path, [{"hour": n % 40 / 10, "place": 1 + n % 2, "vector": [0.1, 0.2]} for n in range(80)])
    violated = measure(
        write(monitors("environment: production, data: any, reference: train.parquet")), journal, data.measure
    )
    assert violated.value == 0.0, violated
    assert {each.column: each.message for each in violated.columns}["vector"] == "it has times, lists, or nothing"
    drifted = measure(write(monitors(DRIFT.format("psi", "train.parquet"))), journal)
    assert {each.column: each.value for each in drifted.columns} == {"hour": 0.0, "place": 0.0, "vector": None}
    assert drifted.columns[-1].message == "it has lists"


@pytest.mark.parametrize("name", ["psi", "js", "ks", "wasserstein"])
def test_a_request_with_numbers_too_large_to_count_with_blinds_no_monitor(
    write: Write, journal: Journal, tmp_path: Path, name: str
) -> None:
    train(tmp_path)
    project = write(monitors(DRIFT.format(name, "train.csv") + ", columns: hour", "false_alarms: 1/month"))
    capture(tmp_path, [*rows(100), {"hour": 1.7e308, "origin": "JFK"}, {"hour": -1.7e308, "origin": "JFK"}])
    found = measure(project, journal)
    assert found.value is not None and found.critical is not None and found.columns[0].histogram is not None


def test_a_gates_targets_are_no_inputs(write: Write, journal: Journal, tmp_path: Path) -> None:
    train(tmp_path).assign(late=0, early=1).to_csv(tmp_path / "test.csv", index=False)
    gate = "gates: {q: {data: test.csv, target: [late, early], task: multilabel, checks: [{metric: accuracy, at_least: 0.1}]}}\n"
    capture(tmp_path, rows(40))
    found = measure(write(gate + monitors("environment: production, drift: psi, reference: {gate: q}")), journal)
    assert [each.column for each in found.columns] == ["hour", "origin"], found


def test_several_versions_in_a_window_are_said(write: Write, journal: Journal, tmp_path: Path) -> None:
    train(tmp_path)
    capture(tmp_path, rows(30), version=2, ago=60.0)
    capture(tmp_path, rows(30, seed=4))
    found = measure(write(monitors(DRIFT.format("psi", "train.csv"))), journal)
    assert found.version is None and "several versions answered in the window: v2, v3" in found.warnings


def test_violations_are_counted_by_what_the_reference_never_had(write: Write, journal: Journal, tmp_path: Path) -> None:
    train(tmp_path)
    good = rows(90)
    bad: list[Row] = [
        *({"hour": None, "origin": "JFK"} for _ in range(2)),
        *({"hour": 0.1, "origin": "a secret <b>"} for _ in range(3)),
        *({"hour": 99.0, "origin": "LGA"} for _ in range(4)),
        {"hour": "soon", "origin": 7},
    ]
    capture(tmp_path, [*good, *bad])
    text = "environment: production, data: {}, reference: train.csv"
    found = measure(write(monitors(text.format("any"))), journal, data.measure)
    assert found.value == pytest.approx(0.1) and found.low is not None and found.low < 0.1 < (found.high or 0)
    assert {each.column: each.message for each in found.columns} == {
        "hour": "2 missing, 1 type, 4 range",
        "origin": "1 type, 3 unseen",
    }
    assert "secret" not in str(found)
    assert measure(write(monitors(text.format("unseen"))), journal, data.measure).value == pytest.approx(0.03)


def test_a_column_that_vanishes_is_missing_in_all_requests(write: Write, journal: Journal, tmp_path: Path) -> None:
    train(tmp_path)
    capture(tmp_path, rows(20), ago=20.0)
    capture(tmp_path, [{"hour": each["hour"]} for each in rows(20)])
    text, warned = "environment: production, data: {}, window: 20, reference: {}", "no request of the window has origin"
    first = measure(write(monitors(text.format("any", "{first: 20}"))), journal, data.measure)
    assert first.value == 1.0 and warned in first.warnings and first.columns[1].message == "no request has it"
    named = text.format("missing", "train.csv") + ", columns: [hour, origin]"
    assert measure(write(monitors(named)), journal, data.measure).value == 1.0
    file = measure(write(monitors(text.format("missing", "train.csv"))), journal, data.measure)
    assert (file.value, file.warnings) == (0.0, ()), "a file may have the target"
    drifted = measure(write(monitors(DRIFT.format("psi", "{first: 20}") + ", window: 20")), journal)
    assert drifted.value is not None and warned in drifted.warnings
    hidden = write(monitors(text.format("any", "{first: 20}")))
    hidden_of = replace(hidden.environments["production"], redact=("Origin ",))
    project = replace(hidden, environments={"production": hidden_of})
    assert warned not in measure(project, journal, data.measure).warnings, "it is not kept"


def test_the_age_of_data_is_that_of_the_latest_time_in_a_column(write: Write, journal: Journal, tmp_path: Path) -> None:
    project = write(monitors("environment: production, freshness: data, path: flights.csv, column: at"))
    at = pd.Timestamp.now("UTC") - pd.Timedelta(hours=2)
    pd.DataFrame({"at": [str(at - pd.Timedelta(days=9)), str(at), "never"]}).to_csv(tmp_path / "flights.csv")
    assert measure(project, journal, data_age.measure).value == pytest.approx(7200.0, abs=60.0)
    at += pd.Timedelta(hours=1)
    pd.DataFrame({"at": ["2026-01-01 00:00:00", at.isoformat()]}).to_csv(tmp_path / "flights.csv")
    assert measure(project, journal, data_age.measure).value == pytest.approx(3600.0, abs=60.0), (
        "written in another way"
    )
    pd.DataFrame({"at": [1_790_000_000, 1_790_000_001]}).to_csv(tmp_path / "flights.csv")
    assert "has numbers, and no times" in measure(project, journal, data_age.measure).message
    pd.DataFrame({"when": []}).to_csv(tmp_path / "flights.csv")
    assert "has no column 'at'" in measure(project, journal, data_age.measure).message


def test_a_rate_becomes_a_chance_for_one_evaluation(write: Write) -> None:
    project = write(monitors(DRIFT.format("psi", "t.csv") + ", every: 6h", "false_alarms: 1/month"))
    assert chance(project, project.monitors["m"]) == pytest.approx(1 / 120)
    assert chance(write(monitors(DRIFT.format("psi", "t.csv"))), project.monitors["m"]) is None
    assert [rate_words(rate) for rate in (1 / 30, 2 / 7, 3.0, 1 / 365, 0.01)] == [
        "1/month",
        "2/week",
        "3/day",
        "1/year",
        "0.3/month",
    ]


# -- in a process of its own -----------------------------------------------------------------------------------------


def test_a_child_process_measures_and_stores(write: Write, journal: Journal, tmp_path: Path) -> None:
    train(tmp_path)
    capture(tmp_path, rows(50))
    project = write(monitors(DRIFT.format("psi", "train.csv")))
    found = apart.measure_apart(project, journal, project.monitors["m"])
    assert found.value is not None and found.columns and journal.measurements.latest("m") == found
    assert len(journal.measurements.series("m", 0, time.time() + 1)) == 1


def test_a_child_that_takes_too_long_or_ends_without_a_word_is_told_once(
    write: Write, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write(monitors(DRIFT.format("psi", "train.csv")))
    for load, advice in ((0.0, "take a smaller window"), (1000.0, "the machine is busy (a load of 1000 on ")):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, load, load))
        found = apart.measure_apart(project, journal, project.monitors["m"], timeout=0.01)
        assert found.value is None and f"took more than 0.01 s: {advice}" in found.message
    with monkeypatch.context() as full:
        full.setattr(
            apart, "run", lambda *_, **__: (_ for _ in ()).throw(OSError(11, "Resource temporarily unavailable"))
        )
        found = apart.measure_apart(project, journal, project.monitors["m"])
    assert found.message == "its process cannot be started: Resource temporarily unavailable"
    (tmp_path / "podium.yaml").write_text("project: [")
    (project.state / "podium.yaml.good").unlink(missing_ok=True)
    found = apart.measure_apart(project, journal, project.monitors["m"])
    assert found.value is None and "its process ended with" in found.message
    assert len(journal.measurements.series("m", 0, time.time() + 1)) == 4


def test_what_fails_in_the_child_is_a_measurement(
    write: Write, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write(monitors(DRIFT.format("psi", "train.csv")))
    moment = Moment(project, journal, project.monitors["m"])

    def failing(error: BaseException) -> Callable[[Moment], Measurement]:
        def fail(_: Moment) -> Measurement:
            raise error

        return fail

    for error, words_of in ((MemoryError(), "more memory"), (KeyError("x"), "it failed: "), (PodiumError("no"), "no")):
        monkeypatch.setattr(apart, "_KINDS", {moment.monitor.kind: failing(error)})
        assert words_of in apart._measured(moment).message
    monkeypatch.setattr(apart, "_KINDS", {moment.monitor.kind: failing(Interrupted("ended"))})
    with pytest.raises(Interrupted):
        apart._measured(moment)
    assert measured(moment, failing(ValueError("odd"))).message == "it failed: odd", "of those in the agent too"
    endless = moment.measured(1.0, low=float("nan"), high=float("inf"), baseline=float("nan"))
    assert (endless.low, endless.high, endless.baseline) == (None, None, None)
    assert journal.measurements.add(endless)
