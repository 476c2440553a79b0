"""Rows to learn from: in order, each once, the same bytes for the same requests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from podium.core.config import load
from podium.core.domain.labels import NewLabel
from podium.core.domain.models import TAG_DATASET, learned_from
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.engine.context import StepContext
from podium.core.errors import RunFailed, UsageError
from podium.core.labels import dataset as datasets
from podium.core.labels import steps
from podium.core.labels.store import LabelStore
from podium.core.serving.recorder import Recorder

from tests.labels.conftest import START, answered, captured

Make = Callable[..., Recorder]
RUN = Run(7, PIPELINE, "learn", RunState.RUNNING, Trigger.SCHEDULE, "agent", 0.0)
YAML = "project: shop\nenvironments: {production: {key: flight}, other: {port: 5101}}\n"


@pytest.fixture
def learned(store: LabelStore, recorder: Make, tmp_path: Path) -> LabelStore:
    """Ten requests a minute apart, all captured and labelled but for the last two."""
    (tmp_path / "podium.yaml").write_text(YAML)
    replica = recorder()
    for number in range(8):
        captured(replica, f"r{number}", [{"hour": number, "carrier": "AA"}], number / 10, at=START + 60 * number)
    answered(replica, "no-inputs", 0.5, at=START + 600)
    captured(replica, "no-label", [{"hour": 9, "carrier": "UA"}], 0.5, at=START + 660)
    replica.flush()
    store.collect()
    store.add([NewLabel(number % 2, f"r{number}") for number in range(8)], "crm")
    store.add([NewLabel(1, "no-inputs")], "crm")
    return store


def run(tmp_path: Path, step: Any = steps.dataset, **options: object) -> dict[str, Any]:
    project = load(tmp_path, environ={})
    given = {"environment": "production", "output": "data/rows.parquet", "target": "late", **options}
    return dict(step(StepContext(project, RUN, "rows", given)))


def test_captured_and_labelled_requests_are_rows(learned: LabelStore, tmp_path: Path) -> None:
    done = run(tmp_path)
    rows = pd.read_parquet(tmp_path / "data/rows.parquet")
    assert list(rows.columns) == ["hour", "carrier", "late"] and rows["late"].dtype == "int64"
    assert rows["hour"].tolist() == list(range(8)) and rows["late"].tolist() == [0, 1] * 4
    assert (done["rows"], done["start"], done["end"]) == (8, START, START + 420)
    digest = hashlib.sha256((tmp_path / "data/rows.parquet").read_bytes()).hexdigest()
    assert done["digest"] == f"sha256:{digest}"
    assert done["dataset_input"]["source"] == "data/rows.parquet" and done["dataset_input"]["digest"] == done["digest"]
    assert done["dataset_input"]["profile"]["num_rows"] == 8
    learned_from_them = learned_from({TAG_DATASET: done["dataset"]})
    assert learned_from_them is not None and learned_from_them.digest == done["digest"]
    assert learned_from_them.words == "8 rows, requests to production 2027-01-15T08:00 to 2027-01-15T08:07"
    assert done["dataset"].startswith(f"sha256:{digest} 8 rows, requests to production 2027-01-15T08:00:00Z to")


def test_the_same_requests_give_the_same_bytes(learned: LabelStore, tmp_path: Path) -> None:
    first = run(tmp_path)
    learned.add([NewLabel(1, "r0"), NewLabel(0, "unknown")], "other")
    assert run(tmp_path, output="again.parquet")["digest"] == first["digest"]
    assert not list(tmp_path.glob("data/.*")), "nothing is left behind"


def test_the_newest_rows_are_apart(learned: LabelStore, tmp_path: Path) -> None:
    assert run(tmp_path, last=2, test="data/fresh.parquet", test_share=0.2)["test_rows"] == 1, "at least one"
    done = run(tmp_path, test="data/fresh.parquet", test_share=0.25)
    assert (done["rows"], done["test_rows"]) == (6, 2)
    assert pd.read_parquet(tmp_path / "data/fresh.parquet")["hour"].tolist() == [6, 7]
    assert pd.read_parquet(tmp_path / "data/rows.parquet")["hour"].tolist() == list(range(6))


@pytest.mark.parametrize("kind", ["int64", "int8", "Int64", "bool"])
@pytest.mark.parametrize("value", [1.5, 300, "yes", None])
def test_no_value_is_changed_to_fit_a_type(kind: str, value: object) -> None:
    column = pd.Series([1, value], dtype=object)
    if (kind, value) in (("int64", 300), ("Int64", 300), ("Int64", None)):
        assert datasets._as(column, kind).dtype == kind
    else:
        with pytest.raises((ValueError, TypeError, OverflowError)):
            datasets._as(column, kind)


def test_windows(learned: LabelStore, tmp_path: Path) -> None:
    def hours(**window: object) -> list[int]:
        run(tmp_path, **window)
        return pd.read_parquet(tmp_path / "data/rows.parquet")["hour"].tolist()

    assert hours(since="2027-01-15T08:02:00Z", until="2027-01-15T08:04:00Z") == [3, 4]
    assert hours(last="3") == [5, 6, 7]
    assert hours(since="3000d") == list(range(8))


def test_rows_of_one_moment_are_on_one_side(store: LabelStore, recorder: Make, tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text(YAML)
    replica = recorder()
    captured(replica, "first", [{"hour": 1}], 0.5, at=START)
    captured(replica, "many", [{"hour": hour} for hour in range(2, 6)], 1, 1, 1, 1, at=START + 1)
    replica.flush()
    store.collect()
    store.add([NewLabel(0, "first"), NewLabel([1, 1, 1, 1], "many")], "crm")
    done = run(tmp_path, test="fresh.parquet", test_share=0.4)
    assert (done["rows"], done["test_rows"]) == (1, 4)
    with pytest.raises(RunFailed, match="cannot be split by time"):
        run(tmp_path, since="2027-01-15T08:00:00.5Z", test="fresh.parquet")


def test_of_one_key_the_newest_row_counts(store: LabelStore, recorder: Make, tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text(YAML)
    replica = recorder()
    assert replica.requests is not None
    for number, key in enumerate(("UA 7", "UA 8", "UA 7")):
        captured(replica, f"r{number}", [{"hour": number}], 0.5, at=START + number)
        replica.requests._lines.pop()  # with its key instead
        replica.requests.add(
            START + number, f"r{number}".encode(), 200, b'{"predictions": [0.5]}', b'["%b"]' % key.encode()
        )
    replica.flush()
    store.collect()
    store.add([NewLabel(1, key="UA 7"), NewLabel(0, key="UA 8")], "crm")
    assert run(tmp_path)["repeated"] == 1
    assert pd.read_parquet(tmp_path / "data/rows.parquet")["hour"].tolist() == [1, 2]


def test_rows_stand_below_the_projects_own_in_their_types(learned: LabelStore, tmp_path: Path) -> None:
    own = pd.DataFrame({"late": [True], "hour": pd.array([23], dtype="int32"), "carrier": ["DL"]})
    own.to_parquet(tmp_path / "train.parquet")
    before = (tmp_path / "train.parquet").read_bytes()
    assert [run(tmp_path, add_to="train.parquet")["rows"] for _ in range(2)] == [9, 9], "nothing is added twice"
    rows = pd.read_parquet(tmp_path / "data/rows.parquet")
    assert list(rows.columns) == ["late", "hour", "carrier"]
    assert (str(rows["hour"].dtype), str(rows["late"].dtype)) == ("int32", "bool")
    assert rows["hour"].tolist() == [23, *range(8)] and (tmp_path / "train.parquet").read_bytes() == before


def test_rows_that_do_not_fit_are_said(learned: LabelStore, tmp_path: Path) -> None:
    pd.DataFrame({"late": [1], "distance": [3]}).to_parquet(tmp_path / "more.parquet")
    with pytest.raises(RunFailed, match="no column distance"):
        run(tmp_path, add_to="more.parquet")
    pd.DataFrame({"late": [1], "carrier": [3.5]}).to_parquet(tmp_path / "typed.parquet")
    with pytest.raises(RunFailed, match="values of carrier"):
        run(tmp_path, add_to="typed.parquet")
    for name, column in {
        "late": pd.Series([1], dtype="Int64"),
        "hour": pd.Series([True]),
        "carrier": pd.Series(["UA"], dtype="category"),
    }.items():
        pd.DataFrame({name: column}).to_parquet(tmp_path / "typed.parquet")
        if name == "late":
            assert run(tmp_path, add_to="typed.parquet")["rows"] == 9
        else:  # hours from 0 to 7, and another carrier
            with pytest.raises(RunFailed, match=f"values of {name} cannot be made"):
                run(tmp_path, add_to="typed.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"no")
    with pytest.raises(RunFailed, match="cannot be read"):
        run(tmp_path, add_to="broken.parquet")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"environment": "other"}, RunFailed, "no request of this window"),
        ({"since": "2099-01-01"}, RunFailed, "no request of this window"),
        ({"since": "2013-01-02", "until": "2013-01-01"}, UsageError, "the window is empty"),
        ({"since": "soon"}, UsageError, "is no time"),
        ({"at_least": 9}, RunFailed, "fewer than 9"),
        ({"target": "hour"}, RunFailed, "an input 'hour'"),
        ({"output": "../out.parquet"}, UsageError, "leads out"),
        ({"output": "a.parquet", "add_to": "a.parquet"}, UsageError, "same file"),
    ],
)
def test_what_cannot_be_learned_from_is_said(
    learned: LabelStore, tmp_path: Path, options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(tmp_path, **options)
    assert not list(tmp_path.glob("**/*.parquet"))


def test_values_of_several_types_are_said(store: LabelStore, recorder: Make, tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text(YAML)
    replica = recorder()
    for number, value in enumerate((1, "one")):
        captured(replica, f"r{number}", [{"mixed": value}], 0.5, at=START + number)
    replica.flush()
    store.collect()
    store.add([NewLabel(1, "r0"), NewLabel(0, "r1")], "crm")
    with pytest.raises(RunFailed, match="cannot be written"):
        run(tmp_path)


def test_the_step_labels_adds_a_file_once(learned: LabelStore, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("request_id,truth\nno-label,1\nr0,1\nnobody,0\n")
    done = [run(tmp_path, steps.labels, file="truth.csv", label="truth") for _ in range(2)]
    assert [each["matched"] for each in done] == [1, 0] and [each["repeated"] for each in done] == [0, 1]
    assert [each["contradictory"] for each in done] == [1, 1]
    assert learned.clients()[0].name == "pipeline:learn"
    with pytest.raises(UsageError, match="keeps no keys"):
        run(tmp_path, steps.labels, environment="other", file="truth.csv", label="truth", key="request_id")
    with pytest.raises(UsageError, match="leads out"):
        run(tmp_path, steps.labels, file="/etc/passwd", label="truth")
