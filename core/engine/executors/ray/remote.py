"""What runs on a node of the cluster, in whatever Python is there, without anything of Podium: it starts the command,
and writes what that prints into the job's log as frames, one a line:

    RS kind base64

`o` and `e` are pieces of standard output and standard error as they come, `t` is a tar of the outputs, `x` is the exit
code and the last one. Everything else in that log is Ray's own. The two streams stay apart, no byte is lost to an
encoding, and a log that ends without `x` is known not to be whole.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from typing import IO, Any

VARIABLE = "PODIUM_RAY_SPEC"
MARK = b"\x1e"
# Of a piece of output, and of the outputs that are brought back through the log.
_CHUNK = 1 << 16
_PR_SET_CHILD_SUBREAPER = 36


class Frames:
    """Writes frames, from several threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, kind: bytes, data: bytes) -> None:
        line = MARK + kind + base64.b64encode(data) + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


class _Sent(io.RawIOBase):
    """A file that is written as frames."""

    def __init__(self, frames: Frames, limit: int) -> None:
        self._frames, self._left = frames, limit

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._left -= len(piece)
        if self._left < 0:
            raise OverflowError
        for at in range(0, len(piece), _CHUNK):
            self._frames.write(b"t", piece[at : at + _CHUNK])
        return len(piece)


def main() -> int:
    spec = json.loads(base64.b64decode(os.environ.pop(VARIABLE)))
    told: list[int] = []

    def note(number: int, frame: object) -> None:
        told.append(number)

    # Ray signals everything that a job has started, the command among it.
    signal.signal(signal.SIGTERM, note)
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    frames = Frames(os.dup(1))
    if told:
        frames.write(b"x", b"143")
        return 143
    try:
        command = subprocess.Popen(
            spec["argv"],
            env={**os.environ, **spec["env"]},
            cwd=spec["cwd"] or None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
        )
    except OSError as error:
        frames.write(b"e", f"podium: {error.strerror}: {error.filename}\n".encode())
        frames.write(b"x", b"127")
        return 127
    assert command.stdout and command.stderr
    readers = [
        threading.Thread(target=_forward, args=(frames, kind, stream), daemon=True)
        for kind, stream in ((b"o", command.stdout), (b"e", command.stderr))
    ]
    for reader in readers:
        reader.start()
    code = command.wait()
    _end_all(command.pid)
    for reader in readers:
        reader.join(5.0)
    code = 128 - code if code < 0 else code
    if code == 0 and spec["outputs"]:
        code = _send(frames, spec["outputs"], spec["limit"])
    frames.write(b"x", str(code).encode())
    return code


def _forward(frames: Frames, kind: bytes, stream: IO[bytes]) -> None:
    while data := os.read(stream.fileno(), _CHUNK):
        frames.write(kind, data)


def _end_all(group: int) -> None:
    """Ends what the command left running: its own session, and what left that one."""
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                parent = int(file.read().rpartition(b")")[2].split()[1])
            if parent == os.getpid():
                os.kill(int(name), signal.SIGKILL)


def _send(frames: Frames, outputs: list[str], limit: int) -> int:
    try:
        with tarfile.open(fileobj=_Sent(frames, limit), mode="w|gz") as tar:
            for path in outputs:
                if os.path.lexists(path):  # one that is missing is reported where the step is known
                    tar.add(path)
    except OverflowError:
        words = f"podium: the outputs have more than {limit >> 20} MiB, which the job's log does not carry\n"
        frames.write(b"e", words.encode())
        return 1
    except OSError as error:
        frames.write(b"e", f"podium: the outputs cannot be read: {error}\n".encode())
        return 1
    return 0


if __name__ == "__main__":
    code = 1
    try:
        code = main()
    finally:
        sys.stdout.flush()
        os._exit(code)
