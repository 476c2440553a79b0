"""`podium ui --web` on a seeded project, and what is asked of it by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.conftest import required
from tests.runner.scale import scaled
from tests.support import readable


class Served:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address
        self.place, _, self.token = address.partition("/#")
        self.host = self.place.removeprefix("http://")

    @property
    def sessions(self) -> list[int]:
        """The processes that it has started, which are one for each tab."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(each) for each in found]

    def end(self) -> tuple[int, str]:
        """Ends it by ctrl+c; how it ended, and what it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=scaled(20))
        return self.process.returncode, said


@contextmanager
def served(home: Path, *options: str) -> Iterator[Served]:
    required("" if find_spec("textual_serve") else "textual-serve")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "podium.cli", "ui", "--web", *options],
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TZ": "UTC"},
    )
    try:
        assert process.stdout is not None
        assert readable(process.stdout.fileno(), seconds=scaled(30)), "it says where it is"
        line = process.stdout.readline().strip()
        assert line.startswith("http://127.0.0.1:"), (line, process.communicate(timeout=scaled(10))[1])
        yield Served(process, line)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=scaled(10))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False
