"""A replica as a process: start, health, lineage, captures, feedback, limits, and how it ends."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runner.scale import scaled
from tests.support import free_port, wait_until

SLOW = """
import time
from pathlib import Path
import mlflow
class Slow(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        seconds = float(model_input["seconds"].iloc[0])
        with open(COMPUTED, "a") as file:
            print(seconds, file=file)
        time.sleep(seconds)
        return [1]
mlflow.models.set_model(Slow())
"""
OWN_LOOP = """
import asyncio
import mlflow
class Own(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        async def later():
            await asyncio.sleep(0)
            return [int(model_input["x"].iloc[0]) + 1]
        return asyncio.run(later())
mlflow.models.set_model(Own())
"""
BODY = json.dumps({"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1.0, 2.0, 3.0]]}}).encode()


class Replica:
    def __init__(self, log: Path, model: Path, *arguments: str, port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        self.log = log
        command = [
            sys.executable,
            "-m",
            "podium.core.serving.server",
            "--model",
            str(model),
            "--port",
            str(self.port),
            *arguments,
        ]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=scaled(20))
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def status(self, path: str = "/ping") -> int:
        try:
            return self.ask("GET", path)[0]
        except OSError:
            return 0

    def ready(self) -> Replica:
        wait_until(lambda: self.status() == 200 or self.process.poll() is not None, 60, what="the replica answers")
        assert self.process.poll() is None, self.log.read_text()
        return self

    def metric(self, line: str) -> float:
        text = self.ask("GET", "/metrics")[2].decode()
        return next((float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(line)), 0.0)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Replica]]:
    made: list[Replica] = []

    def of(model: Path, *arguments: str, port: int | None = None) -> Replica:
        made.append(Replica(tmp_path_factory.mktemp("log") / "replica.log", model, *arguments, port=port))
        return made[-1]

    yield of
    for replica in made:
        if replica.process.poll() is None:
            replica.process.kill()
        replica.process.wait()


@pytest.fixture(scope="module")
def served(
    start: Callable[..., Replica], saved: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Replica, Path]:
    capture = tmp_path_factory.mktemp("captures") / "production"
    told = [
        "--version",
        "7",
        "--model-name",
        "flights",
        "--environment",
        "production",
        "--digest",
        "sha256:ab",
        "--commit",
        "c0ffee",
    ]
    replica = start(
        saved["sklearn"],
        *told,
        "--capture-dir",
        str(capture),
        "--capture-rate",
        "1",
        "--max-body",
        "20000",
        "--timeout",
        "2",
        "--arrival",
        "2",
    )
    # Health is answered from the start, so that a proxy sees a replica that is coming and not one that is broken.
    wait_until(lambda: replica.status() in (200, 503), 20)
    return replica.ready(), capture


def lines(capture: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in capture.glob(f"{kind}-*.jsonl") for line in path.read_text().splitlines()]


def test_it_answers_and_says_who_it_is(served: tuple[Replica, Path]) -> None:
    replica, _ = served
    status, headers, body = replica.ask("POST", "/invocations", BODY)
    assert status == 200
    assert len(json.loads(body)["predictions"][0]) == 2
    assert headers["x-request-id"]
    lineage = json.loads(replica.ask("GET", "/version")[2])
    told = {
        "model": "flights",
        "version": "7",
        "environment": "production",
        "digest": "sha256:ab",
        "commit": "c0ffee",
        "ready": True,
    }
    assert told.items() <= lineage.items()
    assert 'podium_model_info{model="flights",version="7"' in replica.ask("GET", "/metrics")[2].decode()


def test_uptime_checkers_ask_with_head_and_browsers_with_options(served: tuple[Replica, Path]) -> None:
    replica, _ = served
    for path in ("/ping", "/health", "/version", "/metrics"):
        status, headers, body = replica.ask("HEAD", path)
        assert (status, body) == (200, b"") and headers["content-type"] == replica.ask("GET", path)[1]["content-type"]
    assert replica.ask("HEAD", "/invocations")[0] == 405
    for path, allowed in (("/ping", "GET, HEAD"), ("/invocations", "POST")):
        status, headers, _ = replica.ask("OPTIONS", path)
        assert (status, headers["allow"]) == (405, allowed)
    # As a client sends it to a proxy.
    assert replica.ask("GET", f"http://127.0.0.1:{replica.port}/ping")[0] == 200


def test_only_this_machine_can_reach_it(served: tuple[Replica, Path]) -> None:
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [fields[1] for fields in listening if fields[3] == "0A" and fields[1].endswith(f":{served[0].port:04X}")]
    assert mine == [f"0100007F:{served[0].port:04X}"]


def test_errors_are_answered_and_counted(served: tuple[Replica, Path]) -> None:
    replica, _ = served
    before = {code: replica.metric(f'podium_requests_total{{code="{code}"}}') for code in (200, 400, 415)}
    assert replica.ask("POST", "/invocations", b"{")[0] == 400
    assert replica.ask("POST", "/invocations", BODY, {"Content-Type": "text/html"})[0] == 415
    assert replica.ask("POST", "/invocations", BODY)[0] == 200
    assert {code: replica.metric(f'podium_requests_total{{code="{code}"}}') - before[code] for code in before} == {
        200: 1,
        400: 1,
        415: 1,
    }
    assert replica.metric("podium_request_seconds_count") == sum(before.values()) + 3
    assert replica.metric("podium_in_flight") == 0


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("x" * 129, False), ("two words", False)])
def test_a_request_id_comes_back_if_it_is_a_plain_word(served: tuple[Replica, Path], given: str, kept: bool) -> None:
    assert (served[0].ask("POST", "/invocations", BODY, {"X-Request-Id": given})[1]["x-request-id"] == given) is kept


def test_captures_and_feedback_share_the_request_id(served: tuple[Replica, Path]) -> None:
    replica, capture = served
    replica.ask("POST", "/invocations", BODY, {"X-Request-Id": "flight-1545"})
    status, _, answer = replica.ask(
        "POST", "/feedback", json.dumps([{"request_id": "flight-1545", "truth": 1, "at": 5.0}]).encode()
    )
    assert (status, json.loads(answer)) == (202, {"accepted": 1})
    found = wait_until(
        lambda: [record for record in lines(capture, "capture") if record["request_id"] == "flight-1545"]
    )
    assert json.loads(found[0]["input"]) == json.loads(BODY)
    assert "predictions" in json.loads(found[0]["output"])
    assert (found[0]["status"], found[0]["version"]) == (200, "7")
    truth = wait_until(lambda: lines(capture, "feedback"))[0]
    assert (truth["request_id"], truth["truth"], truth["at"], truth["version"]) == ("flight-1545", 1, 5.0, "7")
    assert capture.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in capture.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"3", b'{"truth": 1}', b'{"request_id": 3, "truth": 1}', b'[{"request_id": "a", "truth": 1, "x": 2}]'],
)
def test_feedback_that_means_nothing_is_refused(served: tuple[Replica, Path], body: bytes) -> None:
    assert served[0].ask("POST", "/feedback", body)[0] == 400


def test_a_request_that_is_too_large_is_refused(served: tuple[Replica, Path]) -> None:
    replica, _ = served
    assert replica.ask("POST", "/invocations", b" " * 30_000)[0] == 413
    chunks = (b" " * 5_000 for _ in range(6))
    connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=scaled(10))
    connection.request("POST", "/invocations", chunks, {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
    assert replica.ask("POST", "/invocations", BODY)[0] == 200


def test_a_client_that_never_finishes_its_request_is_let_go(served: tuple[Replica, Path]) -> None:
    replica, _ = served
    with socket.create_connection(("127.0.0.1", replica.port), timeout=scaled(10)) as half:
        half.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        assert half.recv(100).startswith(b"HTTP/1.1 408")
    assert replica.ask("POST", "/invocations", BODY)[0] == 200
    assert replica.metric("podium_in_flight") == 0


def test_answers_do_not_wait_for_an_acknowledgement(served: tuple[Replica, Path]) -> None:
    """Nagle's algorithm would add 40 ms to every request of a kept connection."""
    connection = http.client.HTTPConnection("127.0.0.1", served[0].port, timeout=scaled(10))
    connection.request("POST", "/invocations", BODY, {"Content-Type": "application/json"})
    assert connection.getresponse().read()
    own = connection.sock.getsockname()[1]
    other = their_socket(served[0].process.pid, own)
    assert other.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    other.close()
    connection.close()


def their_socket(pid: int, port: int) -> socket.socket:
    """Returns the replica's end of a connection from our `port`, as a socket of this process: the kernel hands out a copy of
    another process's descriptor (pidfd_getfd, which Python does not know)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inode = next(fields[9] for fields in lines if fields[2].endswith(f":{port:04X}") and fields[9] != "0")
    number = next(
        int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(each) == f"socket:[{inode}]"
    )
    process = os.pidfd_open(pid)
    copy = ctypes.CDLL(None, use_errno=True).syscall(438, process, number, 0)
    os.close(process)
    assert copy >= 0, os.strerror(ctypes.get_errno())
    return socket.socket(fileno=copy)


@pytest.fixture(scope="module")
def slow(start: Callable[..., Replica], tmp_path_factory: pytest.TempPathFactory) -> Path:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    code = tmp_path_factory.mktemp("code") / "slow_model.py"
    code.write_text(f"COMPUTED = {str(code.parent / 'computed')!r}\n{SLOW}")
    path = code.parent / "model"
    signature = ModelSignature(inputs=Schema([ColSpec("double", "seconds")]))
    mlflow.pyfunc.save_model(path, python_model=str(code), signature=signature, pip_requirements=["mlflow"])
    return path


def sleepy(seconds: float) -> bytes:
    return json.dumps({"dataframe_split": {"columns": ["seconds"], "data": [[seconds]]}}).encode()


def test_a_slow_prediction_does_not_hide_the_replica(start: Callable[..., Replica], slow: Path) -> None:
    replica = start(slow, "--timeout", str(scaled(1.5))).ready()
    replica.ask("POST", "/invocations", sleepy(0.1))  # from here on the mean says: to the thread
    answers: list[int] = []
    body = sleepy(scaled(1.0))
    thread = threading.Thread(target=lambda: answers.append(replica.ask("POST", "/invocations", body)[0]))
    thread.start()
    wait_until(lambda: replica.metric("podium_in_flight") == 1)
    assert replica.status() == 200 and answers == [], "while it computes"
    thread.join()
    assert answers == [200]
    assert replica.ask("POST", "/invocations", sleepy(scaled(2.5)))[0] == 504


def test_what_is_too_much_is_refused_without_a_turn_at_the_model(start: Callable[..., Replica], slow: Path) -> None:
    replica = start(slow, "--timeout", str(scaled(60))).ready()
    answers: list[int] = []
    body = sleepy(scaled(4.0))
    thread = threading.Thread(target=lambda: answers.append(replica.ask("POST", "/invocations", body)[0]))
    thread.start()
    wait_until(lambda: replica.metric("podium_in_flight") == 1)
    status, headers, told = replica.ask("POST", "/invocations", b'{"inputs":[' + b"[]," * 5_000_000 + b"[]]}")
    assert status == 413 and headers["content-type"] == "application/json"
    assert json.loads(told)["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert replica.status() == 200 and answers == [], "the other one is predicted all the while"
    thread.join()
    assert answers == [200]


def test_bodies_that_do_not_end_do_not_fill_the_memory(start: Callable[..., Replica], saved: dict[str, Path]) -> None:
    replica = start(saved["sklearn"], "--max-body", "20000", "--arrival", str(scaled(60))).ready()
    head = b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: 20000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", replica.port)))
            client.sendall(head + b" " * 19_999)
        wait_until(lambda: replica.metric("podium_in_flight") == 16)
        assert replica.ask("POST", "/invocations", b" " * 19_999)[0] == 503
        assert replica.status() == 200
        assert replica.ask("POST", "/invocations", b"")[0] != 503, "it is about what they hold"
    wait_until(lambda: replica.metric("podium_in_flight") == 0)
    assert replica.ask("POST", "/invocations", BODY)[0] == 200


def test_what_nobody_waits_for_any_more_is_not_computed(start: Callable[..., Replica], slow: Path) -> None:
    replica = start(slow, "--timeout", "0.5").ready()
    replica.ask("POST", "/invocations", sleepy(0.1))
    first = len((slow.parent / "computed").read_text().split())
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(replica.ask("POST", "/invocations", sleepy(1.0))[0]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [504] * 8
    wait_until(lambda: replica.ask("POST", "/invocations", sleepy(0.0))[0] == 200, 20)
    computed = (slow.parent / "computed").read_text().split()
    assert computed[-1] == "0.0" and computed[first:].count("1.0") <= 2, "most of them had not begun"


def test_a_model_with_an_event_loop_of_its_own(start: Callable[..., Replica], tmp_path: Path) -> None:
    import mlflow

    (tmp_path / "own.py").write_text(OWN_LOOP)
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=str(tmp_path / "own.py"))
    replica = start(tmp_path / "model").ready()
    for _ in range(2):
        status, _, body = replica.ask(
            "POST", "/invocations", json.dumps({"dataframe_split": {"columns": ["x"], "data": [[2]]}}).encode()
        )
        assert (status, json.loads(body)) == (200, {"predictions": [3]})


def test_told_to_end_it_answers_what_it_has_and_takes_no_more(start: Callable[..., Replica], slow: Path) -> None:
    replica = start(slow).ready()
    replica.ask("POST", "/invocations", sleepy(0.1))
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(replica.ask("POST", "/invocations", sleepy(1.0))[0]))
    thread.start()
    wait_until(lambda: replica.metric("podium_in_flight") == 1)
    replica.process.send_signal(signal.SIGTERM)
    wait_until(lambda: replica.status() == 0)
    thread.join()
    assert answers == [200]
    assert replica.process.wait(scaled(10)) == 0


def test_a_model_that_cannot_be_loaded_is_one_clear_line(start: Callable[..., Replica], tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: no_such_module\n")
    for model, reason in ((tmp_path, "no_such_module"), (tmp_path / "nowhere", "MLmodel")):
        replica = start(model)
        assert replica.process.wait(scaled(60)) == 1
        said = replica.log.read_text()
        assert "Traceback" not in said
        assert reason in next(line for line in said.splitlines() if "cannot be loaded" in line)


def test_a_port_in_use_is_said_at_once(start: Callable[..., Replica], saved: dict[str, Path]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        replica = start(saved["sklearn"], port=taken.getsockname()[1])
        assert replica.process.wait(scaled(20)) == 5
    assert "Address already in use" in replica.log.read_text()
    assert "Traceback" not in replica.log.read_text()


def test_it_serves_on_an_inherited_socket(saved: dict[str, Path], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-m", "podium.core.serving.server", "--model", str(saved["sklearn"])]
        command += ["--port", "0", "--fd", str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL)
        port = listening.getsockname()[1]
    try:

        def status() -> int:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=scaled(10))
            try:
                connection.request("GET", "/ping")
                return connection.getresponse().status
            except OSError:
                return 0
            finally:
                connection.close()

        wait_until(lambda: status() == 200, 60)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(scaled(20)) == 0
