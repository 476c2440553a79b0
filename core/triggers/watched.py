"""One project of several that one agent watches: an agent in a process of its own, whose environment is the project's,
started again after a pause whenever it ends."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..child import EXEC_WITH_PARENT
from ..config import FILE
from ..config.own import own_environment
from ..domain.watching import WatchedProject, WatchState
from ..errors import JournalError, PodiumError
from ..journal import Journal
from .agent import Place

MAX_PAUSE = 60.0
# An agent that has run so long did not end because of how it starts.
STEADY = 60.0
_LOG_TAIL = 64 << 10
_STAMPED = re.compile(r"\d{4}-\d\d-\d\dT[0-9:]{8}Z ")


class Watched:
    """Called once in a while by the process that started it. `pause` is the first one, in seconds: it doubles with each
    failure, up to a minute."""

    def __init__(self, home: Path, pause: float = 1.0) -> None:
        self.home = home
        self._pause = pause
        self._process: subprocess.Popen[bytes] | None = None
        self._place: Place | None = None
        self._log_from = 0
        self._failures = 0
        self._due = 0.0
        self._seen = WatchedProject(str(home), WatchState.STARTING, since=time.time())

    @property
    def now(self) -> WatchedProject:
        """Returns how it is."""
        return self._seen

    def look(self) -> None:
        """Takes note of what has become of the agent, and starts it when it is time."""
        if self._process is None:
            if time.monotonic() >= self._due:
                self._start()
            return
        code = self._process.poll()
        if code is not None:
            self._ended(code)
        elif self._seen.state is WatchState.STARTING:
            if self._agent() == (self._process.pid, True):
                self._become(WatchState.RUNNING)
        elif self._failures and time.time() - (self._seen.since or 0.0) > STEADY:
            self._failures = 0

    def moved(self) -> Path | None:
        """Returns where the project was moved to, which its agent has followed; None if it is where it was. Raises
        OSError where that cannot be told just now."""
        if self._process is None or self._place is None or not self._place.left():
            return None
        now = self._place.now()
        return now.parent if now is not None and _there(now.parent / FILE) else None

    def follow(self, home: Path) -> None:
        """Goes on at another place. Raises OSError, and changes nothing, if it cannot be opened."""
        place = Place(home / ".podium")
        self._close_place()
        self.home, self._seen, self._place = home, replace(self._seen, home=str(home)), place

    def ask_to_end(self) -> None:
        self._signal(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Waits for the end until `deadline` (monotonic), and then kills."""
        if self._process is not None:
            try:
                self._process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
            self._process = None
        self._close_place()

    # Starting and ending

    def _start(self) -> None:
        try:
            if not _there(self.home / FILE):
                self._again(WatchState.GONE, f"there is no {self.home / FILE} any more")
                return
            pid, living = self._agent()
            if living:
                self._again(WatchState.ELSEWHERE, f"process {pid} watches it, and is left alone")
                return
            self._spawn(own_environment(self.home))
        except (PodiumError, OSError) as error:
            self._close_place()
            self._again(WatchState.RETRYING, str(error))

    def _spawn(self, environment: dict[str, str]) -> None:
        state = self.home / ".podium"
        state.mkdir(mode=0o700, exist_ok=True)
        self._place = Place(state)
        agent = (sys.executable, "-m", "podium.core.triggers.agent", str(self.home), "")
        handle = os.open(state / "agent.log", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._log_from = os.fstat(handle).st_size
            self._process = subprocess.Popen(
                [sys.executable, "-c", EXEC_WITH_PARENT, str(os.getpid()), *agent],
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                start_new_session=True,
                cwd="/",
                env=environment,
            )
        finally:
            os.close(handle)
        self._become(WatchState.STARTING)
        self._seen = replace(self._seen, pid=self._process.pid, starts=self._seen.starts + 1)

    def _ended(self, code: int) -> None:
        how = f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
        said = last_words(self.home / ".podium" / "agent.log", self._log_from)
        self._process = None
        self._close_place()
        self._again(WatchState.RETRYING, said or how)

    def _again(self, state: WatchState, words: str) -> None:
        """Tries again later: what stands in its way is not over because it is looked at more often."""
        pause = min(MAX_PAUSE, self._pause * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._due = time.monotonic() + pause
        self._become(state, words, time.time() + pause)

    def _become(self, state: WatchState, words: str = "", retry: float | None = None) -> None:
        was = self._seen
        since = was.since if (was.state, was.words) == (state, words) else time.time()
        pid = self._process.pid if self._process is not None else None
        self._seen = replace(was, state=state, words=words, pid=pid, since=since, retry=retry)

    def _agent(self) -> tuple[int | None, bool]:
        """Returns the process that the journal names as the agent, and whether it is alive. A journal that cannot be
        read is told by the agent that is started."""
        path = self.home / ".podium" / "journal.db"
        with suppress(JournalError, OSError):
            if path.is_file():
                with Journal.open(path) as journal:
                    status = journal.agent.status()
                    return status.pid, status.alive
        return None, False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _close_place(self) -> None:
        if self._place is not None:
            self._place.close()
            self._place = None


def _there(file: Path) -> bool:
    """Whether it is a file. Raises OSError where that cannot be told: a disk that fails has lost nothing."""
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def last_words(log: Path, begin: int) -> str:
    """Returns the first line from `begin` on that a process has written about its end: what it says meanwhile has a
    time."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(begin)
        lines = file.read(_LOG_TAIL).decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in lines if line.strip() and not _STAMPED.match(line)), "")[:500]
    return ""
