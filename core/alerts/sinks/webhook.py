"""A webhook: the message as JSON, signed as Standard Webhooks say (https://www.standardwebhooks.com).

`webhook-id` is the message's key, the same when it is sent again; `webhook-signature` is `v1,` and the base64 of an
HMAC-SHA256 over `id.timestamp.body`, the body as it is sent. A key that begins with `whsec_` is base64 after that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from urllib.parse import urlsplit

from ...domain.project import Sink
from ...errors import UsageError
from ...http_client import Credentials, HttpClient, Limits
from ...journal.outbox import Undeliverable
from . import Notice

_PREFIX = "whsec_"
# What another attempt would not change.
_FINAL = frozenset({400, 410, 413, 422})


def send(sink: Sink, notice: Notice) -> None:
    """Sends a message. Raises Undeliverable where the receiver says that it will never take it, Unreachable if it does
    not answer, or with anything but success."""
    body = json.dumps(notice.document()).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "podium"}
    headers |= signature(sink.key, notice.key, int(time.time()), body)
    post(sink, path_of(sink.address), body, headers, Credentials.in_address(sink.address))


def signature(key: str, identity: str, at: int, body: bytes) -> dict[str, str]:
    """Returns the headers that say who sent a message and when; without a key they are not signed."""
    headers = {"webhook-id": identity, "webhook-timestamp": str(at)}
    if key:
        mac = hmac.new(_bytes(key), f"{identity}.{at}.".encode() + body, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
    return headers


def _bytes(key: str) -> bytes:
    if not key.startswith(_PREFIX):
        return key.encode()
    try:
        return base64.b64decode(key.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("the webhook's key is not base64 after whsec_", hint="correct the variable") from None


def path_of(address: str) -> str:
    """Returns an address from its path on."""
    parts = urlsplit(address)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def post(sink: Sink, path: str, body: bytes, headers: dict[str, str], credentials: Credentials | None) -> None:
    """Posts a body to a sink's server, once. The client knows the server's name alone: the rest of an address may be a
    secret, and errors name what it knows."""
    from ...errors import Unreachable

    parts = urlsplit(sink.address)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    limits = Limits(
        connect_seconds=min(5.0, sink.timeout),
        read_seconds=sink.timeout,
        answer_seconds=sink.timeout,
        answer_bytes=1 << 20,
        retry_pauses=(),
    )
    client = HttpClient(host, subject=f"sink {sink.name} at", credentials=credentials, limits=limits)
    with client:
        answer = client.ask("POST", path, content=body, headers=headers)
    if answer.good:
        return
    words = f"sink {sink.name} at {client.name} answered {answer.status}"
    if 300 <= answer.status < 400:
        raise Unreachable(f"{words}, a redirect, which nothing follows", hint="name the address that it leads to")
    if answer.status in _FINAL:
        raise Undeliverable(words)
    raise Unreachable(words, hint="look at its address and key in podium.yaml")
