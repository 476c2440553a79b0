"""What must hold whatever the model is: the rows mean what they say, and nothing known only after departure gets in."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import features
import prepare

HOUR = "2013-07-04T22:00:00Z"  # 18:00 in New York, a Thursday


def flight(**changes: object) -> pd.DataFrame:
    row = {"year": 2013, "month": 7, "day": 4, "sched_dep_time": 1805, "sched_arr_time": 2030, "arr_delay": 16.0}
    row |= {"carrier": "UA", "origin": "EWR", "dest": "IAH", "distance": 1400, "time_hour": HOUR}
    return pd.DataFrame([row | changes])


def observed(**changes: object) -> pd.DataFrame:
    row = {"origin": "EWR", "time_hour": HOUR, "temp": 88.0, "dewp": 70.0, "humid": 55.0}
    row |= {"wind_speed": 9.2, "precip": 0.1, "pressure": 1012.0, "visib": 7.0}
    return pd.DataFrame([row | changes])


def test_a_row_says_what_was_scheduled() -> None:
    row = prepare.table(flight(), observed()).iloc[0]
    assert (row.weekday, row.hour, row.minute, row.arrival_hour, row.distance) == (3, 18, 5, 20, 1400)
    assert (row.temp, row.precip) == (88.0, 0.1)


@pytest.mark.parametrize(("delay", "late"), [(-20.0, 0), (15.0, 0), (16.0, 1)])
def test_late_is_more_than_fifteen_minutes(delay: float, late: int) -> None:
    assert prepare.table(flight(arr_delay=delay), observed()).late.tolist() == [late]


def test_a_flight_that_never_arrived_is_left_out() -> None:
    assert prepare.table(flight(arr_delay=np.nan), observed()).empty


def test_the_delay_changes_the_target_and_nothing_else() -> None:
    early, late = (prepare.table(flight(arr_delay=delay), observed()) for delay in (-30.0, 240.0))
    pd.testing.assert_frame_equal(early.drop(columns="late"), late.drop(columns="late"))


def test_nothing_known_only_after_departure_is_a_column() -> None:
    after = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum", "late"}
    assert not after & set(prepare.COLUMNS)
    assert set(features.FEATURES) <= set(prepare.COLUMNS)


def test_weather_of_another_hour_or_airport_is_not_used() -> None:
    for other in (observed(time_hour="2013-07-04T23:00:00Z"), observed(origin="JFK")):
        assert prepare.table(flight(), other)[list(prepare.WEATHER)].isna().all(axis=None)


def test_a_repeated_observation_does_not_repeat_the_flight() -> None:
    assert len(prepare.table(flight(), pd.concat([observed(), observed()]))) == 1


def test_months_follow_one_another() -> None:
    parts = prepare.months("2013-07")
    assert list(parts["train"]) == [1, 2, 3, 4, 5]
    assert list(parts["valid"]) == [6]
    assert list(parts["test"]) == [7]


@pytest.mark.parametrize("until", ["2013-02", "2013-13", "2014-05", "july", ""])
def test_a_month_that_cannot_be_tested_is_refused(until: str) -> None:
    with pytest.raises(SystemExit, match="until"):
        prepare.months(until)


def test_splits_share_no_month() -> None:
    rows = pd.concat([prepare.table(flight(month=month), observed()) for month in range(1, 13)], ignore_index=True)
    assert {name: len(part) for name, part in prepare.split(rows, "2013-07").items()} == {
        "train": 5,
        "valid": 1,
        "test": 1,
    }


def test_the_encoder_knows_what_it_saw_and_calls_the_rest_missing() -> None:
    rows = pd.concat(
        [prepare.table(flight(carrier=carrier), observed()) for carrier in ("UA", "DL")], ignore_index=True
    )
    encoder = features.Encoder(("carrier", "hour"), prepare.TEXT).fit(rows, pd.Series([1, 0]))
    unseen = rows.iloc[[0]].assign(carrier="??")
    matrix = encoder.transform(pd.concat([rows, unseen]))
    np.testing.assert_array_equal(matrix, [[1.0, 18.0], [0.0, 18.0], [np.nan, 18.0]])


def test_the_models_features_can_be_encoded() -> None:
    rows = prepare.table(flight(), observed())
    assert features.encoder().fit(rows, rows.late).transform(rows).shape == (1, len(features.FEATURES))
