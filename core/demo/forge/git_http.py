"""Serves bare repositories over smart HTTP, as `git http-backend` does."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from .exchange import Answer

# What a client of smart HTTP asks for; all else of a repository is not served.
_PATH = re.compile(r"/(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/(?P<rest>info/refs|git-upload-pack|git-receive-pack)")
_TIMEOUT = 120.0


def split(path: str) -> tuple[str, str] | None:
    """Returns (`owner/name`, what of it is asked for); None if it is no request of git."""
    match = _PATH.fullmatch(path)
    return (f"{match['owner']}/{match['name']}", match["rest"]) if match else None


def pushes(rest: str, query: Mapping[str, str]) -> bool:
    return rest == "git-receive-pack" or query.get("service") == "git-receive-pack"


def carry_out(
    bare: Path, rest: str, method: str, query: str, headers: Mapping[str, str], body: IO[bytes], user: str
) -> Answer:
    """Lets git answer a request whose body is an open file, and returns its answer, which is a file too."""
    size = body.seek(0, os.SEEK_END)
    body.seek(0)
    process = subprocess.Popen(
        ["git", "http-backend"],
        env=_environment(bare, rest, method, query, headers, size, user),
        stdin=body,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    stdout = process.stdout
    if stdout is None:
        raise RuntimeError("git has no output")
    return _begun(process, stdout)


def _begun(process: subprocess.Popen[bytes], stdout: IO[bytes]) -> Answer:
    """Reads the head of what a CGI program answers."""
    answer = Answer(200, kind="application/octet-stream", files=Output(process, stdout))
    for line in iter(stdout.readline, b""):
        name, _, value = line.decode("latin-1").strip().partition(":")
        if not name:
            return answer
        if name.lower() == "status":
            answer.status = int(value.split()[0])
        elif name.lower() == "content-type":
            answer.kind = value.strip()
        else:
            answer.headers[name] = value.strip()
    process.wait(_TIMEOUT)
    stdout.close()
    return Answer(500, content=b"git ended without an answer\n", kind="text/plain")


class Output:
    """What git still writes. `close` waits for its end."""

    def __init__(self, process: subprocess.Popen[bytes], stdout: IO[bytes]) -> None:
        self._process = process
        self._stdout = stdout

    def read(self, size: int) -> bytes:
        return self._stdout.read(size)

    def close(self) -> None:
        self._stdout.close()
        try:
            self._process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment(
    bare: Path, rest: str, method: str, query: str, headers: Mapping[str, str], size: int, user: str
) -> dict[str, str]:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_PROJECT_ROOT": str(bare.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{bare.name}/{rest}",
        "REQUEST_METHOD": method,
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(size),
        "REMOTE_USER": user,
        "REMOTE_ADDR": "127.0.0.1",
    }
    optional = {"HTTP_CONTENT_ENCODING": "content-encoding", "GIT_PROTOCOL": "git-protocol"}
    return environment | {name: headers[header] for name, header in optional.items() if header in headers}
