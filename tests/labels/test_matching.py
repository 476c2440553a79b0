"""Labels find their requests; what becomes of each is counted for who sent it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from podium.core.domain.labels import AddedLabels, NewLabel
from podium.core.labels import matching
from podium.core.labels.store import LabelStore
from podium.core.serving.recorder import Recorder

from tests.labels.conftest import START, answered, told

Make = Callable[..., Recorder]


@pytest.fixture
def requests(store: LabelStore, recorder: Make) -> LabelStore:
    """Three requests: `a` and `b` of one row, `many` of three."""
    replica = recorder()
    answered(replica, "a", 0.5, at=START)
    answered(replica, "b", 0.75, at=START + 10)
    answered(replica, "many", 1, 2, 3, at=START + 20)
    replica.flush()
    store.collect()
    return store


def labels(store: LabelStore, name: str) -> tuple[Any, ...]:
    return store.of_ids([name])[name].labels


def test_a_label_finds_its_request(requests: LabelStore) -> None:
    assert requests.add([NewLabel(1, "a", at=START + 3600)], "crm", START + 7200) == AddedLabels(matched=1)
    (found,) = requests.requests(labelled=True)
    assert (found.id, found.labels, found.labelled) == ("a", (1,), True)
    counts = requests.counts()
    assert (counts.requests, counts.matched, counts.delay) == (3, 1, 7200.0)


def test_what_is_said_again_and_what_contradicts_is_counted_for_who_said_it(requests: LabelStore) -> None:
    requests.add([NewLabel(1, "a")], "crm", START)
    assert requests.add([NewLabel(1.0, "a"), NewLabel(True, "a")], "crm", START + 1) == AddedLabels(repeated=2)
    assert requests.add([NewLabel(0, "a")], "other", START + 2) == AddedLabels(contradictory=1)
    assert labels(requests, "a") == (1,), "the first one counts"
    (dispute,) = requests.disputes()
    assert (dispute.request_id, dispute.kept, dispute.kept_from, dispute.said, dispute.said_by) == (
        "a", 1, "crm", 0, "other",
    )  # fmt: skip
    assert [(each.name, each.added) for each in requests.clients()] == [
        ("other", AddedLabels(contradictory=1)),
        ("crm", AddedLabels(matched=1, repeated=2)),
    ]


def test_a_request_of_several_rows_has_several_labels(requests: LabelStore) -> None:
    assert requests.add([NewLabel([7, None, 9], "many")], "crm") == AddedLabels(matched=2)
    assert labels(requests, "many") == (7, None, 9)
    assert requests.add([NewLabel(8, "many", row=1)], "crm") == AddedLabels(matched=1)
    assert requests.add([NewLabel([7, 8, 9], "many")], "crm") == AddedLabels(repeated=3)
    assert requests.add([NewLabel(7, "many"), NewLabel([7], "many"), NewLabel(7, "many", row=3)], "crm").refused == 3
    assert requests.add([NewLabel([4], "a"), NewLabel([4, 5], "b")], "crm") == AddedLabels(matched=2)
    assert (labels(requests, "a"), labels(requests, "b")) == ((4,), ([4, 5],)), "a list can be the label of one row"


def test_a_label_that_comes_before_its_request_waits_for_it(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    assert store.add([NewLabel(1, "soon"), NewLabel(2, "never")], "crm", START) == AddedLabels(waiting=2)
    assert (store.counts().waiting, store.counts().unknown) == (2, 0)
    answered(replica, "soon", 0.5)
    replica.flush()
    store.collect(now=START + 1)
    assert (store.counts().waiting, labels(store, "soon")) == (1, (1,))
    store.collect(now=START + matching.WAIT_SECONDS + 1)
    answered(replica, "never", 0.5)
    replica.flush()
    store.collect(now=START + matching.WAIT_SECONDS + 2)
    assert (store.counts().unknown, labels(store, "never")) == (1, (None,)), "it has waited long enough"


def test_labels_that_wait_have_a_bound(store: LabelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MAX_WAITING", 10)
    store.add([NewLabel(1, f"u{number}") for number in range(50)], "flood", START)
    assert store._database.all("SELECT count(*) FROM waiting") == [(10,)]
    assert (store.counts().waiting, store.counts().unknown) == (10, 40), "none is lost from the counts"


def test_a_label_of_a_forgotten_request_is_late(requests: LabelStore) -> None:
    assert requests.forget(START + 5, 1000) == 1
    assert requests.add([NewLabel(1, "a"), NewLabel(1, "b"), NewLabel(1, "nobody")], "crm") == AddedLabels(
        matched=1, late=1, waiting=1
    )
    assert requests.forget(0.0, 1) == 1, "the newest one stays"
    assert [each.id for each in requests.requests()] == ["many"]
    assert requests.add([NewLabel(1, "b")], "crm").late == 1


def test_forgetting_takes_all_that_belongs_to_a_request(requests: LabelStore) -> None:
    requests.add([NewLabel(1, "a"), NewLabel(2, "a")], "crm")
    assert requests.old(START + 100, 1000) == 3
    assert requests.forget(START + 100, 1000) == 3
    for table in ("requests", "labels", "disputes", "inputs", "keys", "early"):
        assert requests._database.all(f"SELECT count(*) FROM {table}") == [(0,)], table


HUGE = "x" * 20_000
DEEP: Any = 1
for _ in range(50):
    DEEP = [DEEP]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), [float("nan")], HUGE, DEEP, {"a": float("nan")}])
def test_what_is_no_label_is_refused(requests: LabelStore, value: object) -> None:
    assert requests.add([NewLabel(value, "a")], "crm") == AddedLabels(refused=1)
    assert labels(requests, "a") == (None,)


@pytest.mark.parametrize(
    "value", [0, False, "", "ä", "\u202eevil\x1b[31m", {"b": 1, "a": [1, 2]}, -1.5, 2**53 + 1, 10**30, "NA", "0"]
)
def test_every_other_value_of_json_is_a_label(requests: LabelStore, value: object) -> None:
    assert requests.add([NewLabel(value, "a"), NewLabel(value, "a")], "crm") == AddedLabels(matched=1, repeated=1)
    assert labels(requests, "a") == (value,)


def test_half_a_character_becomes_a_question_mark(requests: LabelStore) -> None:
    assert requests.add([NewLabel("half \ud800", "a")], "crm").matched == 1
    assert requests.add([NewLabel("zero \0", "b")], "crm").matched == 1
    assert (labels(requests, "a"), labels(requests, "b")) == (("half ?",), ("zero \0",))


@pytest.mark.parametrize("name", ["", "x" * 500, "\ud800", "a\0"])
def test_an_id_that_no_request_can_have_is_refused(requests: LabelStore, name: str) -> None:
    assert requests.add([NewLabel(1, name)], "crm") == AddedLabels(refused=1)


def test_names_of_clients_are_text_and_have_a_bound(requests: LabelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MAX_CLIENTS", 3)
    for number in range(6):
        requests.add([NewLabel(number, "a")], f"'); DROP TABLE labels; -- {number}")
    assert len(requests.clients()) == 4 and requests.counts().contradictory == 5


def test_an_id_that_comes_again_is_labelled_once(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    answered(replica, "same", "no", at=START, status=503)
    for number in range(3):
        answered(replica, "same", number, at=START + number)
    replica.flush()
    store.collect()
    assert store.add([NewLabel(5, "same")], "crm") == AddedLabels(matched=1)
    assert [(each.predictions, each.labels) for each in store.requests() if each.status == 200] == [
        ((0,), (5,)),
        ((1,), (None,)),
        ((2,), (None,)),
    ], "the first good answer"


def test_every_request_with_a_key_has_its_label(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    assert replica.requests is not None
    replica.requests.add(START, b"a", 200, b'{"predictions": [1]}', b'["flight 7"]')
    replica.requests.add(START + 1, b"b", 200, b'{"predictions": [2, 3]}', b'["other", "flight 7"]')
    replica.flush()
    store.collect()
    assert store.add([NewLabel(1, key="flight 7"), NewLabel(0, key="flight 8")], "crm") == AddedLabels(
        matched=2, waiting=1
    )
    assert (labels(store, "a"), labels(store, "b")) == ((1,), (None, 1))


def keyed(replica: Recorder, name: bytes, *keys: str, at: float = START) -> None:
    """Adds a request as a replica does whose environment has a key."""
    assert replica.requests is not None
    answer = json.dumps({"predictions": [0.5] * len(keys)}).encode()
    replica.requests.add(at, name, 200, answer, json.dumps(keys).encode())
    replica.flush()


def test_a_label_by_key_is_that_of_requests_that_come_later(store: LabelStore, recorder: Make) -> None:
    replica, month = recorder(), 30 * 86400
    keyed(replica, b"first", "UA 7")
    store.collect()
    assert store.add([NewLabel(1, key="UA 7"), NewLabel(0, key="UA 8")], "crm", START + 60).matched == 1
    again = store.add(
        [NewLabel(True, key="UA 7"), NewLabel(0.0, key="UA 8"), NewLabel(1, key="UA 8")], "billing", START
    )
    assert again == AddedLabels(repeated=2, waiting=1)
    keyed(replica, b"later", "UA 8", "UA 7", at=START + month)
    keyed(replica, b"other", "UA 9", at=START + month)
    store.collect(now=START + month)
    assert (labels(store, "later"), labels(store, "other")) == ((0, 1), (None,)), "far more than an hour later"
    assert {each.name: each.added for each in store.clients()} == {
        "crm": AddedLabels(matched=3),
        "billing": AddedLabels(repeated=2, contradictory=1),
    }
    (dispute,) = store.disputes()
    assert (dispute.request_id, dispute.kept_from, dispute.said_by) == ("later", "crm", "billing")
    keyed(replica, b"last", "UA 8", at=START + month + 1)
    store.collect(now=START + month + 1)
    assert (labels(store, "last"), store.counts().contradictory) == ((0,), 1), "what was judged is not said again"


def test_labels_by_key_are_kept_as_long_as_requests_and_have_a_bound(
    store: LabelStore, recorder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = recorder()
    keyed(replica, b"a", "k0")
    store.collect()
    store.add([NewLabel(1, key=f"k{number}") for number in range(10)], "crm", START)
    store.add([NewLabel(1, key="new")], "crm", START + 100)
    assert (store.counts().waiting, store.old(START + 50, 1000)) == (10, 11), "ten labels, and a request"
    store.forget(START + 50, 1000)
    assert (store.counts().waiting, store.counts().unknown) == (1, 9), "that of k0 had found its request"
    store.add([NewLabel(1, key=f"x{number}") for number in range(5)], "crm", START + 100)
    store.forget(0.0, 3)
    assert (store.counts().waiting, store.counts().unknown) == (3, 12)
    monkeypatch.setattr(matching, "MAX_KEYED", 2)
    store.add([NewLabel(1, key="y")], "crm", START + 100)
    assert (store.counts().waiting, store.counts().unknown) == (2, 14), "without anybody who forgets, too"


def test_feedback_of_clients_flows_in(store: LabelStore, recorder: Make) -> None:
    replica, other = recorder("1"), recorder("2")
    answered(replica, "a", 1)
    told(other, "a", 1, client="crm", at=START + 50)
    told(other, "a", 0, client="intruder")
    other.flush()  # what tells of a request is written before the request itself
    store.collect(now=START + 61)
    replica.flush()
    store.collect(now=START + 62)
    assert {each.name: each.added for each in store.clients()} == {
        "crm": AddedLabels(matched=1),
        "intruder": AddedLabels(contradictory=1),
    }
