"""What the servers of the tests have in common: a directory of their own, a process that logs into it, and an end of
both."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.runner.scale import scaled


class Started(ABC):
    """As a context manager it is started, and ended with all that it left."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Server(Started):
    """A process of this machine that answers once it is up."""

    name: str
    start_seconds: float

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"podium-{self.name}-"))
        self.log = self.directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def answers(self) -> bool: ...

    def launch(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        """Start it, in a session of its own, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                cwd=self.directory,
                start_new_session=True,
            )
        deadline = time.monotonic() + scaled(self.start_seconds)
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def ensure(self) -> Self:
        """Starts it again, over its files, where it has died: a server that many tests share must not take all of them
        with it."""
        if not self.answers():
            self.stop()
            self.start()
        return self

    def stop(self) -> None:
        """It and what it started; its files stay."""
        if self._process is None or self._process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(self._process.pid, number)
            try:
                self._process.wait(scaled(10))
            except subprocess.TimeoutExpired:
                continue
            return

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
