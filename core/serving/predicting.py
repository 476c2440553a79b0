"""Where a replica predicts: on the event loop, in its one worker thread, in a child, or not at all.

Predictions begin in the thread, so that /ping and /metrics are answered meanwhile. Once several of at least that body
size have been short, they run on the event loop, because a hand-over to a thread costs more than such a prediction;
standby.py answers health checks should one of them turn out to be long. Either way the model sees one request at a
time. A request over which a process may have ended goes to a child, and one that has ended two is refused (guard.py).
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from . import apart
from .batching import Answers, Batcher, Waiting, Work
from .guard import PROOF_DEATHS, Guard
from .metrics import Metrics
from .options import Options
from .scoring import INTERNAL, Scorer, ScoringAnswer, problem

_MAX_INLINE_BODY = 64 * 1024  # a larger request is parsed in the thread, however short the others were
_MEAN_WEIGHT = 0.2  # weight of the newest prediction in the moving mean
_SHORT_ONES = 8  # so many short predictions of at least that size come before one on the event loop
_LONG = 10  # times `Options.inline`: after one that takes longer, as many short ones have to come again
# Requests for the thread: one prediction that hangs must not gather bodies until the memory is full.
_MAX_WAITING = 1_000
_MAX_SUSPECTED = 32  # requests for a child, of which there is one at a time
# What is over the time-out by this many seconds does not come back: clients that wait with it have had their 504.
_STUCK_GRACE = 0.5
_IDLE_SECONDS = 0.1
_TELL_SECONDS = 1.0  # between lines about refusals
_LOOP = b"event loop"
# The header in which the proxy says when a request came, in milliseconds, and how many replicas can take it.
SENT = b"x-podium-sent"
# A request that has not begun is let go to another replica if what is predicted now takes many times as long as others
# did, at least so many seconds.
_LET_GO = 0.25
_UNUSUAL = 20
# It waits for a moment first, and for some times as long as it is under way already: the proxy sends one on ten times
# at most, and with each of them the time is three times as long, so that nothing is lost where all are busy.
MOMENT = 0.003
LONGER = 2

_T = TypeVar("_T")

BUSY = problem(503, "TEMPORARILY_UNAVAILABLE", "Too many requests are waiting for the model.")
SENT_ON = problem(503, "TEMPORARILY_UNAVAILABLE", "Another request keeps the model busy.", kept=False)
OVERDUE = ScoringAnswer(504, b"Request processing time exceeded limit")


def under_way(sent: bytes, timeout: float) -> tuple[float, float | None]:
    """Returns for how many seconds a request has been under way, at most the time-out, and for how many it waits here
    before another replica may have it; None if no other can take it. `sent` is what the proxy says."""
    try:
        at, usable = map(int, sent.split())
    except ValueError:
        return 0.0, None
    age = time.time() - at / 1000
    # Clocks may have been set meanwhile, or be another machine's: a request is as old as it can be.
    known = 0.0 <= age <= timeout
    if usable < 2:
        return (age if known else 0.0), None
    return (age, max(MOMENT, LONGER * age)) if known else (0.0, _LET_GO)


class Predictor:
    """Predicts requests for App. Belongs to the event loop's thread; `blocked` and `complaint` are for any."""

    def __init__(self, options: Options, guard: Guard, metrics: Metrics) -> None:
        self._options = options
        self._guard = guard
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="predict")
        # It only waits for children: it never predicts, see apart.py.
        self._children = ThreadPoolExecutor(1, thread_name_prefix="child")
        self._turn = threading.Lock()  # held while this process predicts
        self._mean = 0.0
        self._sizes: list[int] = []  # a heap: the largest bodies of short predictions
        self._own_loop = False  # the model has an event loop of its own, which cannot run inside of ours
        self._pending: dict[Future[Any], asyncio.Future[Any]] = {}  # in the thread
        self._suspected: dict[Future[Any], asyncio.Future[Any]] = {}  # for a child
        self._releasing: asyncio.TimerHandle | None = None  # when those are let go that wait in vain
        self._bound = -1  # the largest body for the event loop
        self._inline_since = 0.0  # when the prediction on the event loop began; 0 if there is none
        self._began = 0.0  # the same wherever in this process it is
        self._refusal_told = 0.0
        self._batcher = Batcher(options, self)

    async def answer(
        self, scorer: Scorer, body: bytes, content_type: str | None, request_id: bytes, sent: bytes = b""
    ) -> ScoringAnswer:
        """Returns the answer. `sent` is what the proxy says of the request."""
        age, patience = under_way(sent, self._options.timeout)
        deadline = time.monotonic() + self._options.timeout - age
        digest = self._guard.digest(body, content_type)
        if self._batcher.on:
            if self._batcher.waiting >= _MAX_WAITING:
                return BUSY
            together = await self._batcher.answer(scorer, body, content_type, digest, deadline)
            if together is not None:
                return together
        work = partial(self._timed, scorer, body, content_type, digest)
        found = await self._predict(work, len(body), deadline, patience)
        if found is None:
            found = await self._apart(scorer, body, content_type, digest, request_id, deadline)
        return found if found is not None else await self._in_thread(partial(work, sure=True), deadline) or INTERNAL

    async def run(self, work: Work, size: int, deadline: float) -> Answers | ScoringAnswer:
        """Predicts a batch on the event loop or in the thread; a single answer is that to each of its requests."""
        if self._fits_inline(size) and await self._idle():
            self._inline_since = time.monotonic()
            try:
                return work()
            finally:
                self._inline_since = 0.0
        return await self._in_thread(work, deadline)

    def at_once(self, work: Callable[[Sequence[Waiting]], Answers], batch: Sequence[Waiting], size: int) -> Answers:
        """Predicts a batch without the requests over which a process may have ended. Those, and all if it fails, have
        no answer."""
        guard = self._guard
        suspects = guard.suspected({each.digest for each in batch})
        fine = [each for each in batch if each.digest not in suspects]
        if not fine:
            return [None] * len(batch)
        with self._turn:
            started = self._began = time.monotonic()
            guard.begin_batch({each.digest for each in fine})
            try:
                found = dict(zip(map(id, fine), work(fine), strict=True))
            except (Exception, SystemExit):
                found = {}
            finally:
                guard.end()
                self._began = 0.0
                self._learn(time.monotonic() - started, size)
        return [found.get(id(each)) for each in batch]

    def batched(self, requests: int) -> None:
        """Counts a batch."""
        self._metrics.events["batches"] += 1
        self._metrics.events["batched"] += requests

    def say(self, message: str) -> None:
        """Tells the operator."""
        self._guard.say(message)

    def blocked(self) -> float:
        """Returns for how many seconds the event loop has been waiting for a prediction."""
        since = self._inline_since
        return time.monotonic() - since if since else 0.0

    def complaint(self) -> str:
        """Returns why this replica cannot predict any more; empty if it can."""
        since = self._began
        limit = self._options.timeout + _STUCK_GRACE
        if not since or time.monotonic() - since <= limit:
            return ""
        return (
            f"A prediction has not come back for {time.monotonic() - since:.0f} s; the time-out is"
            f" {self._options.timeout:g} s."
        )

    def close(self) -> None:
        for pool in (self._thread, self._children):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _predict(
        self, work: partial[ScoringAnswer | None], size: int, deadline: float, patience: float | None
    ) -> ScoringAnswer | None:
        """Returns the answer; None for a request over which a process may have ended. It is let go to another replica
        when it has waited in vain for `patience` seconds; None waits to the end."""
        if self._fits_inline(size) and await self._idle():
            self._inline_since = time.monotonic()
            try:
                found = work()
            finally:
                self._inline_since = 0.0
            if found is None or found.status == 200 or _LOOP not in found.body:
                return found
            self._own_loop = True
        return await self._in_thread(work, deadline, patience)

    def _fits_inline(self, size: int) -> bool:
        return size <= self._bound and self._mean < self._options.inline and not self._own_loop

    async def _idle(self) -> bool:
        """Tells whether the thread has nothing to do, after a moment for what it does now, unless that has had it."""
        began = self._began
        if self._pending and not (began and time.monotonic() - began > _IDLE_SECONDS):
            await asyncio.wait(list(self._pending.values()), timeout=_IDLE_SECONDS)
        return not self._pending

    async def _in_thread(
        self, work: Callable[[], _T], deadline: float, patience: float | None = None
    ) -> _T | ScoringAnswer:
        if self.complaint():
            return self._unable()
        if len(self._pending) >= _MAX_WAITING:
            return BUSY
        future = self._thread.submit(work)
        if patience is not None and await self._in_vain(future, patience, deadline):
            return SENT_ON
        return await self._wait(future, self._pending, deadline)

    async def _in_vain(self, future: Future[Any], patience: float, deadline: float) -> bool:
        """Tells whether it has waited for so long, and is taken back because what is predicted now takes many times as
        long as others did. Returns as soon as it has begun, or there is no time left for another replica."""
        if not self._pending and not self._began:
            return False  # it has its turn
        waiting = self._pending[future] = asyncio.wrap_future(future)
        leaves = time.monotonic() + patience
        try:
            while not waiting.done():
                since, now = self._began, time.monotonic()
                due = max(leaves, (since or now) + max(_LET_GO, _UNUSUAL * self._mean))
                if due + patience >= deadline:
                    return False
                await asyncio.wait([waiting], timeout=max(0.001, due - now))
                if future.running() or waiting.done():
                    return False
                if since and since == self._began and time.monotonic() >= due and future.cancel():
                    return True
            return False
        finally:
            self._pending.pop(future, None)

    async def _wait(
        self, future: Future[_T], among: dict[Future[Any], asyncio.Future[Any]], deadline: float
    ) -> _T | ScoringAnswer:
        """Returns the result, or the answer to a request for which there is none in time. `among` has the future for
        as long as it is not done."""
        waiting = among[future] = asyncio.wrap_future(future)
        waiting.add_done_callback(lambda _: among.pop(future, None))
        try:
            return await asyncio.wait_for(asyncio.shield(waiting), max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            future.cancel()  # if it has not begun: no client waits for it any more
            self._release()
            return OVERDUE
        except asyncio.CancelledError:
            if not future.cancelled():
                raise
            return self._unable()

    def _release(self) -> None:
        """Lets those go that wait for a thread that does not come back, as soon as that is known: another replica may
        have time for them."""
        if self.complaint():
            for future in list(self._pending):
                future.cancel()
        elif self._pending and self._began and self._releasing is None:
            left = self._began + self._options.timeout + _STUCK_GRACE - time.monotonic()
            self._releasing = asyncio.get_running_loop().call_later(max(0.01, left), self._release_late)

    def _release_late(self) -> None:
        self._releasing = None
        self._release()

    def _unable(self) -> ScoringAnswer:
        return problem(503, "TEMPORARILY_UNAVAILABLE", self.complaint() or "The model does not answer.")

    def _timed(
        self, scorer: Scorer, body: bytes, content_type: str | None, digest: bytes, *, sure: bool = False
    ) -> ScoringAnswer | None:
        """Predicts in this process. Returns None, without having done anything, for a request over which a process may
        have ended, unless that is known (`sure`)."""
        guard = self._guard
        if not sure and guard.deaths(digest):
            return None
        with self._turn:
            started = self._began = time.monotonic()
            guard.begin(digest)
            try:
                return scorer.answer(body, content_type)
            except (Exception, SystemExit):
                return INTERNAL
            finally:
                guard.end()
                self._began = 0.0
                self._learn(time.monotonic() - started, len(body))

    def _learn(self, seconds: float, size: int) -> None:
        self._mean += _MEAN_WEIGHT * (seconds - self._mean)
        sizes = self._sizes
        if seconds > _LONG * self._options.inline:
            sizes.clear()
        elif seconds < self._options.inline and size <= _MAX_INLINE_BODY:
            if len(sizes) < _SHORT_ONES:
                heapq.heappush(sizes, size)
            elif size > sizes[0]:
                heapq.heapreplace(sizes, size)
        self._bound = sizes[0] if len(sizes) == _SHORT_ONES else -1

    async def _apart(
        self, scorer: Scorer, body: bytes, content_type: str | None, digest: bytes, request_id: bytes, deadline: float
    ) -> ScoringAnswer | None:
        """Tries the request in a child, one at a time, or refuses it. Returns None if it was not to blame after all,
        and is to be predicted as any other."""
        name = request_id.decode()
        deaths = self._guard.deaths(digest)
        if deaths >= PROOF_DEATHS:  # without waiting for the children of others
            return self._refuse(digest, name, deaths)
        if len(self._suspected) >= max(_MAX_SUSPECTED, 2 * self._options.batch_max):
            return BUSY
        future = self._children.submit(self._try, partial(scorer.answer, body, content_type), digest, name, deadline)
        # A child that is late is ended by the deadline: what follows from that is worth a moment.
        found = await self._wait(future, self._suspected, deadline + _STUCK_GRACE)
        return self._refuse(digest, name, found) if isinstance(found, int) else found

    def _try(
        self, work: partial[ScoringAnswer], digest: bytes, request_id: str, deadline: float
    ) -> ScoringAnswer | int | None:
        """Runs in the children's thread. Returns the deaths of a request that is to be refused."""
        guard = self._guard
        deaths = guard.deaths(digest)
        left = deadline - time.monotonic()
        if deaths >= PROOF_DEATHS:
            return deaths
        if not deaths or left <= 0:
            return None if left > 0 else OVERDUE
        guard.begin(digest, apart=True)
        try:
            answer = apart.predict(work, left, self._turn)
        except apart.NoChild:
            return None if time.monotonic() < deadline else OVERDUE
        except apart.Died as reason:
            deaths = guard.died(digest)
            self._metrics.events["died_apart"] += 1
            guard.say(f"request {request_id} (digest {digest.hex()}) was tried in a child: {reason}")
            return deaths
        finally:
            guard.end(apart=True)
        guard.clear(digest)
        self._metrics.events["answered_apart"] += 1
        # Not every model can predict in a child; what ends no process may be asked again.
        return answer if answer.status == 200 else None

    def _refuse(self, digest: bytes, request_id: str, deaths: int) -> ScoringAnswer:
        """Answers 500, which the proxy does not send on and client libraries do not repeat as they do 502, 503 and 504:
        the same request would end the next process."""
        self._metrics.events["refused"] += 1
        if time.monotonic() - self._refusal_told >= _TELL_SECONDS:
            self._refusal_told = time.monotonic()
            self._guard.say(f"refused request {request_id} (digest {digest.hex()}): {deaths} processes ended over it")
        text = (
            f"This request was refused: {deaths} processes ended while they predicted it. It will be tried again"
            f" {self._guard.seconds / 60:g} minutes after the last one."
        )
        return problem(500, "INTERNAL_ERROR", text, kept=False)
