"""A stand-in for a replica that starts in a tenth of a second: what it does is written in its "model's" behaviour.json.

start: seconds until healthy · crash: end while loading · status: of /invocations · delay: seconds a prediction takes
· answer: what it predicts (its version) · fails_after: so many good answers come before `status` · dies_after: it
ends itself after so many · stubborn: it does not end when it is told to · needs: a file without which it ends while
loading

A file `mood-PORT` beside it (in a container, in /tmp) says what the replica on that port does for as long as it is there: slow, wrong (500), junk (no
HTTP), hangs up (without an answer), silent (nothing at all is answered).
"""

import argparse
import itertools
import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer

parser = argparse.ArgumentParser()
parser.add_argument("--model", type=Path)
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int)
parser.add_argument("--unix", type=Path)
parser.add_argument("--version", default=os.environ.get("PODIUM_SERVING_VERSION"))
known, _ = parser.parse_known_args()
behaviour = json.loads((known.model / "behaviour.json").read_text())
born = time.monotonic()
answers = itertools.count(1)


# In a container nothing but /tmp can be written.
moods = known.model if known.host != "0.0.0.0" else Path("/tmp")
mood_file = moods / f"mood-{known.port}"


def mood() -> str:
    try:
        return mood_file.read_text()
    except OSError:
        return ""


def illness() -> str:
    """Why it is ill, by a file of the tests. On a disk that fails it is not: a real replica's health is not on a disk."""
    try:
        return (known.model / "ill").read_text() or "ill"
    except OSError:
        return ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write, as a real server's is

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def in_a_mood(self) -> bool:
        """Does what a mood makes of a prediction; returns whether that was all."""
        now = mood()
        if now == "slow":
            time.sleep(0.4)
        elif now == "wrong":
            self.answer(500, {"message": "in a mood"})
        elif now == "junk":
            self.wfile.write(b"\0\1 this is no answer\r\n\r\n")
        if now in ("junk", "hangs up"):
            self.close_connection = True
        return now in ("wrong", "junk", "hangs up")

    def do_GET(self) -> None:
        while mood() == "silent":
            time.sleep(0.05)
        why = illness()
        loaded = time.monotonic() - born >= behaviour.get("start", 0) and not why
        if self.path == "/ping":
            self.answer(200 if loaded else 503, {"message": why} if why else {})
        elif self.path == "/version":
            self.answer(200, {"version": known.version, "pid": os.getpid()})
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        while mood() == "silent":
            time.sleep(0.05)
        if self.in_a_mood():
            return
        time.sleep(behaviour.get("delay", 0))
        number = next(answers)
        if number > behaviour.get("dies_after", number):
            os._exit(1)
        good = number <= behaviour.get("fails_after", 0)
        self.answer(
            200 if good else behaviour.get("status", 200),
            {"predictions": [behaviour.get("answer", int(known.version))]},
        )

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


class UnixServer(Server):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        known.unix.unlink(missing_ok=True)
        os.umask(0o177)
        TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        return super().get_request()[0], ("unix", 0)


print(f"light replica of version {known.version} on port {known.port}", flush=True)
if behaviour.get("stubborn"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behaviour.get("crash") or not Path(behaviour.get("needs", "/")).exists():
    threading.Event().wait(0.05)
    print("ModuleNotFoundError: No module named 'a_package_that_is_not_there'\x1b[31m", file=sys.stderr, flush=True)
    sys.exit(1)
made = UnixServer(str(known.unix), Handler) if known.unix else Server((known.host, known.port), Handler)  # type: ignore[arg-type]
made.serve_forever(poll_interval=0.05)
