"""What ends a thread that sends, and what a verdict says then."""

from __future__ import annotations

import itertools

import pytest
from podium.core.delivery.replay.sending import MAX_FAILURES_AT_START, Endpoint, Sender
from podium.core.errors import RunFailed
from podium.core.serving.captures import Captured

CAPTURES = [Captured(float(number), "1", 200, "application/json", b'{"inputs": [[1.0]]}', "") for number in range(200)]


class Failing:
    """The transport of somebody's driver, which has an error of its own after so many answers."""

    def __init__(self, answers: int, error: Exception) -> None:
        self._answers, self._error = answers, error
        self._numbers = itertools.count()

    def timed(
        self, address: str, port: int, path: str, *, body: bytes, content_type: str, timeout: float
    ) -> tuple[int, bytes, float]:
        if next(self._numbers) >= self._answers:
            raise self._error
        return 200, b'{"predictions": [1]}', 0.001


def sender(answers: int, error: Exception, *, concurrency: int = 1) -> Sender:
    at = Endpoint("", 0, Failing(answers, error))
    return Sender((at, at), tolerance=None, concurrency=concurrency)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_what_ends_a_thread_is_raised_and_nothing_is_judged(concurrency: int) -> None:
    sending = sender(140, RunFailed("the engine refused"), concurrency=concurrency)
    with pytest.raises(RunFailed, match="the engine refused"):
        sending.send(CAPTURES, "1", lambda _: None)
    assert 0 < len(sending._sent.pairs) <= 50, "20 to warm up, and what was left of 140 answers"


def test_the_first_one_is_raised_and_the_others_end() -> None:
    sending = sender(40, ValueError("the first"))
    sending._fail(KeyError("before it"))
    with pytest.raises(KeyError):
        sending.send(CAPTURES, "1", lambda _: None)
    assert sending._sent.pairs == []


def test_no_answer_is_an_answer_that_is_missing() -> None:
    found = sender(140, OSError("no answer")).send(CAPTURES, "1", lambda _: None)
    assert len(found.pairs) == 50 + MAX_FAILURES_AT_START and found.hopeless == {0, 1}
