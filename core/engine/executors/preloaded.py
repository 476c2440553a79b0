"""Built-in steps, which need MLflow: children of the preloading server where there is one."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...preload.client import Process
from ...preload.protocol import Child
from .. import orphans


class PreloadedExecution:
    """Implements Execution. Ends with the worker; nothing that the step left running is looked for, since what a
    deployment starts is meant to stay."""

    def __init__(self, state: Path, child: Child, stdin: int) -> None:
        self.stdout, out = os.pipe()
        self.stderr, err = os.pipe()
        try:
            self._process = Process(state, child, (stdin, out, err))
        except BaseException:
            os.close(self.stdout)
            os.close(self.stderr)
            raise
        finally:
            os.close(out)
            os.close(err)
        self._keep_from_reaping()

    @property
    def wake(self) -> int | None:
        return self._process.wake

    def poll(self) -> int | None:
        code = self._process.poll()
        self._keep_from_reaping()
        return code

    def leftovers(self) -> int:
        return 0

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def findings(self) -> Mapping[str, Any]:
        return {}

    def _keep_from_reaping(self) -> None:
        """Tells `orphans` of a new interpreter, which is waited for here: else it would be reaped as an orphan."""
        pid = self._process.child_pid
        if pid is not None:
            (orphans.leaders.remove if self._process.returncode is not None else orphans.leaders.add)(pid)

    def _signal(self, number: int) -> None:
        """Sends a signal to the step's whole session; to one that has not begun, it is its end."""
        self._process.send_signal(number)
        if self._process.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
