"""Requests as tables."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from podium.core.domain.labels import NewLabel
from podium.core.labels import frames
from podium.core.labels.store import LabelStore
from podium.core.serving.recorder import Recorder

from tests.labels.conftest import START, answered, captured

Make = Callable[..., Recorder]


def test_a_table_has_a_row_for_each_row_of_a_request(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    captured(replica, "a", [{"hour": 5, "carrier": "AA"}], 0.5, at=START)
    captured(replica, "b", [{"carrier": "UA", "hour": 6}, {"carrier": None}], 0.25, 0.125, at=START + 1)
    answered(replica, "c", 1.0, at=START + 2)
    replica.flush()
    store.collect()
    store.add([NewLabel([1, None], "b"), NewLabel(0, "c")], "crm")
    table = frames.load(store).joined()
    assert list(table.columns) == ["hour", "carrier", *frames.ABOUT]
    assert table["request_id"].tolist() == ["a", "b", "b", "c"] and table["row"].tolist() == [0, 0, 1, 0]
    assert table["prediction"].tolist() == [0.5, 0.25, 0.125, 1.0]
    assert table["label"].isna().tolist() == [True, False, True, False] and table["label"].dtype == "float64"
    assert table["hour"].tolist()[:2] == [5.0, 6.0] and table["hour"].isna().tolist() == [False, False, True, True]
    assert table["carrier"].tolist()[:2] == ["AA", "UA"]
    labelled = frames.load(store, labelled=True)
    assert labelled.about["request_id"].tolist() == ["b", "c"] and labelled.about["label"].dtype == "int64"
    whole = frames.load(store, labelled=True, captured=True)
    assert (whole.about["request_id"].tolist(), whole.inputs["hour"].tolist()) == (["b"], [6])


def test_windows_limits_and_versions(store: LabelStore, recorder: Make) -> None:
    old, new = recorder("1", version="3"), recorder("2", version="4")
    for number in range(6):
        answered(old if number < 4 else new, f"r{number}", number, at=START + number)
    old.flush()
    new.flush()
    store.collect()

    def found(*window: float | None, **more: int) -> list[int]:
        return [each.predictions[0] for each in store.requests(*window, **more)]

    assert found(START, START + 3) == [1, 2, 3], "after is not in it, until is"
    assert (found(limit=2), found(limit=0), found(version=4)) == ([4, 5], [], [4, 5])


def test_the_newest_rows_of_requests_that_have_several(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    for number in range(4):
        answered(replica, f"r{number}", *(10 * number + row for row in range(3)), at=START + number)
    replica.flush()
    store.collect()
    store.add([NewLabel([1, None, 0], f"r{number}") for number in range(3)], "crm")

    def found(rows: int, labelled: bool = False) -> list[int]:
        return frames.load(store, labelled=labelled, rows=rows).about["prediction"].tolist()

    assert (found(1), found(4), found(99)) == (
        [32],
        [22, 30, 31, 32],
        [10 * n + row for n in range(4) for row in range(3)],
    )
    assert found(3, labelled=True) == [12, 20, 22], "rows with a label are counted, not others"
    assert [each.id for each in store.each(rows=4)] == ["r2", "r3"], "no more are read than are needed"


def test_nothing_makes_an_empty_table(store: LabelStore) -> None:
    table = frames.load(store, labelled=True, captured=True).joined()
    assert len(table) == 0 and list(table.columns) == list(frames.ABOUT)


def test_inputs_that_are_called_like_what_is_known_of_a_request(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    captured(replica, "a", [{"label": "mine", "at": 3}], 0.5)
    replica.flush()
    store.collect()
    store.add([NewLabel(1, "a")], "crm")
    table = frames.load(store).joined()
    assert (table["input:label"].tolist(), table["label"].tolist(), table["input:at"].tolist()) == (["mine"], [1], [3])


def test_values_stay_what_they_are(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    rows = [[0.25, 0.75], {"late": True}, "NA", 2**53 + 1]
    for number, prediction in enumerate(rows):
        captured(replica, f"r{number}", [{"n": 2**60, "text": "007"}], prediction, at=START + number)
    replica.flush()
    store.collect()
    table = frames.load(store).joined()
    assert table["prediction"].tolist() == rows and table["label"].isna().all()
    assert table["n"].tolist() == [2**60] * 4 and table["text"].tolist() == ["007"] * 4
    assert isinstance(table, pd.DataFrame)
