"""Delivers webhooks: in order, one after the other, in a thread of its own, each once.

A host does not repeat a delivery that failed, and neither does this one; `Hooks.deliveries` says what became of each.
"""

from __future__ import annotations

import http.client
import json
import queue
import threading
import uuid
from collections import deque
from collections.abc import Mapping
from urllib.parse import urlsplit

from ...domain.frozen import Frozen
from .dialect import Delivery, Dialect, Services
from .model import Hook
from .state import Event

_TIMEOUT = 10.0
_MAX_WAITING = 5_000
_KEPT = 1_000


class Delivered(Frozen):
    """What became of a webhook."""

    number: str
    event: str
    url: str
    status: int
    """0 when nobody answered."""
    body: bytes
    headers: Mapping[str, str]


class Hooks:
    """`forge.hooks`. Those that wait for longer than five thousand others are lost, as at a host that is overloaded."""

    def __init__(self, dialect: Dialect, services: Services) -> None:
        self._dialect, self._services = dialect, services
        self._waiting: queue.Queue[tuple[Hook, Delivery] | None] = queue.Queue(_MAX_WAITING)
        self.deliveries: deque[Delivered] = deque(maxlen=_KEPT)
        self._thread = threading.Thread(target=self._deliver, daemon=True)
        services.state.listeners.append(self._note)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        while True:
            try:
                self._waiting.put_nowait(None)
                break
            except queue.Full:
                self._waiting.get_nowait()
        self._thread.join(_TIMEOUT)

    def repeat(self, delivered: Delivered) -> int:
        """Sends one again as it was, as a person can ask a host to; returns the answer's status."""
        return _posted(delivered.url, delivered.body, delivered.headers)

    def _note(self, event: Event) -> None:
        hooks = [hook for hook in event.repo.hooks.values() if hook.active]
        if not hooks:
            return
        for delivery in self._dialect.deliveries(self._services, event):
            for hook in hooks:
                if self._dialect.wants(hook, delivery) and not self._waiting.full():
                    self._waiting.put_nowait((hook, delivery))

    def _deliver(self) -> None:
        while (found := self._waiting.get()) is not None:
            hook, delivery = found
            body = json.dumps(delivery.document, ensure_ascii=False).encode()
            number = str(uuid.uuid4())
            headers = {"Content-Type": "application/json", **self._dialect.signed(hook, delivery, body, number)}
            status = _posted(hook.url, body, headers)
            self.deliveries.append(Delivered(number, delivery.event, hook.url, status, body, headers))


def _posted(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_TIMEOUT)
    try:
        connection.request("POST", parts.path or "/", body, dict(headers))
        answer = connection.getresponse()
        answer.read(1 << 16)
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
