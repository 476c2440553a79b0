"""What becomes of a job that waits for room: answers of Ray's Jobs API, scripted by its published form, since a real one
keeps a job waiting for a quarter of an hour before it gives it up."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from podium.core.engine.executors.ray.remote import MARK
from podium.core.engine.executors.ray.spec import RayStepSpec
from podium.core.engine.executors.ray.supervisor import RayStep, _mark, delivered

GIVEN_UP = "Job supervisor actor failed to start within 900.0 seconds. This timeout can be configured by setting \n"


class Head(BaseHTTPRequestHandler):
    """Gives up the first job, and has carried out each later one."""

    submitted: list[str]
    stopped: list[str]
    pending = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/stop"):
            self.stopped.append(self.path.split("/")[-2])
        else:
            self.submitted.append(json.loads(body)["submission_id"])
        self._answer(200, b"{}")

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/api/v0/logs/file"):
            self._answer(200, MARK + b"x" + base64.b64encode(b"0") + b"\n")
        elif name not in self.submitted:
            self._answer(404, b"")
        elif self.pending:
            self._answer(200, json.dumps({"status": "PENDING", "message": "no room"}).encode())
        elif name == self.submitted[0]:
            self._answer(200, json.dumps({"status": "FAILED", "message": GIVEN_UP}).encode())
        else:
            self._answer(200, json.dumps({"status": "SUCCEEDED", "driver_node_id": "n1"}).encode())

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def head() -> Iterator[tuple[type[Head], str]]:
    handler = type("OneHead", (Head,), {"submitted": [], "stopped": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield cast("type[Head]", handler), f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def step(address: str, tmp_path: Path, **asked: bool) -> RayStep:
    spec = RayStepSpec(
        address=address, submission="podium-lab-1-a-1-0", delivered=tmp_path / "count", root=tmp_path, shared=True,
        argv=("true",), env={}, outputs=(), cpus=1.0, memory=0, gpus=0, resources={}, runtime_env={}, metadata={},
        state=tmp_path, result=tmp_path / "result", log=tmp_path / "log", worker=0,
    )  # fmt: skip
    worker = SimpleNamespace(**{"end": False, "kill": False, "news": threading.Event(), **asked})
    return RayStep(spec, cast("Any", worker), io.BytesIO())


def test_a_job_that_ray_gave_up_before_it_began_is_submitted_again(
    head: tuple[type[Head], str], tmp_path: Path
) -> None:
    handler, address = head
    assert step(address, tmp_path).carry_out() == 0
    assert handler.submitted == ["podium-lab-1-a-1-0", "podium-lab-1-a-1-0-1"]
    assert delivered(tmp_path / "count") == 1, "another worker looks for the second one"


def test_a_job_goes_on_for_a_worker_of_another_terminal(tmp_path: Path) -> None:
    one = step("http://127.0.0.1:9", tmp_path)._spec
    env = {"LANG": "C", "AWS_SESSION_TOKEN": "old", "DEPTH": "4"}
    marks = [
        _mark(replace(one, env={**env, **other}))
        for other in ({}, {"LANG": "de_DE.UTF-8", "AWS_SESSION_TOKEN": "new"}, {"DEPTH": "5"})
    ]
    assert marks[0] == marks[1] != marks[2]


def test_a_job_that_waits_for_room_is_not_waited_for_when_it_is_cancelled(
    head: tuple[type[Head], str], tmp_path: Path
) -> None:
    handler, address = head
    handler.pending = True
    ended = step(address, tmp_path)
    job = ended._begin()
    ended._asked.end = ended._asked.kill = True
    assert ended._followed(job).status == "STOPPED"
    assert handler.stopped == ["podium-lab-1-a-1-0"]
