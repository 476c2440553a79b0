"""What a real replica keeps of its requests, as the store collects it, also when the replica is killed."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.labels.store import LabelStore
from podium.core.serving.senders import digest_of, written

from tests.serving.test_replica import Replica
from tests.support import wait_until

TOKEN = "token-of-the-crm-0123456789"
PRIVATE = "anna@example.com"
Start = Callable[[], Replica]


@pytest.fixture
def start(saved: dict[str, Path], tmp_path: Path) -> Iterator[Start]:
    """Starts replicas of one place: the same port, the same files."""
    made: list[Replica] = []
    options = ("--version", "7", "--capture-dir", str(tmp_path / "environments/production/capture"))
    options += ("--capture-rate", "1", "--keep-requests", "--redact", '["email"]', "--key", "flight")
    options += ("--feedback", written({"crm": digest_of(TOKEN)}))

    def of() -> Replica:
        port = made[0].port if made else None
        made.append(Replica(tmp_path / f"{len(made)}.log", saved["sklearn"], *options, port=port).ready())
        return made[-1]

    yield of
    for replica in made:
        replica.process.kill()
        replica.process.wait()


def ask(replica: Replica, name: str) -> int:
    row = {"a": 1.0, "b": 2.0, "c": 3.0, "email": PRIVATE, "flight": f"flight {name}"}
    return replica.ask(
        "POST", "/invocations", json.dumps({"dataframe_records": [row]}).encode(), {"X-Request-Id": name}
    )[0]


def found_private(directory: Path) -> list[Path]:
    """Returns the files in which something is that must not be kept."""
    return [path for path in directory.rglob("*") if path.is_file() and PRIVATE.encode() in path.read_bytes()]


def tell(replica: Replica, name: str, truth: object, token: str = TOKEN) -> int:
    body = json.dumps({"request_id": name, "truth": truth}).encode()
    return replica.ask("POST", "/feedback", body, {"Authorization": f"Bearer {token}"})[0]


def test_requests_labels_and_inputs_come_from_a_replica_once(start: Start, tmp_path: Path) -> None:
    replica = start()
    assert [ask(replica, f"r{number}") for number in range(5)] == [200] * 5
    assert (tell(replica, "r1", 1), tell(replica, "r1", 0), tell(replica, "r2", 1, "wrong" * 5)) == (202, 202, 401)
    (tmp_path / "labels").mkdir()
    with LabelStore.open(tmp_path, "production") as store:
        wait_until(lambda: store.collect() and len(store.clients()) == 2, 20, what="the store has labels")
        requests = store.requests()
        assert [each.id for each in requests] == [f"r{number}" for number in range(5)]
        assert {each.version for each in requests} == {7} and all(each.predictions for each in requests)
        assert requests[1].labels == (1,) and requests[1].columns == ("a", "b", "c", "flight")
        assert {each.name: each.added.contradictory for each in store.clients()} == {"crm": 1, "(wrong token)": 0}
        assert store.keys([requests[0].number]) == {(requests[0].number, 0): "flight r0"}
        for number in range(20):
            ask(replica, f"later{number}")
        replica.process.send_signal(signal.SIGKILL)  # whatever of these was written, nothing is torn or there twice
        replica.process.wait()
        again = start()
        assert ask(again, "last") == 200
        wait_until(lambda: store.collect() and "last" in store.of_ids(["last"]), 20, what="the last request is there")
        ids = [each.id for each in store.requests()]
        assert len(ids) == len(set(ids)) and set(ids) >= {"r0", "last"}
    assert found_private(tmp_path) == [], "what must not be kept"
    command = Path(f"/proc/{again.process.pid}/cmdline")
    assert not command.exists() or TOKEN.encode() not in command.read_bytes()


def test_a_column_is_not_kept_however_a_client_writes_its_name(start: Start, tmp_path: Path) -> None:
    replica = start()
    row = {"a": 1.0, "b": 2.0, "c": 3.0}
    bodies = [
        (f"\ufeffemail,a,b,c\n{PRIVATE},1,2,3\n", "text/csv"),
        (f'a,b,c, "Email"\n1,2,3,{PRIVATE}\n', "text/csv"),
        (json.dumps({"dataframe_records": [{**row, "EMAIL ": PRIVATE}]}), "application/json"),
        (json.dumps({"dataframe_records": [{**row, "person": {"email": PRIVATE}}]}), "application/json"),
        (json.dumps({"inputs": [{**row, "person": [{"Email": PRIVATE}]}]}), "application/json"),
    ]
    answered = [
        replica.ask("POST", "/invocations", text.encode(), {"Content-Type": kind, "X-Request-Id": f"r{number}"})[0]
        for number, (text, kind) in enumerate(bodies)
    ]
    assert answered[:3] == [200] * 3, "the model takes them, the first one with the mark before its first column"
    assert tell(replica, "r0", {"late": 1, "Email": PRIVATE}) == 202
    captured = tmp_path / "environments/production/capture"

    def lines(kind: str) -> list[dict[str, object]]:
        return [json.loads(line) for path in captured.glob(f"{kind}-*") for line in path.read_text().splitlines()]

    wait_until(lambda: len(lines("capture")) == len(bodies) and lines("feedback"), 20, what="all of it is written")
    assert all(each["redacted"] == ["email"] for each in lines("capture"))
    assert lines("feedback")[0]["truth"] == {"late": 1}
    assert found_private(tmp_path) == []
