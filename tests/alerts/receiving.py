"""A server of this machine that takes messages about alerts, and keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support import http_server


@dataclass
class Taken:
    """`answer` is the status that it answers with."""

    url: str = ""
    answer: int = 204
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.requests]

    @property
    def changes(self) -> list[tuple[str, str]]:
        return [(each["alert"], each["state"]) for message in self.messages for each in message["changes"]]


@contextmanager
def receiver() -> Iterator[Taken]:
    taken = Taken()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if taken.answer < 500:
                taken.requests.append((self.path, headers, body))
            self.send_response(taken.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with http_server(Handler) as server:
        taken.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield taken
