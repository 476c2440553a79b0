"""Micro-batching: requests of one form that arrive within a moment are predicted together.

Most models take about as long for thirty rows as for one. Requests are of one form if their rows can stand in one table
or array without any of them changing its type (`Scorer.prepare` tells). A batch that fails is no answer: each of its
requests is then predicted alone, as without batching, and so is every request that has no form.

A model whose answer to a row depends on the other rows would answer differently. The first batches, and one now and
then, are therefore predicted apart as well; when an answer differs, batching ends in this process.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

from .options import Options
from .scoring import Prepared, Scorer, ScoringAnswer

_MAX_BODY = 64 * 1024  # a larger request is read in the thread, and is a batch by itself
_FIRST = 8  # so many batches are predicted apart as well
_EVERY = 500  # and then each one of so many
# A library may add up in another order where there are more rows: the last digits of numbers are no difference.
_RELATIVE, _ABSOLUTE = 1e-5, 1e-7


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for others of its form."""

    body: bytes
    content_type: str | None
    digest: bytes
    prepared: Prepared
    deadline: float
    answer: asyncio.Future[ScoringAnswer | None]


Answers = list[ScoringAnswer | None]
Work = Callable[[], Answers]


class Together(Protocol):
    """What predicts a batch (predicting.py): `run` says where, `at_once` does it, in one turn of the model and with the
    digests of all requests noted."""

    def run(self, work: Work, size: int, deadline: float) -> Awaitable[Answers | ScoringAnswer]: ...
    def at_once(self, work: Callable[[Sequence[Waiting]], Answers], batch: Sequence[Waiting], size: int) -> Answers: ...
    def batched(self, requests: int) -> None: ...
    def say(self, message: str) -> object: ...


class Batcher:
    """Gathers requests. Belongs to the event loop's thread, but for what `at_once` calls."""

    def __init__(self, options: Options, together: Together) -> None:
        self._most = options.batch_max
        self._wait = options.batch_wait
        self._together = together
        self._queues: dict[Hashable, list[Waiting]] = {}
        self._due: dict[Hashable, None] = {}  # forms that have waited long enough, in order
        self._running: asyncio.Task[None] | None = None
        self._count = 0
        self.on = self._most > 1
        self.waiting = 0

    async def answer(
        self, scorer: Scorer, body: bytes, content_type: str | None, digest: bytes, deadline: float
    ) -> ScoringAnswer | None:
        """Returns the answer of a batch; None for a request that has to be predicted alone."""
        prepared = scorer.prepare(body, content_type) if len(body) <= _MAX_BODY else None
        if prepared is None:
            return None
        loop = asyncio.get_running_loop()
        request = Waiting(body, content_type, digest, prepared, deadline, loop.create_future())
        queue = self._queues.setdefault(prepared.form, [])
        queue.append(request)
        self.waiting += 1
        if len(queue) == self._most:
            self._call(scorer, prepared.form)
        elif len(queue) == 1:
            loop.call_later(self._wait, self._call_first, scorer, prepared.form, request)
        return await request.answer

    def _call_first(self, scorer: Scorer, form: Hashable, first: Waiting) -> None:
        """The time of a queue is over, unless its first request has been taken meanwhile."""
        if first in self._queues.get(form, ())[:1]:
            self._call(scorer, form)

    def _call(self, scorer: Scorer, form: Hashable) -> None:
        """Has the queue predicted as soon as the batch before it is done: until then, more of its form may come."""
        self._due[form] = None
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._work(scorer))

    async def _work(self, scorer: Scorer) -> None:
        try:
            while self._due:
                form = next(iter(self._due))
                del self._due[form]
                batch = self._taken(scorer, form)
                if batch:
                    await self._carry_out(scorer, batch)
        finally:
            self._running = None

    def _taken(self, scorer: Scorer, form: Hashable) -> list[Waiting]:
        queue = self._queues.pop(form, [])
        batch, left = queue[: self._most], queue[self._most :]
        if left:  # they have waited while the batch before was predicted
            self._queues[form] = left
            self._due[form] = None
        self.waiting -= len(batch)
        return batch

    async def _carry_out(self, scorer: Scorer, batch: list[Waiting]) -> None:
        size = max(len(each.body) for each in batch)
        work = partial(self._together.at_once, partial(self._predicted, scorer), batch, size)
        found: Answers | ScoringAnswer = list[ScoringAnswer | None]([None] * len(batch))
        try:
            found = await self._together.run(work, size, min(each.deadline for each in batch))
        finally:
            answers = [found] * len(batch) if isinstance(found, ScoringAnswer) else found
            for each, answer in zip(batch, answers, strict=True):
                if not each.answer.done():
                    each.answer.set_result(answer)

    def _predicted(self, scorer: Scorer, batch: Sequence[Waiting]) -> Answers:
        """Runs where predictions run."""
        if len(batch) < 2 or not self.on:
            return [scorer.answer(each.body, each.content_type) for each in batch]
        answers = scorer.together([each.prepared for each in batch])
        if answers is None:
            self._give_up("an answer has not one part for each row")
            return [None] * len(batch)
        self._count += 1
        if self._count <= _FIRST or self._count % _EVERY == 0:
            alone = [scorer.answer(each.body, each.content_type) for each in batch]
            if not all(map(alike, answers, alone)):
                self._give_up("an answer depends on what else is in the batch")
                return [*alone]
        self._together.batched(len(batch))
        return [*answers]

    def _give_up(self, reason: str) -> None:
        self.on = False
        self._together.say(f"requests are not predicted together any more: {reason}")


def alike(one: ScoringAnswer, other: ScoringAnswer) -> bool:
    """Tells whether two answers are the same but for the last digits of their numbers."""
    if one.body == other.body:
        return one.status == other.status
    return one.status == other.status == 200 and _close(json.loads(one.body), json.loads(other.body))


def _close(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        both = math.isnan(one) and math.isnan(other)
        return both or math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    if isinstance(one, list):
        left, right = cast("list[Any]", one), cast("list[Any]", other)
        return len(left) == len(right) and all(map(_close, left, right))
    if isinstance(one, dict):
        first, second = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return list(first) == list(second) and all(_close(first[key], second[key]) for key in first)
    return bool(one == other)
