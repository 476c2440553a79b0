"""Sends the same requests to both sides, one pair after another, and records each answer and its time. A request
goes to both sides directly after each other, alternately to the champion and to the candidate first: a moment in
which the machine is slow then affects both sides alike, and neither always finds the caches warm."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...domain.frozen import Frozen
from ...serving.captures import Captured
from ..host.http import LOCAL, connected, socket_in
from .comparing import AnswerComparison, compare, predictions, words

CHAMPION, CANDIDATE = 0, 1
TIMEOUT = 30.0  # seconds for one answer
WARM_UP_REQUESTS = 20  # requests
# A side that has not answered so many requests in a row is not asked any more: with a time-out each, a replay would
# take hours.
MAX_FAILURES_AT_START = 10
_OK = 200
_PROGRESS_INTERVAL = 2.0  # seconds between two lines about how far it is


class TimedTransport(Protocol):
    """A transport that measures beside the replica, for replicas on another machine
    (core/delivery/drivers/docker/relay.py)."""

    def timed(
        self, address: str, port: int, path: str, *, body: bytes, content_type: str, timeout: float
    ) -> tuple[int, bytes, float]: ...


class Endpoint(Frozen):
    """Where a side answers: directly, or through the transport `through`."""

    host: str
    """An address, or the path of a Unix socket."""
    port: int
    through: TimedTransport | None = None


class ReplayAnswer(Frozen):
    """One answer. `status` is 0 if none came; `problem` is then the reason."""

    status: int
    body: bytes
    seconds: float
    problem: str = ""

    @property
    def good(self) -> bool:
        return self.status == _OK


class AnswerPair(Frozen):
    """The result of one request to both sides."""

    champion_status: int
    """The champion's HTTP status; 0 for no answer."""
    candidate_status: int
    """The candidate's HTTP status; 0 for no answer."""
    champion_seconds: float
    """The champion's latency."""
    candidate_seconds: float
    """The candidate's latency."""
    compared: AnswerComparison | None = None
    """The comparison of both answers; None unless both were good."""
    words: str = ""
    """How the candidate failed; empty if it did not."""
    answers: tuple[tuple[Any, ...], tuple[Any, ...]] | None = None
    """The champion's and the candidate's predictions, of a request whose labels are known, both answers being good."""
    number: int = 0
    """Which of the captures it was."""
    steady: bool = True
    """False if the champion's answer differs from the captured one."""

    @property
    def both(self) -> bool:
        return self.compared is not None


@dataclass(slots=True)
class ReplayAnswers:
    """All results: `pairs` in no particular order, `hopeless` with the sides that were given up."""

    pairs: list[AnswerPair] = field(default_factory=list[AnswerPair])
    hopeless: set[int] = field(default_factory=set[int])


