"""The relay ends, or is removed, at a moment when it was just found running; and any thread may ask it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest
from podium.core.containers import Engine
from podium.core.delivery.drivers.docker.relay import RelayTransport
from podium.core.errors import Interrupted, RunFailed, Unreachable

from tests.delivery.docker.docked import Docked
from tests.runner.scale import scaled

# Nothing listens there: the relay answers that, and not its engine.
CLOSED = 9
SOCKET = PurePosixPath("/run/podium/proxy/none.sock")


@pytest.fixture
def docked(tmp_path: Path, engine: Engine) -> Iterator[Docked]:
    made = Docked(tmp_path, engine, replicas=1)
    made.version(1)
    yield made
    made.close()


def way_of(docked: Docked) -> RelayTransport:
    """As to an engine on another machine; the engine is this machine's."""
    return RelayTransport(docked.driver.place)


Ask = Callable[[RelayTransport], object]
ASKED: dict[str, tuple[type[Exception], Ask]] = {
    "http": (OSError, lambda way: way.http("127.0.0.1", CLOSED, "GET", "/ping")),
    "timed": (
        OSError,
        lambda way: way.timed("127.0.0.1", CLOSED, "/invocations", body=b"", content_type="", timeout=2.0),
    ),
    "ask": (Unreachable, lambda way: way.ask(SOCKET, "show stat")),
    "write": (Unreachable, lambda way: way.write(SOCKET.parent, {"haproxy.cfg": ""})),
}


def refused(way: RelayTransport) -> str:
    """Asks where nothing listens; returns what the relay says to that."""
    with pytest.raises(OSError, match=r"refused") as caught:
        way.http("127.0.0.1", CLOSED, "GET", "/ping")
    return str(caught.value)


@pytest.mark.parametrize("how", ["killed", "removed"])
def test_a_relay_that_ends_after_it_was_found_is_one_that_does_not_answer(
    docked: Docked, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    opened = RelayTransport._open

    def then_gone(self: RelayTransport) -> tuple[Engine, str]:
        engine, container = opened(self)
        if how == "killed":
            engine.api.kill(container)
        else:
            engine.api.remove_container(container, force=True)
        return engine, container

    with monkeypatch.context() as ending:
        ending.setattr(RelayTransport, "_open", then_gone)
        for error, ask in ASKED.values():
            with pytest.raises(error, match=r"is not running|No such container"):
                ask(way_of(docked))
    assert refused(way_of(docked)), "the next request starts another one"
    assert len(docked.containers("relay", stopped=False)) == 1


def test_a_person_who_interrupts_is_heard(docked: Docked, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: RelayTransport) -> tuple[Engine, str]:
        raise Interrupted("interrupted")

    monkeypatch.setattr(RelayTransport, "_open", interrupted)
    for _, ask in ASKED.values():
        with pytest.raises(Interrupted):
            ask(way_of(docked))


def test_its_own_hint_is_kept(docked: Docked, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(_: RelayTransport) -> tuple[Engine, str]:
        raise RunFailed("the relay does not start", hint="remove it: docker rm relay")

    monkeypatch.setattr(RelayTransport, "_open", failed)
    with pytest.raises(Unreachable, match="does not answer: the relay does not start") as caught:
        way_of(docked).ask(SOCKET, "show stat")
    assert caught.value.hint == "remove it: docker rm relay"


def test_any_thread_makes_it_of_an_image_that_the_engine_has(docked: Docked) -> None:
    """Where no replica runs whose image would do. The journal belongs to the thread that opened it."""
    docked.version(2)
    way, told = way_of(docked), list[str]()
    thread = threading.Thread(target=lambda: told.append(refused(way)))
    thread.start()
    thread.join(scaled(60))
    assert told, "the relay itself answered"
    [relay] = docked.containers("relay", stopped=False)
    images = {each["Id"]: each for each in docked.engine.api.images(filters={"label": docked.mark})}
    assert len(images) == 2 and relay["ImageID"] == max(images.values(), key=lambda each: each["Created"])["Id"]
