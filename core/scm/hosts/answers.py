"""Answers of a Git host that are kept, so that the next question can be: has it changed since?"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from ...domain.frozen import Frozen

MAX_KEPT_BYTES = 16 << 20
MAX_KEPT_ANSWERS = 2000
# A larger answer is asked for anew each time.
MAX_BODY_BYTES = 2 << 20


class KeptAnswer(Frozen):
    """What was answered to one address, and by which mark (ETag, or else a date) the host knows it again."""

    etag: str
    modified: str
    body: bytes
    link: str = ""
    """The header `Link`, which says where the next page is."""
    kind: str = ""
    """The header `Content-Type`."""


class AnswerStore(Protocol):
    """Keeps answers by their addresses, as many as it likes: one that is gone costs a whole answer, nothing else. An
    address holds no credential."""

    def get(self, key: str) -> KeptAnswer | None: ...

    def put(self, key: str, answer: KeptAnswer) -> None: ...


class MemoryStore:
    """Keeps the answers that were used last, in memory."""

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES, max_answers: int = MAX_KEPT_ANSWERS) -> None:
        self._answers: OrderedDict[str, KeptAnswer] = OrderedDict()
        self._max_bytes, self._max_answers = max_bytes, max_answers
        self.size = 0
        """Bytes of all bodies."""

    def get(self, key: str) -> KeptAnswer | None:
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def put(self, key: str, answer: KeptAnswer) -> None:
        before = self._answers.pop(key, None)
        self.size -= len(before.body) if before is not None else 0
        if len(answer.body) > self._max_bytes:
            return
        self._answers[key] = answer
        self.size += len(answer.body)
        while self.size > self._max_bytes or len(self._answers) > self._max_answers:
            self.size -= len(self._answers.popitem(last=False)[1].body)
