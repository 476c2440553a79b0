"""The ASGI app of a replica.

Bare ASGI: routing six fixed paths needs no framework, and a framework costs a tenth of the requests per second.
predicting.py decides where a prediction runs.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from itertools import count
from typing import Any, cast

from .forms.shape import Beyond
from .guard import Guard
from .metrics import CONTENT_TYPE, Metrics
from .options import Options
from .predicting import SENT, SENT_ON, Predictor
from .recorder import Recorder
from .redaction import Keys, Redaction
from .scoring import Scorer, ScoringAnswer, beyond, problem
from .senders import STRANGER, Senders

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
# The query of a request that Podium itself sends before there is traffic: nobody's, so it is not kept.
WARM_UP = b"warm-up"
_MAX_FEEDBACK_BODY = 1024 * 1024
# Bodies that a replica holds at once, in multiples of the largest one: clients that send slowly, or wait for a
# prediction that hangs, must not fill the memory.
_HELD_BODIES = 16
_FEEDBACK = (
    'Expected {"request_id": "…", "truth": …}, with "at" (seconds since the epoch) and "row" (from 0) where they are'
    " known, or a list of these."
)

_NO_TOKENS = (
    "This environment can be reached from other machines and knows no clients: its `feedback` in podium.yaml names them"
    " with their tokens."
)
_OK, _UNAUTHORIZED = 200, 401

LOADING = ScoringAnswer(
    503, b'{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "The model is still being loaded."}'
)
_COMPRESSED = problem(
    415,
    "UNSUPPORTED_MEDIA_TYPE",
    "The request has a Content-Encoding, and only requests without one are read: send it uncompressed.",
    kept=False,
)
FULL = problem(503, "TEMPORARILY_UNAVAILABLE", "Too many large requests are being answered.", kept=False)
NOT_FOUND = ScoringAnswer(404, b'{"detail":"Not Found"}')
MOVED = ScoringAnswer(307, b"")
NOT_ALLOWED = ScoringAnswer(405, b'{"detail":"Method Not Allowed"}')


def _is_feedback(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    fields = cast("dict[str, Any]", entry)
    return (
        isinstance(fields.get("request_id"), str)
        and "truth" in fields
        and not set(fields) - {"request_id", "truth", "at", "row"}
    )


def _taken(number: int, of: int) -> str:
    return f"{number} of {of} records were taken; send the rest again later."


def say(message: str) -> None:
    print(f"serving: {message}", file=sys.stderr, flush=True)


class Disconnected(Exception):
    """The client disconnected before its request was complete."""


class App:
    def __init__(self, options: Options, recorder: Recorder | None = None) -> None:
        self.options = options
        self.scorer: Scorer | None = None
        self.recorder = recorder
        self._redaction = Redaction(options.redact) if options.redact else None
        self._keys = Keys(options.key, options.key_salt) if options.key else None
        self._senders = Senders(options.feedback, options.feedback_rate)
        self.lineage = {name: getattr(options, name) for name in ("version", "environment", "digest", "commit")}
        self.lineage = {"model": options.model_name, **self.lineage}
        self.metrics = Metrics(self.lineage)
        told = "\0".join([options.version, options.digest, str(options.model)])
        self.predictor = Predictor(
            options,
            Guard(options.guard, told, seconds=options.refuse_for, batches=options.batch_max > 1, say=say),
            self.metrics,
        )
        self._prefix = binascii.hexlify(os.urandom(6)) + b"-"
        self._numbers = count(1)
        self._held = 0  # bytes of requests that are not answered yet
        self._routes: dict[str, tuple[bytes, Callable[[Scope, Receive, Send], Awaitable[None]]]] = {
            "/invocations": (b"POST", self.invocations),
            "/feedback": (b"POST", self.feedback),
            "/ping": (b"GET", self.ping),
            "/health": (b"GET", self.ping),
            "/version": (b"GET", self.version),
            "/metrics": (b"GET", self.scrape),
        }

    def ready(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.metrics.loaded = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, handler = self._routes.get(scope["path"], (b"", None))
        try:
            if handler is None:
                await self._elsewhere(scope, send)
            elif scope["method"].encode() == method or (scope["method"] == "HEAD" and method == b"GET"):
                await handler(scope, receive, send)  # the server sends no body to HEAD
            else:
                await reply(send, NOT_ALLOWED, [(b"allow", b"GET, HEAD" if method == b"GET" else method)])
        except Disconnected:
            return

    async def _elsewhere(self, scope: Scope, send: Send) -> None:
        """Sends a path with a slash too many to the right one, as MLflow's server does; there is no other."""
        path = scope["path"].rstrip("/")
        if path not in self._routes:
            await reply(send, NOT_FOUND)
            return
        query = scope["query_string"]
        await reply(send, MOVED, [(b"location", path.encode() + (b"?" + query if query else b""))])

    async def ping(self, scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, self.health())

    def health(self) -> ScoringAnswer:
        """Returns the answer of /ping; any thread may ask."""
        complaint = self.predictor.complaint()
        if complaint:
            return problem(503, "TEMPORARILY_UNAVAILABLE", complaint)
        return ScoringAnswer(200, b"\n") if self.scorer is not None else LOADING

    async def version(self, scope: Scope, receive: Receive, send: Send) -> None:
        lineage: dict[str, Any] = {**self.lineage, "pid": os.getpid(), "ready": self.scorer is not None}
        if self.scorer is not None:
            from mlflow.version import VERSION

            lineage["mlflow"] = VERSION
        await reply(send, ScoringAnswer(200, json.dumps(lineage).encode()))

    async def scrape(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = self.metrics.text(self.recorder.counts if self.recorder is not None else {})
        await reply(send, ScoringAnswer(200, text.encode(), CONTENT_TYPE))

    async def invocations(self, scope: Scope, receive: Receive, send: Send) -> None:
        content_type, request_id, length, plain = self._headers(scope["headers"])
        sent = next((value for name, value in scope["headers"] if name == SENT), b"")
        headers = [(b"x-request-id", request_id)]
        if self.scorer is None:
            await reply(send, LOADING, headers)
            return
        metrics = self.metrics
        metrics.in_flight += 1
        body = b""
        held = [0]
        try:
            got = await self._body(receive, length, self.options.max_body, held)
            started = time.perf_counter()  # what a client takes to send its request is not the model's
            if isinstance(got, ScoringAnswer):
                answer = got
            elif not plain:
                answer = _COMPRESSED
            elif refused := await self._beyond(got, content_type):
                answer = refused
            else:
                body = got
                answer = await self.predictor.answer(self.scorer, body, content_type, request_id, sent)
            await reply(send, answer, headers)
            seconds = time.perf_counter() - started
            metrics.observe(answer.status, seconds, answer.rows)
            if self.recorder is not None and scope["query_string"] != WARM_UP and answer is not SENT_ON:
                self._keep(self.recorder, request_id, content_type, body, answer, seconds)
        finally:
            metrics.in_flight -= 1
            self._held -= held[0]

    def _headers(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, bytes, int, bool]:
        """Returns the content type, the request id (the client's if it is a plain word, else a new one), the content
        length or 0, and whether the body is as it is: not compressed."""
        content_type: str | None = None
        request_id = b""
        length = 0
        plain = True
        for name, value in headers:
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                request_id = value
            elif name == b"content-length" and value.isdigit():
                length = int(value)
            elif name == b"content-encoding":
                plain = value.strip().lower() in (b"", b"identity")
        return content_type, request_id or self._prefix + b"%x" % next(self._numbers), length, plain

    async def _beyond(self, body: bytes, content_type: str | None) -> ScoringAnswer | None:
        """Returns the answer to a body of more values than there may be. A large one is looked at in a thread of its
        own, not in that of predictions."""
        if len(body) <= self.options.max_values:
            return None
        try:
            await asyncio.to_thread(self.options.shape.require_bytes, body, content_type)
        except Beyond as refused:
            return beyond(refused)
        return None

    async def _body(
        self, receive: Receive, length: int, most: int, held: list[int] | None = None
    ) -> bytes | ScoringAnswer:
        """Returns the whole body, or the answer to a body that is too large or too slow. Notes in `held` what of it is
        counted as held, which is the caller's to take back."""
        if length > most:
            words = f"The request has {length} bytes; at most {most} are accepted."
            return problem(413, "REQUEST_LIMIT_EXCEEDED", words, kept=False)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.options.arrival):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise Disconnected
                    part: bytes = message.get("body", b"")
                    size += len(part)
                    if held is not None:
                        held[0] = size
                        self._held += len(part)
                        if self._held > _HELD_BODIES * self.options.max_body:
                            return FULL
                    if size > most:
                        words = f"The request is larger than {most} bytes."
                        return problem(413, "REQUEST_LIMIT_EXCEEDED", words, kept=False)
                    if not message.get("more_body"):
                        return b"".join([*parts, part]) if parts else part
                    parts.append(part)
        except TimeoutError:
            return problem(408, "DEADLINE_EXCEEDED", f"The request did not arrive within {self.options.arrival:g} s.")

    def _keep(
        self,
        recorder: Recorder,
        request_id: bytes,
        content_type: str | None,
        body: bytes,
        answer: ScoringAnswer,
        seconds: float,
    ) -> None:
        """Keeps that there was this request, and all of it if it is in the sample."""
        at = round(time.time(), 3)
        output = answer.body if self._redaction is None else self._redaction.answer(answer.body)
        if recorder.requests is not None:
            keys = self._keys.of(body, content_type) if self._keys is not None and answer.status == _OK else b""
            recorder.requests.add(at, request_id, answer.status, output, keys)
        if answer.kept and recorder.wanted():
            self._capture(recorder, at, request_id, content_type, body, answer.status, output, seconds)

    def _capture(
        self,
        recorder: Recorder,
        at: float,
        request_id: bytes,
        content_type: str | None,
        body: bytes,
        status: int,
        output: bytes,
        seconds: float,
    ) -> None:
        more: dict[str, Any] = {}
        try:
            shown = body.decode()
        except UnicodeDecodeError:
            recorder.drop()  # it could not be sent again as it was
            return
        if self._redaction is not None:
            redacted = self._redaction.request(body, content_type)
            if redacted is None:
                recorder.drop()  # nobody can tell where in it is what must not be kept
                return
            shown = redacted.body
            more = {"redacted": redacted.columns} if redacted.columns else {}
            output = output if status == _OK else b""  # an error's words may repeat what was sent
        record = {
            "at": at,
            "request_id": request_id.decode("ascii"),
            "version": self.options.version,
            "status": status,
            "seconds": round(seconds, 6),
            "content_type": content_type,
            "input": shown,
            "output": output.decode("utf-8", "replace"),
            **more,
        }
        recorder.capture(record, len(body) + len(output) + 512)

    async def feedback(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, _, length, plain = self._headers(scope["headers"])
        client = self._sender(scope["headers"])
        if isinstance(client, ScoringAnswer):
            await reply(send, client, [(b"www-authenticate", b"Bearer")] if client.status == _UNAUTHORIZED else ())
            return
        body = await self._body(receive, length, _MAX_FEEDBACK_BODY)
        if not plain:
            body = _COMPRESSED
        await reply(send, body if isinstance(body, ScoringAnswer) else self._feedback(body, client))

    def _sender(self, headers: Iterable[tuple[bytes, bytes]]) -> str | ScoringAnswer:
        """Returns the name of who sends feedback, empty for anybody; or the answer to who may not."""
        if self.recorder is None:
            return problem(
                404, "FEATURE_DISABLED", "This replica keeps no feedback: it was started without --capture-dir."
            )
        if self._senders.closed:
            return problem(403, "PERMISSION_DENIED", _NO_TOKENS)
        client = self._senders.name(next((value for name, value in headers if name == b"authorization"), b""))
        if client is None:
            self.recorder.refuse(STRANGER, 1)
            return problem(_UNAUTHORIZED, "UNAUTHENTICATED", "Send a token for labels: Authorization: Bearer TOKEN.")
        return client

    def _feedback(self, body: bytes, client: str) -> ScoringAnswer:
        recorder = self.recorder
        assert recorder is not None
        try:
            given = json.loads(body)
        except (ValueError, RecursionError):
            return problem(400, "BAD_REQUEST", "Expected JSON.")
        entries = cast("list[Any]", given if isinstance(given, list) else [given])
        if not all(map(_is_feedback, entries)):
            return problem(400, "BAD_REQUEST", _FEEDBACK)
        allowed = self._senders.take(client, len(entries))
        more = {"client": client} if client else {}
        for number, entry in enumerate(entries[:allowed]):
            if self._redaction is not None:
                entry = {**entry, "truth": self._redaction.label(entry["truth"])}
            record = {"received": round(time.time(), 3), "version": self.options.version, **more, **entry}
            if not recorder.feedback(record, len(body) // len(entries) + 128):
                return problem(503, "TEMPORARILY_UNAVAILABLE", _taken(number, len(entries)))
        if allowed < len(entries):
            recorder.refuse(client, len(entries) - allowed)
            return problem(429, "RESOURCE_EXHAUSTED", _taken(allowed, len(entries)))
        return ScoringAnswer(202, b'{"accepted": %d}' % len(entries))

    def close(self) -> None:
        self.predictor.close()
        if self.recorder is not None:
            self.recorder.close()


async def reply(send: Send, answer: ScoringAnswer, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    every = [(b"content-length", b"%d" % len(answer.body)), (b"content-type", answer.media_type), *headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": every})
    await send({"type": "http.response.body", "body": answer.body})
