"""Runs the program `terraform` or `tofu`: in its directory, with secrets in its environment alone, and never left
behind by this process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ...child import EXEC_WITH_PARENT
from ...domain.frozen import Frozen
from ...errors import MissingExtra, RunFailed
from .. import CutShort

PROGRAMS = ("terraform", "tofu")
# What a person may have set for their own calls, and would make ours say or do something else.
_OTHERS = (
    "TF_WORKSPACE", "TF_CLI_ARGS", "TF_CLI_ARGS_apply", "TF_CLI_ARGS_show", "TF_CLI_ARGS_output",
    "TF_CLI_ARGS_workspace", "TF_LOG", "TF_LOG_CORE", "TF_LOG_PROVIDER", "TF_LOG_PATH", "TF_DATA_DIR", "TF_INPUT",
)  # fmt: skip
# How long it may take to end by itself once it was asked to: it finishes what it is changing, and writes the state.
STOP_TIMEOUT = 600.0
MAX_OUTPUT = 256 << 20


class Done(Frozen):
    """How a call ended."""

    code: int
    out: str = ""
    """Standard output, where it was not given line by line."""
    err: str = ""


def find(name: str, home: Path) -> str:
    """Returns the program's path: the one that podium.yaml names, else terraform, else tofu. Raises MissingExtra where
    there is none."""
    for each in (name,) if name else PROGRAMS:
        found = str(home / each) if "/" in each else each
        if path := shutil.which(found):
            return path
    missing = name or " nor ".join(PROGRAMS)
    raise MissingExtra(
        f"there is no program {missing} on this machine" if name else f"there is neither {missing} on PATH",
        hint="install Terraform or OpenTofu, or say where it is: `program:` of the infrastructure",
    )


class Program:
    """The program in one directory."""

    def __init__(self, path: str, directory: Path, data: Path, variables: Mapping[str, str]) -> None:
        """`data` is where it keeps its providers and its choice of a workspace; `variables` are those of the
        configuration."""
        self.path, self.directory = path, directory
        self._env = _environment(data, variables)

    def run(self, arguments: Sequence[str], *, timeout: float) -> Done:
        """Runs it to its end and returns what it wrote. Raises RunFailed where it takes longer than `timeout` s."""
        lines: list[str] = []
        code, err = self.stream(arguments, lines.append, timeout=timeout)
        return Done(code, "".join(lines), err)

    def stream(self, arguments: Sequence[str], on_line: Callable[[str], None], *, timeout: float) -> tuple[int, str]:
        """Runs it and gives each line of its output; returns its exit code and what it wrote to standard error.

        Raises RunFailed where it takes longer than `timeout` seconds. Whatever ends the call, the program is asked to
        end first, and waited for: it would leave its state behind.
        """
        process = self._start(arguments)
        errors: list[str] = []
        assert process.stdout is not None and process.stderr is not None
        drain = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
        drain.start()
        late = threading.Event()
        over = threading.Event()
        threading.Thread(target=_end_late, args=(process, timeout, over, late), daemon=True).start()
        try:
            size = 0
            for line in process.stdout:
                size += len(line)
                if size <= MAX_OUTPUT:
                    on_line(line)
            code = process.wait()
        except BaseException as error:
            if not _ask_to_end(process):
                raise self._cut_short(arguments) from error
            raise
        finally:
            over.set()
        drain.join(1.0)
        if code < 0:
            raise self._cut_short(arguments)
        if late.is_set() and code:
            raise RunFailed(
                f"{Path(self.path).name} {arguments[0]} took longer than {timeout:g} s and was told to end",
                hint="raise `timeout` of the infrastructure",
            )
        return code, "".join(errors)

    def _start(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", EXEC_WITH_PARENT, str(os.getpid()), self.path, *arguments],
            cwd=self.directory,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # a signal for all processes of the step is not for it: it is asked to end
        )

    def _cut_short(self, arguments: Sequence[str]) -> CutShort:
        words = f"{Path(self.path).name} {arguments[0]} was killed before it was done"
        return CutShort(words, hint="make a new plan: it shows what is done, and what is not")


def _end_late(process: subprocess.Popen[str], timeout: float, over: threading.Event, late: threading.Event) -> None:
    """Asks a program that is not over in time to end; one that does not even then is killed."""
    if over.wait(timeout):
        return
    late.set()
    process.send_signal(signal.SIGINT)
    if not over.wait(STOP_TIMEOUT):
        process.kill()


def _ask_to_end(process: subprocess.Popen[str]) -> bool:
    """Asks the program to end, and waits for that; one that does not is killed. Returns whether it ended by itself."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    # What it still writes is read, and thrown away: it would wait for that.
    threading.Thread(target=lambda: [None for _ in process.stdout or ()], daemon=True).start()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return process.returncode >= 0


def _environment(data: Path, variables: Mapping[str, str]) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in _OTHERS}
    env |= {f"TF_VAR_{name}": value for name, value in variables.items()}
    return env | {
        "TF_DATA_DIR": str(data),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }
