"""What replicas write is collected exactly once, whatever becomes of their files and of who collects."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from podium.core.domain.labels import AddedLabels, NewLabel
from podium.core.errors import JournalError
from podium.core.labels import collecting
from podium.core.labels.store import LabelStore
from podium.core.serving.recorder import Recorder

from tests.labels.conftest import START, answered, captured, told

Make = Callable[..., Recorder]


def test_every_request_is_kept_with_its_prediction(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    answered(replica, "a", 0.25, at=START)
    answered(replica, "b", 1, 2, 3, at=START + 1)
    answered(replica, "c", "ignored", at=START + 2, status=400)
    replica.flush()
    assert store.collect().requests == 3
    found = store.requests()
    assert [(each.id, each.status, each.version, each.predictions) for each in found] == [
        ("a", 200, 3, (0.25,)),
        ("b", 200, 3, (1, 2, 3)),
        ("c", 400, 3, ()),
    ]
    assert [each.at for each in found] == [START, START + 1, START + 2]
    assert store.counts().requests == 2, "a request that was refused cannot be labelled"


def test_nothing_is_collected_twice(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    answered(replica, "a", 1)
    replica.flush()
    assert [store.collect().requests for _ in range(3)] == [1, 0, 0]
    answered(replica, "b", 1)
    replica.flush()
    assert store.collect().requests == 1 and len(store.requests()) == 2


def test_rotation_loses_and_repeats_nothing(store: LabelStore, recorder: Make) -> None:
    replica = recorder(limit=4 * 600)
    for number in range(200):
        answered(replica, f"r{number}", number)
        if number % 3 == 0:
            replica.flush()
        if number % 10 == 0:
            store.collect()
    replica.flush()
    store.collect()
    assert [each.predictions for each in store.requests()] == [(number,) for number in range(200)]


def test_a_file_that_is_rotated_while_it_is_read_is_read_to_its_end(
    store: LabelStore, recorder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = recorder(limit=4 * 300)
    for number in range(5):
        answered(replica, f"r{number}", number)
    replica.flush()
    monkeypatch.setattr(collecting, "BATCH_LINES", 2)
    read = collecting._put_requests
    calls = []

    def write_meanwhile(database: object, lines: list[bytes]) -> int:
        calls.append(len(lines))
        answered(replica, f"new{len(calls)}", "x" * 200)
        replica.flush()
        return read(database, lines)

    monkeypatch.setattr(collecting, "_KINDS", ((collecting._KINDS[0][0], "requests", write_meanwhile),))
    store.collect()
    monkeypatch.undo()
    store.collect()
    ids = [each.id for each in store.requests()]
    assert calls[:2] == [2, 2] and len(ids) == len(set(ids)) == 5 + len(calls)


def test_a_torn_line_waits_for_its_end_and_is_passed_over_without(
    store: LabelStore, recorder: Make, state: Path
) -> None:
    replica = recorder()
    answered(replica, "a", 1)
    replica.flush()
    path = state / "environments/production/capture/requests-5200.tsv"
    with path.open("ab") as file:
        file.write(b"1800000001.000\tb\t3\t200\t\t")
    assert store.collect().requests == 1
    with path.open("ab") as file:
        file.write(b'{"predictions": [2]}\n')
    assert store.collect().requests == 1
    with path.open("ab") as file:
        file.write(b"18000")  # killed here; the next replica on that port ends the line
    answered(replica, "d", 4)
    replica.flush()
    done = store.collect()
    assert (done.requests, done.unread) == (1, 1)
    assert [each.id for each in store.requests()] == ["a", "d", "b"]


def test_a_first_line_that_is_being_written_is_left_alone(store: LabelStore, state: Path) -> None:
    directory = state / "environments/production/capture"
    directory.mkdir(parents=True)
    path = directory / "requests-1.tsv"
    path.write_bytes(b"1800000000.000\ta\t3")
    assert not store.collect().unread
    path.write_bytes(b'1800000000.000\ta\t3\t200\t\t{"predictions": [7]}\n')
    assert store.collect().requests == 1


def test_files_that_vanish_and_links_are_passed_over(store: LabelStore, recorder: Make, state: Path) -> None:
    directory = state / "environments/production/capture"
    replica = recorder()
    answered(replica, "a", 1)
    replica.flush()
    secret = state / "secret"
    secret.write_bytes(b'1800000000.000\tstolen\t3\t200\t\t{"predictions": [7]}\n')
    (directory / "requests-evil.tsv").symlink_to(secret)
    os.mkfifo(directory / "requests-pipe.tsv")
    (directory / "requests-dir.tsv").mkdir()
    store.collect()
    (directory / "requests-5200.tsv").unlink()
    store.collect()
    assert [each.id for each in store.requests()] == ["a"]


def test_a_file_with_the_name_and_number_of_another_one_is_new(store: LabelStore, recorder: Make, state: Path) -> None:
    replica = recorder()
    for number in range(20):
        answered(replica, f"old{number}", number)
    replica.flush()
    store.collect()
    path = state / "environments/production/capture/requests-5200.tsv"
    with path.open("r+b") as file:  # the same inode: as when a file system gives it again
        file.truncate(0)
        file.write(b'1800000009.000\tnew\t3\t200\t\t{"predictions": [7]}\n')
    assert store.collect().requests == 1
    assert store.requests()[-1].id == "new"


HOSTILE = [
    b"",
    b"\xff\xfe\t\t\t\t\t",
    b"nan\ta\t3\t200\t\t{}",
    b"1e400\ta\t3\t200\t\t{}",
    b"-5\ta\t3\t200\t\t{}",
    b"1800000000\t\t3\t200\t\t{}",
    b"1800000000\ta\t3\tgood\t\t{}",
    b"1800000000\t" + b"a" * 300 + b"\t3\t200\t\t{}",
    b"{}",
]


def test_lines_that_are_none_are_counted_and_passed_over(store: LabelStore, state: Path) -> None:
    directory = state / "environments/production/capture"
    directory.mkdir(parents=True)
    good = b'1800000000.000\ta\t3\t200\t\t{"predictions": [1]}\n'
    (directory / "requests-1.tsv").write_bytes(good + b"\n".join(HOSTILE) + b"\n")
    done = store.collect()
    assert (done.requests, done.unread) == (1, len(HOSTILE))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[1]",
        b'{"predictions": ' + b"[" * 3000 + b"]" * 3000 + b"}",
        b'{"predictions": ' + b"9" * 5000 + b"}",
        b"x",
    ],
)
def test_an_answer_that_cannot_be_read_leaves_a_request_without_prediction(
    store: LabelStore, state: Path, answer: bytes
) -> None:
    directory = state / "environments/production/capture"
    directory.mkdir(parents=True)
    (directory / "requests-1.tsv").write_bytes(b"1800000000.000\ta\t3\t200\t\t" + answer + b"\n")
    assert store.collect().requests == 1
    assert store.requests()[0].predictions == ()


def test_inputs_come_from_captures(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    captured(replica, "a", [{"hour": 5, "carrier": "ä"}], 0.5)
    answered(replica, "b", 0.75, at=START + 1)
    replica.flush()
    store.collect()
    first, second = store.requests()
    assert (first.columns, first.inputs, second.columns) == (("hour", "carrier"), ((5, "ä"),), ())


def test_a_capture_of_an_earlier_version_of_podium_is_a_request(store: LabelStore, state: Path) -> None:
    replica = Recorder(state / "environments/production/capture", name="1", rate=1.0, limit=1 << 20)
    record = {"at": START, "request_id": "a", "version": "2", "status": 200, "content_type": "application/json"}
    replica.capture({**record, "input": '{"inputs": [[1, 2]]}', "output": '{"predictions": [3]}'}, 10)
    replica.close()
    store.collect()
    (found,) = store.requests()
    assert (found.version, found.predictions, found.columns, found.inputs) == (2, (3,), ("0", "1"), ((1, 2),))


def test_a_capture_that_is_read_before_its_request_is_of_the_same_one(
    store: LabelStore, recorder: Make, state: Path
) -> None:
    """As where a replica writes while one file after the other is opened, or copied from another machine."""
    replica = recorder()
    captured(replica, "a", [{"hour": 5}], 0.5)
    assert replica.requests is not None
    replica.requests._lines.pop()
    replica.flush()
    store.collect()
    assert [(each.id, each.predictions, each.labelled) for each in store.requests()] == [("a", (0.5,), False)]
    store.add([NewLabel(1, "a"), NewLabel(2, key="UA 7")], "crm", START + 1)
    for status in (503, 200, 200):  # another one of its name, itself, and one of its name and time
        replica.requests.add(START, b"a", status, b'{"predictions": [0.5]}', b'["UA 7"]')
    replica.flush()
    assert store.collect(now=START + 2).requests == 3
    found = [each for each in store.requests() if each.status == 200]
    assert [(each.predictions, each.inputs, each.labels) for each in found] == [
        ((0.5,), ((5,),), (1,)),
        ((0.5,), (), (2,)),
    ]
    assert (store.counts().contradictory, store.counts().requests) == (1, 2), "the key names both"


def test_the_file_of_an_earlier_version_is_read_on(state: Path, recorder: Make) -> None:
    with LabelStore.open(state, "production"):
        pass
    with sqlite3.connect(state / "labels/production.db") as connection:
        for table in ("early", "truths", "arrived"):
            connection.execute(f"DROP TABLE {table}")
        row = ("UA 7", "1", START, "crm")
        connection.execute("INSERT INTO waiting (key, value, received, client) VALUES (?, ?, ?, ?)", row)
        connection.execute("PRAGMA user_version=1")
    replica = recorder()
    captured(replica, "a", [{"hour": 5}], 0.5)
    replica.flush()
    for _ in range(2):
        with LabelStore.open(state, "production") as store:
            store.collect()
            assert (len(store.requests()), store.counts().waiting) == (1, 1)
    assert replica.requests is not None
    replica.requests.add(START, b"b", 200, b'{"predictions": [0.5]}', b'["UA 7"]')
    replica.flush()
    with LabelStore.open(state, "production") as store:
        store.collect()
        assert (store.of_ids(["b"])["b"].labels, store.counts().waiting) == ((1,), 0), "a key that waited then"


def test_two_processes_that_collect_at_once_collect_once(store: LabelStore, recorder: Make, state: Path) -> None:
    replica = recorder()
    for number in range(500):
        answered(replica, f"r{number}", number)
    replica.flush()
    program = (
        "import sys; from pathlib import Path; from podium.core.labels.store import LabelStore;"
        "store = LabelStore.open(Path(sys.argv[1]), 'production'); store.collect()"
    )
    others = [subprocess.Popen([sys.executable, "-c", program, str(state)]) for _ in range(2)]
    store.collect()
    assert [other.wait() for other in others] == [0, 0]
    assert len(store.requests()) == 500


KILLED = """
import os, signal, sys
from pathlib import Path
from podium.core.journal.sqlite.database import Database
from podium.core.labels import collecting
from podium.core.labels.store import LabelStore
left = int(sys.argv[2])
run = Database._execute
def count(self, sql, values):
    global left
    left -= 1
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return run(self, sql, values)
Database._execute = count
collecting.BATCH_LINES = 7
with LabelStore.open(Path(sys.argv[1]), "production") as store:
    store.collect()
