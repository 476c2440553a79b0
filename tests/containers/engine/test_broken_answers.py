"""An engine that breaks off, is silent, or errs for a moment while it pulls, pushes or builds an image, or tells a
log."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine.connections import patiently
from podium.core.containers.engine.errors import EngineAway
from podium.core.containers.images import build, registry, store
from podium.core.containers.images.context import BuildContext
from podium.core.containers.observe import log_collector
from podium.core.containers.observe.log_collector import LogKeeper
from podium.core.containers.observe.snapshot import describe
from podium.core.domain.containers import EngineSnapshot
from podium.core.errors import Unreachable

from tests.containers.wire import Request, Wire, breaks, document, half, messages
from tests.runner.scale import scaled
from tests.support import wait_until

CREATE, PUSH, BUILD = "POST /images/create", "POST /images/team/tools/push", "POST /build"
IMAGE = "sha256:" + "a" * 64
LAYER = {"id": "c0ffee", "status": "Pull complete"}


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with Wire(tmp_path / "engine.sock") as made:
        made.tell("GET /images/team/tools:1/json", document({"Id": IMAGE}))
        made.tell(f"POST /images/{IMAGE}/tag", document({}, 201))
        yield made


@pytest.fixture
def answering(wire: Wire) -> Iterator[Engine]:
    with wire.engine(timeout=1) as made:
        yield made


@pytest.fixture
def silent() -> Iterator[Callable[[Request], None]]:
    """Says nothing until the test is over: who ends a wait for it has ended it himself."""
    end = threading.Event()
    yield lambda request: end.wait() and None
    end.set()


def pull(engine: Engine) -> str:
    return str(registry.pull(engine, "team/tools:1", say=lambda _: None)["Id"])


def push(engine: Engine) -> str:
    return registry.push(engine, IMAGE, "team/tools", "1", say=lambda _: None)


@pytest.mark.parametrize("work", [pull, push])
@pytest.mark.parametrize("end", [breaks, half])
def test_a_transfer_that_breaks_off_may_be_tried_again(
    wire: Wire, answering: Engine, work: Callable[[Engine], str], end: Callable[[Request], None]
) -> None:
    pushed = {"aux": {"Digest": IMAGE}}
    wire.tell(CREATE, messages(LAYER, then=end), messages(LAYER))
    wire.tell(PUSH, messages(LAYER, then=end), messages(pushed))
    said: list[str] = []
    assert patiently(lambda: work(answering), 5.0, said.append) == IMAGE
    assert "was interrupted" in said[0] and said[0].startswith(("pulling team/tools:1", "pushing team/tools:1"))


@pytest.mark.parametrize("work", [pull, push])
def test_an_engine_that_falls_silent_during_a_transfer_is_away(
    wire: Wire,
    answering: Engine,
    silent: Callable[[Request], None],
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Engine], str],
) -> None:
    monkeypatch.setattr(registry, "SILENCE_TIMEOUT", 0.3)
    for answer in (messages(LAYER, then=silent), silent):
        wire.tell(CREATE, answer)
        wire.tell(PUSH, answer)
        with pytest.raises(EngineAway, match="team/tools:1"):
            work(answering)


def test_a_registry_may_take_longer_than_an_engine_may_for_anything_else(wire: Wire, answering: Engine) -> None:
    wire.tell(
        PUSH,
        messages(
            LAYER,
            then=lambda request: (
                time.sleep(1.5),
                request.put(json.dumps({"aux": {"Digest": IMAGE}}).encode()),
                request.end(),
            )[2],
        ),
    )
    assert push(answering) == IMAGE


@pytest.mark.parametrize(
    ("work", "request_", "body"), [(pull, CREATE, b""), (push, "POST /images/hub.example:5000/team/tools/push", b"{}")]
)
def test_the_login_goes_along(
    wire: Wire,
    answering: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Engine], str],
    request_: str,
    body: bytes,
) -> None:
    login = base64.b64encode(b"anna:hush").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"hub.example:5000": {"auth": login}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    wire.tell(request_, messages({"aux": {"Digest": IMAGE}}))
    wire.tell("GET /images/hub.example:5000/team/tools:1/json", document({"Id": IMAGE}))
    if work is pull:
        registry.pull(answering, "hub.example:5000/team/tools:1", say=lambda _: None)
    else:
        registry.push(answering, IMAGE, "hub.example:5000/team/tools", "1", say=lambda _: None)
    asked = next(each for each in wire.seen if each.request == request_)
    sent = json.loads(base64.urlsafe_b64decode(asked.headers["X-Registry-Auth"]))
    assert (sent["username"], sent["password"]) == ("anna", "hush")
    assert asked.body == body
    assert "tag=1" in asked.query and ("fromImage=hub.example%3A5000%2Fteam%2Ftools" in asked.query) == (work is pull)


@pytest.mark.parametrize("end", [breaks, half])
def test_a_build_that_breaks_off_is_told(wire: Wire, answering: Engine, end: Callable[[Request], None]) -> None:
    context = BuildContext()
    context.add("Dockerfile", b"FROM scratch\n")

    def swallow(request: Request) -> None:
        while size := int(request.rfile.readline(), 16):
            request.rfile.read(size + 2)
        request.rfile.readline()
        messages({"stream": "Step 1/1 : FROM scratch\n"}, then=end)(request)

    wire.tell(BUILD, swallow)
    with pytest.raises(Unreachable, match="was interrupted"):
        build.build(answering, build.BuildRequest(context.stream), say=lambda _: None, builder=build.CLASSIC)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-05-01T12:00:00.123456789Z", 1777636800.123456),
        ("2026-05-01T12:00:00.5-07:00", 1777662000.5),
        ("2026-05-01T12:00:00+05:30", 1777617000.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
    ],
)
def test_an_image_was_named_when_the_engine_says_whatever_its_zone(
    wire: Wire, answering: Engine, written: str, moment: float
) -> None:
    wire.tell("GET /images/team/tools:1/json", document({"Id": IMAGE, "Metadata": {"LastTagTime": written}}))
    assert store.named(answering, "team/tools:1") == moment


INSPECT = "GET /containers/c1/json"
RUNS = {
    "Id": "c1",
    "Name": "/one",
    "Created": "2026-05-01T12:00:00Z",
    "State": {"Status": "running", "Running": True, "StartedAt": "2026-05-01T12:00:00Z"},
    "Config": {"Labels": {}, "Tty": False},
}
FAULT = document({"message": "a passing fault"}, 500)


def lines(*texts: str) -> Callable[[Request], None]:
    """The engine's own frames, then silence."""

    def answer(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        for number, text in enumerate(texts):
            frame = f"2026-05-01T12:00:0{number}.000000000Z {text}\n".encode()
            request.wfile.write(bytes([1, 0, 0, 0]) + len(frame).to_bytes(4, "big") + frame)
        request.connection.settimeout(scaled(20.0))
        request.rfile.read(1)

    return answer


@pytest.fixture
def keeper(answering: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogKeeper]:
    monkeypatch.setattr(log_collector, "_RETRY_INTERVAL", 0.02)
    made = LogKeeper(answering, lambda _: tmp_path / "one.log")
    yield made
    made.close()


PICTURE = EngineSnapshot("production", "here", 1.0, (describe(RUNS, "production", 1.0),))


@pytest.mark.parametrize("request_", [INSPECT, "GET /containers/c1/logs"])
def test_a_passing_fault_of_the_engine_does_not_end_the_keeping_of_a_log(
    wire: Wire, keeper: LogKeeper, tmp_path: Path, request_: str
) -> None:
    wire.tell(INSPECT, document(RUNS))
    wire.tell("GET /containers/c1/logs", lines("first", "second"))
    wire.answers[request_].extendleft([FAULT, FAULT])
    keeper.see(PICTURE)
    wait_until(lambda: (tmp_path / "one.log").exists() and "second" in (tmp_path / "one.log").read_text())
    wait_until(keeper.caught_up)
    keeper.close()
    assert not any(each.alive for each in keeper._followers.values())


def test_a_follower_ends_with_its_container_and_when_told_to_whatever_the_engine_says(
    wire: Wire, keeper: LogKeeper
) -> None:
    wire.tell(INSPECT, FAULT)
    keeper.see(PICTURE)
    wait_until(lambda: sum(each.request == INSPECT for each in wire.seen) > 3)
    keeper.close()
    assert not keeper._followers["c1"].alive
    wire.tell(INSPECT, document({"message": "no such container: c1"}, 404))
    keeper._followers.clear()
    keeper.see(PICTURE)
    wait_until(lambda: not keeper._followers["c1"].alive)