class Connection:
    """One kept-alive connection to one side, reopened after a failure. A request is never sent twice, because that
    would hide an error."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._endpoint, self._timeout = endpoint, timeout
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, capture: Captured) -> ReplayAnswer:
        """Sends one captured request and returns the answer with its time."""
        began = time.perf_counter()
        try:
            return (
                self._ask(capture)
                if self._endpoint.through is None
                else self._ask_there(self._endpoint.through, capture)
            )
        except TimeoutError:
            problem = f"no answer within {self._timeout:g} s"
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = f"no answer: {type(error).__name__}"
        self.close()
        return ReplayAnswer(0, b"", time.perf_counter() - began, problem)

    def _ask_there(self, through: TimedTransport, capture: Captured) -> ReplayAnswer:
        kind = capture.content_type or ""
        at = self._endpoint
        status, body, seconds = through.timed(
            at.host, at.port, "/invocations", body=capture.body, content_type=kind, timeout=self._timeout
        )
        return ReplayAnswer(status, body, seconds)

    def _ask(self, capture: Captured) -> ReplayAnswer:
        if self._connection is None:
            self._connection = self._opened()
        headers = {"Content-Type": capture.content_type} if capture.content_type is not None else {}
        began = time.perf_counter()
        self._connection.request("POST", "/invocations", capture.body, headers)
        answer = self._connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - began
        if answer.will_close:
            self.close()
        return ReplayAnswer(answer.status, body, seconds)

    def _opened(self) -> http.client.HTTPConnection:
        at, unix = self._endpoint, socket_in(self._endpoint.host)
        opened = http.client.HTTPConnection(LOCAL if unix else at.host, at.port, timeout=self._timeout)
        if unix:
            opened.sock = connected(unix, self._timeout)
        return opened

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Sender:
    """Sends requests to (champion, candidate), `concurrency` at a time. `stop` ends it early, within the time of one
    answer."""

    def __init__(
        self,
        sides: tuple[Endpoint, Endpoint],
        *,
        tolerance: float | None,
        concurrency: int = 1,
        timeout: float = TIMEOUT,
        labelled: Collection[int] = (),
    ) -> None:
        """`labelled` are the places of captures whose answers are kept."""
        self._labelled = frozenset(labelled)
        self._sides, self._tolerance, self._timeout = sides, tolerance, timeout
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._silent = [0, 0]
        self._next = 0
        self._sent = ReplayAnswers()
        self._failed: BaseException | None = None

    def send(self, captures: Sequence[Captured], version: str, say: Callable[[str], None]) -> ReplayAnswers:
        """Sends all captures after a warm-up that is not counted. `version` is the champion's: its captured answers
        are compared as well. Raises what ended one of the threads that send: what was answered until then says nothing
        of the rest."""
        self._warm_up(captures[:WARM_UP_REQUESTS])
        threads = [
            threading.Thread(target=self._work, args=(captures, version), daemon=True)
            for _ in range(min(self._concurrency, len(captures)))
        ]
        try:
            for thread in threads:
                thread.start()
            told = time.monotonic()
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(0.1)
                if time.monotonic() - told > _PROGRESS_INTERVAL:
                    told = time.monotonic()
                    say(f"{len(self._sent.pairs)} of {len(captures)} requests")
        finally:
            self._stop.set()
        if self._failed is not None:
            raise self._failed
        return self._sent

    def _connections(self) -> tuple[Connection, Connection]:
        champion, candidate = (Connection(side, self._timeout) for side in self._sides)
        return champion, candidate

    def _warm_up(self, captures: Sequence[Captured]) -> None:
        for connection in self._connections():
            for capture in captures:
                if not connection.ask(capture).status:
                    break
            connection.close()

    def _work(self, captures: Sequence[Captured], version: str) -> None:
        connections = self._connections()
        try:
            while (number := self._take(len(captures))) is not None:
                capture = captures[number]
                order = (CHAMPION, CANDIDATE) if number % 2 else (CANDIDATE, CHAMPION)
                answers = {side: connections[side].ask(capture) for side in order}
                self._note(self._pair(number, capture, answers[CHAMPION], answers[CANDIDATE], version))
        except BaseException as error:
            self._fail(error)
        finally:
            for connection in connections:
                connection.close()

    def _fail(self, error: BaseException) -> None:
        """Keeps the first error for the thread that waits for all of them, and ends the others."""
        with self._lock:
            self._failed = self._failed or error
        self._stop.set()

    def _take(self, count: int) -> int | None:
        with self._lock:
            if self._stop.is_set() or self._next >= count or self._sent.hopeless:
                return None
            self._next += 1
            return self._next - 1

    def _note(self, pair: AnswerPair) -> None:
        with self._lock:
            self._sent.pairs.append(pair)
            for side, status in ((CHAMPION, pair.champion_status), (CANDIDATE, pair.candidate_status)):
                self._silent[side] = 0 if status else self._silent[side] + 1
                if self._silent[side] >= MAX_FAILURES_AT_START:
                    self._sent.hopeless.add(side)

    def _pair(
        self, number: int, capture: Captured, champion: ReplayAnswer, candidate: ReplayAnswer, version: str
    ) -> AnswerPair:
        compared = (
            compare(champion.body, candidate.body, tolerance=self._tolerance)
            if champion.good and candidate.good
            else None
        )
        told = "" if candidate.good else candidate.problem or words(candidate.status, candidate.body, capture.body)
        steady = True
        if champion.good and capture.status == _OK and capture.version == version and not capture.redacted:
            then = compare(capture.output.encode("utf-8", "surrogatepass"), champion.body, tolerance=self._tolerance)
            steady = then.differing == 0
        answers = None
        if number in self._labelled and champion.good and candidate.good:
            answers = (tuple(predictions(champion.body)), tuple(predictions(candidate.body)))
        return AnswerPair(
            champion.status,
            candidate.status,
            champion.seconds,
            candidate.seconds,
            compared,
            told,
            answers,
            number,
            steady,
        )