"""


def test_whoever_is_killed_while_collecting_has_collected_each_line_once_or_not_yet(
    store: LabelStore, recorder: Make, state: Path
) -> None:
    """Killed with -9 before random statements, with feedback that comes before and after its request."""
    chance = random.Random(20130101)
    replica, kills, number = recorder(limit=6 * 2000), 0, 0
    store.add([NewLabel(each, key=f"k{each}") for each in range(80)], "file", START)
    assert replica.requests is not None
    for _ in range(8):
        for _ in range(10):
            answered(replica, f"r{number}", number)
            told(replica, f"r{max(0, number - 1)}", number)
            replica.requests.add(START, b"of a key", 200, b'{"predictions": [0]}', f'["k{number}"]'.encode())
            number += 1
        replica.flush()
        done = subprocess.run([sys.executable, "-c", KILLED, str(state), str(chance.randint(5, 80))], check=False)
        kills += done.returncode == -signal.SIGKILL
    store.collect()
    assert kills >= 4
    found = {name: [each for each in store.requests() if (each.id == "of a key") is name] for name in (True, False)}
    assert [each.predictions for each in found[False]] == [(each,) for each in range(number)]
    assert [each.labels for each in found[True]] == [(each,) for each in range(number)], "by key, each of them"
    client, file = store.clients()
    assert file.added == AddedLabels(matched=number)
    told_again = {"contradictory": 1}  # r0 was told twice, with another truth
    assert (client.added.matched, client.added.contradictory) == (number - 1, told_again["contradictory"])


def test_a_clock_that_jumps_changes_nothing(store: LabelStore, recorder: Make) -> None:
    replica = recorder()
    answered(replica, "now", 1, at=START)
    answered(replica, "past", 2, at=1.0)
    answered(replica, "future", 3, at=START * 3)
    told(replica, "future", 3)
    replica.flush()
    store.collect(now=START * 10)
    assert [each.id for each in store.requests()] == ["past", "now", "future"]
    counts = store.counts()
    assert (counts.requests, counts.matched, counts.delay) == (3, 1, 0.0), "a delay is never negative"


def test_the_file_is_private_and_a_damaged_one_is_said(state: Path) -> None:
    with LabelStore.open(state, "production"):
        path = state / "labels/production.db"
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    path.write_bytes(b"no database at all, but long enough to be taken for one by its size" * 100)
    with pytest.raises(JournalError, match="store of labels"):
        LabelStore.open(state, "production")


def test_a_later_versions_file_is_refused(state: Path) -> None:
    with LabelStore.open(state, "production"):
        pass
    with sqlite3.connect(state / "labels/production.db") as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(JournalError, match="later version"):
        LabelStore.open(state, "production")


def test_a_full_disk_collects_later(store: LabelStore, recorder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = recorder()
    answered(replica, "a", 1)
    replica.flush()
    store._database.run("PRAGMA max_page_count=1")
    with pytest.raises(JournalError, match="full"):
        for number in range(3000):
            answered(replica, f"r{number}", json.dumps(number))
            if number % 500 == 0:
                replica.flush()
                store.collect()
    store._database.run("PRAGMA max_page_count=100000")
    replica.flush()
    store.collect()
    ids = [each.id for each in store.requests()]
    assert len(ids) == len(set(ids)) and "a" in ids


@pytest.mark.parametrize("row", ["9223372036854775808", "-1", "1e400", "1.5", "true", '"0"', "[]"])
def test_a_row_that_no_request_has_is_refused_and_holds_nothing_up(store: LabelStore, state: Path, row: str) -> None:
    """A client may write any number: one of more than 64 bits made every later collection fail."""
    directory = state / "environments/production/capture"
    directory.mkdir(parents=True)
    (directory / "requests-1.tsv").write_bytes(b'1800000000.000\ta\t3\t200\t\t{"predictions": [1]}\n')
    label = '{"request_id": "%s", "truth": 1, "row": %s, "received": 1800000001, "client": "eve"}\n'
    (directory / "feedback-1.jsonl").write_text(label % ("a", row) + label % ("b", row) + label % ("a", "0.0"))
    (directory / "feedback-2.jsonl").write_text('{"refused": 99999999999999999999, "received": 1800000002}\n')
    store.collect(1800000003)
    assert store.requests()[0].labels == (1,)
    assert store.collect(1800000004).feedback == 0
