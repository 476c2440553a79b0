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
    found = [path for path in tmp_path.rglob("*") if path.is_file() and PRIVATE.encode() in path.read_bytes()]
    assert not found, "what must not be kept"
    command = Path(f"/proc/{again.process.pid}/cmdline")
    assert not command.exists() or TOKEN.encode() not in command.read_bytes()
