"""Requests that wait for a child or for a thread that hangs, with a model that does what the test says."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from podium.core.serving import apart, predicting
from podium.core.serving.guard import Guard
from podium.core.serving.metrics import Metrics
from podium.core.serving.options import Options
from podium.core.serving.predicting import Predictor
from podium.core.serving.scoring import ScoringAnswer

from tests.runner.scale import scaled

FINE = ScoringAnswer(200, b"1")


class Model:
    """Its predictions wait for `go`."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[bytes] = []

    def answer(self, body: bytes, content_type: str | None) -> ScoringAnswer:
        self.asked.append(body)
        self.go.wait(scaled(60))
        return FINE


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.go.set()


def predictor(directory: Path, timeout: float) -> tuple[Predictor, Guard]:
    guard = Guard(directory / "guard", "v1", say=print)
    return Predictor(Options(directory, 1, timeout=timeout), guard, Metrics({})), guard


async def ask(made: Predictor, model: Model, body: bytes) -> int:
    return (await made.answer(cast("Any", model), body, None, b"id")).status


def suspect(guard: Guard, *bodies: bytes, deaths: int = 1) -> None:
    for body in bodies:
        for _ in range(deaths):
            guard.died(guard.digest(body, None))


def test_a_suspect_waits_for_a_child_neither_without_bound_nor_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "_MAX_SUSPECTED", 2)
    begun, go = threading.Event(), threading.Event()

    def stuck(work: Callable[[], ScoringAnswer], seconds: float, turn: threading.Lock) -> ScoringAnswer:
        begun.set()
        go.wait(scaled(60))
        return FINE

    monkeypatch.setattr(apart, "predict", stuck)
    made, guard = predictor(tmp_path, scaled(2.0))
    suspect(guard, b"first", b"second", b"third")
    suspect(guard, b"proven", deaths=2)

    async def scene() -> None:
        first = asyncio.create_task(ask(made, Model(), b"first"))
        await asyncio.to_thread(begun.wait)
        second = asyncio.create_task(ask(made, Model(), b"second"))
        await asyncio.sleep(0)
        assert await ask(made, Model(), b"proven") == 500, "it needs no child"
        assert await ask(made, Model(), b"third") == 503, "another replica may have room"
        assert not first.done() and not second.done()
        assert await asyncio.gather(first, second) == [504, 504]
        go.set()

    try:
        asyncio.run(asyncio.wait_for(scene(), scaled(30)))
    finally:
        go.set()
        made.close()


def test_what_waits_behind_a_hanging_one_is_let_go_where_another_replica_can_take_it(
    tmp_path: Path, model: Model
) -> None:
    made, _ = predictor(tmp_path, scaled(60.0))

    async def scene() -> None:
        hanging = asyncio.create_task(ask(made, model, b"hang"))
        while not model.asked:
            await asyncio.sleep(0.01)
        now = round(time.time() * 1000)
        said = {b"": 0, b"nonsense": 0, b"%d 1" % now: 0, b"%d 2" % now: 503}
        waiting = {sent: asyncio.create_task(made.answer(cast("Any", model), sent, None, b"id", sent)) for sent in said}
        found = await waiting[b"%d 2" % now]
        assert found is predicting.SENT_ON and not found.kept
        assert [sent for sent, each in waiting.items() if each.done()] == [b"%d 2" % now], (
            "the others have nowhere to go"
        )
        model.go.set()
        assert await hanging == 200
        assert {(await waiting[sent]).status for sent, status in said.items() if not status} == {200}
        assert b"%d 2" % now not in model.asked, "it was not begun here"

    try:
        asyncio.run(asyncio.wait_for(scene(), scaled(30)))
    finally:
        model.go.set()
        made.close()


def test_those_that_wait_for_a_thread_that_hangs_are_let_go_by_one_timer(tmp_path: Path, model: Model) -> None:
    made, _ = predictor(tmp_path, 0.2)
    timers: list[Callable[..., object]] = []

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def counted(delay: float, callback: Callable[..., object], *arguments: Any) -> asyncio.TimerHandle:
            if getattr(callback, "__self__", None) is made:
                timers.append(callback)
            return call_later(delay, callback, *arguments)

        loop.call_later = counted  # pyright: ignore[reportAttributeAccessIssue]
        assert set(await asyncio.gather(*(ask(made, model, b"%d" % number) for number in range(50)))) == {504}

    try:
        asyncio.run(asyncio.wait_for(scene(), scaled(30)))
    finally:
        made.close()
    assert len(timers) <= 2 and len(model.asked) == 1


def test_a_child_that_may_have_waited_for_a_prediction_here_says_nothing_of_the_request() -> None:
    turn = threading.Lock()

    def hang() -> ScoringAnswer:
        while True:
            time.sleep(3600)

    with turn, pytest.raises(apart.NoChild):
        apart.predict(hang, 1.0, turn)
    with pytest.raises(apart.Died):
        apart.predict(hang, 1.0, turn)


def test_a_suspect_that_came_to_nothing_is_overdue_and_is_not_predicted_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    def late(work: Callable[[], ScoringAnswer], seconds: float, turn: threading.Lock) -> ScoringAnswer:
        time.sleep(seconds)
        raise apart.NoChild("late")

    monkeypatch.setattr(apart, "predict", late)
    made, guard = predictor(tmp_path, 0.2)
    suspect(guard, b"suspect")
    try:
        assert asyncio.run(ask(made, model, b"suspect")) == 504
    finally:
        made.close()
    assert model.asked == [] and guard.deaths(guard.digest(b"suspect", None)) == 1
