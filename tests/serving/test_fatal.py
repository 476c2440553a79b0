"""Requests that end or hang the process which predicts them, with real replicas and a real HAProxy before them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.delivery.proxy.haproxy import BackendServer, ProxyLayout
from podium.core.delivery.proxy.proxy import Proxy, of_process

from tests.delivery.light import Load
from tests.runner.scale import scaled
from tests.serving.fatal import EXIT, FINE, HANG, KILLED_ONCE, LEAVE, LONG, SEGV, predicted, save
from tests.serving.test_replica import Replica
from tests.support import free_port, wait_until


def body(x: float) -> bytes:
    return json.dumps({"dataframe_split": {"columns": ["x"], "data": [[x]]}}).encode()


def ask(port: int, x: float, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=scaled(30))
    try:
        connection.request("POST", "/invocations", body(x), {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class Served:
    """Replicas that share a guard, behind a proxy."""

    def __init__(self, directory: Path, model: Path, *options: str) -> None:
        self.directory, self.model, self.options = directory, model, options
        self.replicas: list[Replica] = []
        self.proxy: Proxy | None = None
        self.port = 0

    def start(self, port: int | None = None) -> Replica:
        log = self.directory / f"{len(self.replicas)}.log"
        guard = ("--guard", str(self.directory / "guard"))
        self.replicas.append(Replica(log, self.model, *guard, *self.options, port=port))
        return self.replicas[-1]

    def behind_a_proxy(self, number: int) -> Served:
        for replica in [self.start() for _ in range(number)]:
            replica.ready()
        self.port = free_port()
        self.proxy = of_process(self.directory, "staging")
        servers = tuple(BackendServer(f"v1-{n}", each.port, 100) for n, each in enumerate(self.replicas, 1))
        self.proxy.ensure(ProxyLayout("127.0.0.1", self.port, servers))
        wait_until(lambda: all(stat.up for stat in self.stats()), 20)
        return self

    def stats(self) -> list[Any]:
        assert self.proxy is not None
        return [stat for stat in self.proxy.stats() if stat.kind == "server"]

    def ended(self) -> list[int | None]:
        return [code for each in self.replicas if (code := each.process.poll()) is not None]

    def logs(self) -> str:
        return "\n".join(each.log.read_text(errors="replace") for each in self.replicas)

    def close(self) -> None:
        if self.proxy is not None:
            self.proxy.stop()
        for each in self.replicas:
            each.process.kill()
            each.process.wait()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("fatal"))


@pytest.fixture
def served(tmp_path: Path, model: Path) -> Iterator[Callable[..., Served]]:
    for name in ("predicted", "predicted.go", "predicted.kill"):
        (model.parent / name).unlink(missing_ok=True)
    made: list[Served] = []

    def of(*options: str) -> Served:
        made.append(Served(tmp_path, model, *options))
        return made[-1]

    yield of
    for each in made:
        each.close()


@pytest.mark.in_turn(1)
@pytest.mark.parametrize(("x", "how", "code"), [(EXIT, "exit code 3", 3), (SEGV, "SIGSEGV", -signal.SIGSEGV)])
def test_a_request_that_ends_its_process_costs_one_replica_and_one_child(
    served: Callable[..., Served], x: float, how: str, code: int
) -> None:
    many = served().behind_a_proxy(3)
    with Load(many.port, body=body(FINE), rate=50) as load:
        wait_until(lambda: load.total > 20)
        status, answer = ask(many.port, x, **{"X-Request-Id": "the-bad-one"})
        assert status == 500 and "2 processes ended while they predicted it" in answer["message"]
        seen = load.total
        wait_until(lambda: load.total > seen + 20)
    assert load.failures == []
    assert many.ended() == [code], "the other process was a child"
    began = predicted(many.model, x)
    assert len(began) == 2
    assert "the-bad-one (digest " in many.logs() and how in many.logs()
    again = [ask(many.port, x)[0] for _ in range(6)]
    assert again == [500] * 6 and predicted(many.model, x) == began, "refused before it is predicted"
    alive = [each for each in many.replicas if each.process.poll() is None]
    assert sum(each.metric("podium_refused_total") for each in alive) == 7
    assert sum(each.metric("podium_died_apart_total") for each in alive) == 1


def test_a_request_that_ends_a_batch_is_refused_and_those_beside_it_are_answered(served: Callable[..., Served]) -> None:
    many = served("--batch-max", "16", "--batch-wait", "0.2").behind_a_proxy(3)
    found: dict[float, int] = {}

    def send(x: float) -> None:
        found[x] = ask(many.port, x)[0]

    beside = [FINE + number for number in range(12)]
    threads = [threading.Thread(target=send, args=(x,)) for x in [*beside[:6], EXIT, *beside[6:]]]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == {EXIT: 500, **dict.fromkeys(beside, 200)}
    assert many.ended() == [3], "the other process was a child"
    assert len(predicted(many.model, EXIT)) == 2
    assert [ask(many.port, x)[0] for x in (EXIT, *beside[:3])] == [500, 200, 200, 200]
    assert len(predicted(many.model, EXIT)) == 2 and many.ended() == [3]
    alive = [each for each in many.replicas if each.process.poll() is None]
    assert sum(each.metric("podium_batched_total") for each in alive) > 0, "others were gathered meanwhile"


def test_the_refusal_outlives_the_replicas_and_ends_with_its_time(served: Callable[..., Served]) -> None:
    many = served()
    first = many.start().ready()
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(first.port, EXIT)
    assert first.process.wait(scaled(10)) == 3
    second = many.start().ready()
    assert ask(second.port, EXIT)[0] == 500 and second.process.poll() is None
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(scaled(20)) == 0
    third = many.start().ready()
    assert ask(third.port, EXIT)[0] == 500 and len(predicted(many.model, EXIT)) == 2

    many.options = ("--refuse-for", "0.01")
    fourth = many.start().ready()
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(fourth.port, EXIT)
    assert fourth.process.wait(scaled(10)) == 3 and len(predicted(many.model, EXIT)) == 3


def test_a_replica_killed_from_outside_loses_nothing_and_suspects_nobody_for_long(
    served: Callable[..., Served],
) -> None:
    many = served().behind_a_proxy(2)
    (many.model.parent / "predicted.kill").touch()
    # The kill comes in the middle of a prediction of what all clients send: it is suspected, tried, and cleared.
    with Load(many.port, body=body(KILLED_ONCE), rate=100) as load:
        wait_until(lambda: many.ended() == [-signal.SIGKILL])
        seen = load.total
        wait_until(lambda: load.total > seen + 50)
    assert load.failures == []
    left = next(each for each in many.replicas if each.process.poll() is None)
    assert left.metric("podium_answered_apart_total") == 1 and left.metric("podium_refused_total") == 0


def test_kills_under_load_lose_nothing(served: Callable[..., Served]) -> None:
    many = served().behind_a_proxy(3)
    with Load(many.port, body=body(FINE), rate=200) as load:
        for victim in many.replicas[:2]:
            seen = load.total
            wait_until(lambda seen=seen: load.total > seen + 50)
            victim.process.kill()
        # Neither is known to be dead yet: what is sent on from one may come to the other, and back.
        seen = load.total
        wait_until(lambda: load.total > seen + 400)
    assert load.failures == []


@pytest.mark.in_turn(2)
@pytest.mark.parametrize("harm", ["missing", "directory", "other", "short", "gone bad"])
def test_nothing_fails_because_of_the_guard(served: Callable[..., Served], tmp_path: Path, harm: str) -> None:
    guard = tmp_path / "guard"
    if harm == "missing":
        guard = tmp_path / "nowhere" / "guard"
    elif harm == "directory":
        guard.mkdir()
    elif harm == "other":
        guard.write_text("something that somebody needs\n")
    elif harm == "short":
        guard.write_bytes(b"podium guard 01\n")
    replica = served("--guard", str(guard)).start().ready()
    if harm == "gone bad":
        os.truncate(guard, 3)
    assert [ask(replica.port, FINE)[0] for _ in range(3)] == [200] * 3
    assert replica.log.read_text().count("no guard") == (harm != "short")
    if harm == "other":
        assert guard.read_text() == "something that somebody needs\n"


def test_the_guard_is_for_its_owner_only_and_has_room_for_64(tmp_path: Path) -> None:
    from podium.core.serving import guard

    said: list[str] = []
    made = guard.Guard(tmp_path / "guard", "v1", say=said.append)
    assert (tmp_path / "guard").stat().st_mode & 0o777 == 0o600 and said == []
    one, other = made.digest(b"a", "json"), guard.Guard(None, "v2", say=said.append)
    assert len(one) == 16 and other.digest(b"a", "json") == b""
    assert [made.died(one) for _ in range(2)] == [1, 2] and made.deaths(one) == 2
    for number in range(300):  # more than there is room for: the oldest go
        made.died(number.to_bytes(16, "big"))
    assert made.deaths(one) == 0 and made.deaths((299).to_bytes(16, "big")) == 1
    made.clear((299).to_bytes(16, "big"))
    assert made.deaths((299).to_bytes(16, "big")) == 0 and said == []


def test_a_prediction_that_hangs_is_told_and_sent_on_by_the_proxy(served: Callable[..., Served]) -> None:
    replica = served("--timeout", str(scaled(1))).start().ready()
    status = []
    thread = threading.Thread(target=lambda: status.append(replica.ask("POST", "/invocations", body(HANG))[0]))
    thread.start()
    wait_until(lambda: replica.metric("podium_in_flight") == 1)
    assert replica.status() == 200, "health is answered while it may still come back"
    thread.join()
    assert status == [504]
    wait_until(lambda: replica.status() == 503, 10)
    told = json.loads(replica.ask("GET", "/ping")[2])
    assert "has not come back" in told["message"] and f"the time-out is {scaled(1):g} s" in told["message"]
    code, answer = ask(replica.port, FINE)
    assert code == 503 and "has not come back" in answer["message"]


@pytest.mark.parametrize("inline", [0.0, 0.5], ids=["in the thread", "on the event loop"])
def test_nothing_fails_beside_a_prediction_that_hangs(served: Callable[..., Served], inline: float) -> None:
    """The proxy goes on giving its replica half of all requests, over connections that are kept, too; they wait for a
    moment and are sent on."""
    many = served("--timeout", str(scaled(60)), "--inline", str(scaled(inline))).behind_a_proxy(2)
    with Load(many.port, body=body(FINE), rate=50) as load:
        wait_until(lambda: load.total > 20)
        threading.Thread(target=lambda: suppressed(lambda: ask(many.port, HANG)), daemon=True).start()
        wait_until(lambda: predicted(many.model, HANG))
        seen = load.total
        wait_until(lambda: load.total > seen + 100, 30)
    assert load.failures == []
    assert len(predicted(many.model, HANG)) == 1 and all(stat.up for stat in many.stats())


def suppressed(work: Callable[[], object]) -> None:
    with contextlib.suppress(OSError, ValueError):
        work()


def test_a_request_that_hangs_twice_is_refused(served: Callable[..., Served]) -> None:
    many = served("--timeout", str(scaled(1)))
    first = many.start().ready()
    assert replica_code(first, HANG) == 504
    first.process.kill()
    first.process.wait()
    second = many.start().ready()
    assert ask(second.port, HANG)[0] == 500 and ask(second.port, FINE)[0] == 200
    assert len(predicted(many.model, HANG)) == 2 and "it had not answered after" in many.logs()
    assert ask(second.port, HANG)[0] == 500 and len(predicted(many.model, HANG)) == 2


def replica_code(replica: Replica, x: float) -> int:
    return replica.ask("POST", "/invocations", body(x))[0]


def test_a_model_that_wants_to_leave_is_an_error_and_the_replica_lives(served: Callable[..., Served]) -> None:
    replica = served().start().ready()
    assert [replica_code(replica, LEAVE) for _ in range(3)] == [500] * 3
    assert replica.process.poll() is None and replica_code(replica, FINE) == 200
    assert replica.metric("podium_refused_total") == 0


def test_a_long_prediction_after_thirty_short_ones_hides_nothing(served: Callable[..., Served]) -> None:
    many = served("--inline", str(scaled(0.05)), "--timeout", str(scaled(60)))
    replica = many.start().ready()
    assert [replica_code(replica, FINE) for _ in range(30)] == [200] * 30
    answers: dict[str, int] = {}

    def send(name: str, x: float) -> threading.Thread:
        thread = threading.Thread(target=lambda: answers.update({name: replica_code(replica, x)}))
        thread.start()
        return thread

    threads = [send("long", LONG)]
    wait_until(lambda: predicted(many.model, LONG))
    threads.append(send("short", FINE))
    assert [replica.status() for _ in range(5)] == [200] * 5 and answers.get("long") is None
    wait_until(lambda: answers.get("short") == 503, 20, what="a proxy may send it on")
    threads.append(send("patient", FINE))
    (many.model.parent / "predicted.go").touch()
    for thread in threads:
        thread.join()
    assert answers["long"] == 200 and answers["patient"] in (200, 503), "it came before or after the loop was free"
    assert replica_code(replica, FINE) == 200
