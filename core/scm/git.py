"""Runs the `git` program: never through a shell, never with a prompt, never for longer than a time-out."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..domain.frozen import Frozen
from ..errors import MissingExtra, PodiumError, Unreachable

TIMEOUT = 30.0
# Names as they are, and nothing of the repository's own configuration that runs programs behind our back.
_DUBIOUS = re.compile(r"dubious ownership in repository at '([^'\n]+)'")
_SETTINGS = (
    "core.quotepath=false",
    "i18n.logOutputEncoding=UTF-8",
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "gc.auto=0",
)


class GitResult(Frozen):
    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "replace").rstrip("\n")


def git(
    directory: Path,
    *arguments: str,
    timeout: float = TIMEOUT,
    hooks: bool = False,
    more: Mapping[str, str] | None = None,
) -> GitResult:
    """Runs git and returns its answer, whatever the exit code. Raises MissingExtra without git, Unreachable after
    `timeout` seconds.

    `hooks` keeps the repository's hooks setting, which is otherwise overridden (it is needed to ask where the hooks
    are). `more` is added to the environment, such as a credential, which belongs in no argument.
    """
    process = _start(directory, arguments, stderr=subprocess.PIPE, hooks=hooks, extra=more)
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException as error:
            _kill(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise _timed_out(directory, arguments, timeout) from None
            raise
    return GitResult(process.returncode, out, err.decode("utf-8", "replace").strip())


def first_bytes(directory: Path, *arguments: str, limit: int, timeout: float = TIMEOUT) -> tuple[bytes, bool]:
    """Runs git and returns the first `limit` bytes of what it writes, and whether there is more; git is ended then.
    Nothing is fetched for it, from a clone that has not everything. Raises what `checked` does."""
    import tempfile

    with tempfile.TemporaryFile() as errors:
        process = _start(directory, arguments, stderr=errors, extra={"GIT_NO_LAZY_FETCH": "1"})
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(timeout, end)
        timer.daemon = True
        timer.start()
        try:
            with process:
                assert process.stdout is not None
                out = process.stdout.read(limit + 1)
                if len(out) > limit:
                    _kill(process)
        except BaseException:
            _kill(process)
            raise
        finally:
            timer.cancel()
        if late.is_set():
            raise _timed_out(directory, arguments, timeout)
        if process.returncode and len(out) <= limit:
            errors.seek(0)
            words = errors.read(10_000).decode("utf-8", "replace").strip()
            raise failure(GitResult(process.returncode, b"", words), arguments)
    return out[:limit], len(out) > limit


def _start(
    directory: Path,
    arguments: Sequence[str],
    *,
    stderr: Any,
    hooks: bool = False,
    extra: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    settings = [part for setting in _SETTINGS if not (hooks and "hooksPath" in setting) for part in ("-c", setting)]
    command = ["git", "--no-pager", *settings, *arguments]
    try:
        return subprocess.Popen(
            command,
            cwd=directory,
            env=_environment() | dict(extra or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            process_group=0,
        )
    except FileNotFoundError as error:
        if not Path(directory).is_dir():
            raise PodiumError(f"the directory {directory} does not exist") from error
        raise MissingExtra(
            "git is not installed, or not on the PATH", hint="install git (for example `apt install git`)"
        ) from error
    except OSError as error:
        raise PodiumError(f"git cannot be started in {directory}: {error.strerror}") from error


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _timed_out(directory: Path, arguments: Sequence[str], timeout: float) -> Unreachable:
    hint = "is the disk or the network file system slow? try the command by hand"
    return Unreachable(f"`git {arguments[0]}` did not end within {timeout:g} s in {directory}", hint=hint)


def checked(directory: Path, *arguments: str, timeout: float = TIMEOUT) -> GitResult:
    """Runs git like `git`, but raises PodiumError with git's message for an exit code other than 0."""
    answer = git(directory, *arguments, timeout=timeout)
    if answer.code:
        raise failure(answer, arguments)
    return answer


def failure(answer: GitResult, arguments: Sequence[str]) -> PodiumError:
    words = answer.err.removeprefix("fatal: ") or f"exit code {answer.code}"
    if "dubious ownership" in words:
        found = _DUBIOUS.search(words)
        directory = found[1] if found else "DIRECTORY"
        return PodiumError(
            f"git refuses this repository: {directory if found else 'it'} belongs to another user",
            hint=f"git config --global --add safe.directory {shlex.quote(directory)}",
        )
    if "git-lfs" in words or "filter-process" in words or "smudge filter lfs" in words:
        return PodiumError(
            "git cannot check out files that are kept by Git LFS",
            hint="install git-lfs and run `git lfs pull`, or set GIT_LFS_SKIP_SMUDGE=1 to do without these files",
        )
    if "promisor remote" in words:
        return PodiumError(
            "files of this commit are not here: this is a partial clone, and its remote does not give them",
            hint="git fetch --refetch, where the remote can be reached",
        )
    if "index.lock" in words or ".lock': File exists" in words:
        return PodiumError(
            f"git {arguments[0]}: another git is at work: {words}",
            hint="wait for it, or remove the lock file if no git is running",
        )
    return PodiumError(f"git {arguments[0]}: {words}")


def _environment() -> dict[str, str]:
    """Returns our environment without the variables by which a calling git (a hook, `git rebase --exec`) names its
    repository: we name ours explicitly."""
    kept = ("GIT_CONFIG_", "GIT_EXEC_PATH")
    from ..http_client import without_proxy_for_loopback

    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(kept)
    }
    own = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "LANGUAGE": "C"}
    return without_proxy_for_loopback(environment, always=True) | own
