"""The agent of several projects, `podium watch DIR…`: one process that a person starts and stops. Each project has an
agent in a process of its own, so that neither variables nor a crash, a directory or open files of one reach another.
It follows the list of projects, and reports how each of them is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType

from ..config.latest import Latest
from ..config.own import own_environment
from ..domain.watching import WatchedProject, WatchedTogether, WatchState
from ..errors import PodiumError, Refused, RunFailed, Unreachable
from ..identity.account import whoami
from ..identity.processes import started_at
from . import projects
from .agent import cleaned_lines, print_line
from .daemon import spawn
from .watched import Watched, last_words
from .webhooks import Bell, Receiver, bell

TICK_SECONDS = 0.25
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0

Say = Callable[[str], None]


def run(homes: Sequence[Path] = (), *, say: Say | None = None, listen: str = "") -> None:
    """Watches projects in this process until SIGTERM, SIGINT or SIGHUP: `homes`, which become the list, or else those
    of the list. Raises Refused if that is done already, and if webhooks cannot be received."""
    narrate = say or print_line
    with ExitStack() as closing:
        if not closing.enter_context(projects.claimed()):
            raise Refused(
                "an agent of several projects is running here", hint="`podium watch --daemon DIR…` adds projects to it"
            )
        if homes:
            with projects.editing():
                projects.put(homes)
        stop = threading.Event()
        _end_on_signals(stop)
        if listen:
            closing.enter_context(Receiver(_Bells(), listen, narrate))
        closing.callback(projects.report_is_over)
        Several(narrate, listen).run(stop)
        narrate("stopped; what is deployed goes on serving")


class Several:
    """`pause` is how long a project's agent that ended is not started again at first, in seconds."""

    def __init__(self, say: Say, listen: str = "", pause: float = 1.0) -> None:
        self._say, self._listen, self._pause = say, listen, pause
        self._listing = projects.Listing()
        self._watched: dict[Path, Watched] = {}
        self._told: dict[Path, tuple[WatchState, str]] = {}
        self._troubles: dict[Path | None, str] = {}
        self._reported: WatchedTogether | None = None
        self._started = started_at(os.getpid())

    def run(self, stop: threading.Event) -> None:
        """Watches the projects of the list until `stop` is set, or the list is empty. One that cannot be read just now
        ends nobody. Raises Unreachable if it cannot be read at first."""
        try:
            while not stop.is_set() and (homes := self._listing()):
                self._trouble(None, self._listing.trouble)
                self.follow(homes)
                stop.wait(TICK_SECONDS)
        finally:
            self._end(list(self._watched.values()))

    def follow(self, homes: Sequence[Path]) -> None:
        """Starts what is new on the list, ends what is no longer on it, and looks after the rest."""
        for home in homes:
            if home not in self._watched:
                self._watched[home] = Watched(home, self._pause)
        dropped = [self._watched.pop(home) for home in list(self._watched) if home not in homes]
        self._end(dropped)
        for each in list(self._watched.values()):
            self._look_after(each)
            self._tell(each.now)
        self._report()

    def _look_after(self, watched: Watched) -> None:
        """A project whose disk fails for a moment is looked at again with the next tick, and ends no other."""
        trouble = ""
        try:
            watched.look()
            self._follow_move(watched)
        except (PodiumError, OSError) as error:
            trouble = str(error)
        self._trouble(watched.home, trouble)

    def _trouble(self, home: Path | None, words: str) -> None:
        """Says once what stands in the way; without a project it is the list's. No words: nothing does any more."""
        if words and self._troubles.get(home) != words:
            self._say(f"{home}: {words}" if home is not None else words)
        self._troubles[home] = words

    def _follow_move(self, watched: Watched) -> None:
        to = watched.moved()
        if to is None:
            return
        with projects.editing():
            projects.put(to if home == watched.home else home for home in projects.listed(certain=True))
        before = watched.home
        watched.follow(to)
        self._watched[to] = self._watched.pop(before)
        self._say(f"{before}: moved to {to}, going on there")

    def _end(self, ending: Sequence[Watched]) -> None:
        """Ends agents together, with ten seconds for all of them."""
        for each in ending:
            each.ask_to_end()
        deadline = time.monotonic() + STOP_TIMEOUT
        for each in ending:
            each.wait(deadline)
            self._say(f"{each.home}: not watched any more")

    def _tell(self, now: WatchedProject) -> None:
        home = Path(now.home)
        if now.state is not WatchState.STARTING and self._told.get(home) != (now.state, now.words):
            self._told[home] = (now.state, now.words)
            process = f" (process {now.pid})" if now.pid else ""
            self._say(f"{now.home}: {now.state}{process}{f': {now.words}' if now.words else ''}")

    def _report(self) -> None:
        states = tuple(each.now for each in self._watched.values())
        found = WatchedTogether(states, os.getpid(), self._started, whoami(), self._listen)
        if found != self._reported:
            with suppress(OSError):  # a full disk: it may have room again later
                projects.report(found)
                self._reported = found


class _Bells:
    """The bells of the listed projects. Each podium.yaml is read with its project's own environment; one that cannot be
    used has none for now."""

    def __init__(self) -> None:
        self._listing = projects.Listing()
        self._latest: dict[Path, Latest] = {}

    def __call__(self) -> Sequence[Bell]:
        found: list[Bell] = []
        for home in self._listing():
            with suppress(PodiumError, OSError):
                if home not in self._latest:
                    self._latest[home] = Latest(home, own_environment(home))
                found.append(bell(self._latest[home].project()))
        return found


def _end_on_signals(stop: threading.Event) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)


# From outside


def start(homes: Sequence[Path], listen: str = "") -> WatchedTogether:
    """Has the projects watched in the background: by the agent of several that is running, or by a new one. Waits until
    it is known how each of them is. Raises Refused, RunFailed, and Unreachable where it cannot be read which projects
    are watched already: none of them is taken off the list for that."""
    running = projects.reported(certain=True)
    if running is not None and listen not in ("", running.listen):
        raise Refused(
            f"the agent that is running (process {running.pid}) does not receive webhooks at {listen}",
            hint="stop it with `podium watch --stop` and all of its directories, then start it again",
        )
    with projects.editing():
        projects.put((*(projects.listed(certain=True) if running is not None else ()), *homes))
    log = projects.place("log")
    begin = log.stat().st_size if log.exists() else 0
    return _wait(homes, None if running is not None else spawn(log, "podium.core.triggers.several", listen), log, begin)


def _wait(homes: Sequence[Path], process: subprocess.Popen[bytes] | None, log: Path, begin: int) -> WatchedTogether:
    wanted, deadline = set(map(str, homes)), time.monotonic() + START_TIMEOUT
    while True:
        found = projects.reported()
        late = time.monotonic() > deadline
        if found is not None:
            known = {each.home for each in found.projects if late or each.state is not WatchState.STARTING}
            if wanted <= known:
                return found
        if late or (process is not None and process.poll() is not None):
            why = last_words(log, begin) or "it does not report"
            raise RunFailed(f"the agent did not start: {why}", hint=f"read its log: {log}")
        time.sleep(0.05)


def leave(homes: Sequence[Path]) -> tuple[Path, ...]:
    """Takes projects from the agent of several, and waits until their agents have ended; without any it ends too.
    Returns those that it had watched. Raises Unreachable if it is running and the list cannot be read."""
    running = projects.reported()
    if not _forgotten(homes, running) or running is None:
        return ()
    had = {each.home for each in running.projects if each.pid is not None}
    deadline = time.monotonic() + STOP_TIMEOUT + START_TIMEOUT
    while time.monotonic() < deadline:
        _reap(running.pid)
        with suppress(Unreachable):  # what cannot be read just now may be read soon
            now = projects.reported(certain=True)
            if now is None or not {str(home) for home in homes} & {each.home for each in now.projects}:
                break
        time.sleep(0.05)
    return tuple(home for home in homes if str(home) in had)


def _forgotten(homes: Sequence[Path], running: WatchedTogether | None) -> bool:
    """Takes projects off the list; returns whether one was on it. Where no agent follows it, a list that this account
    may not read keeps nobody from stopping an agent of his own."""
    try:
        return projects.forget(homes)
    except Unreachable:
        if running is not None:
            raise
        return False


def _reap(pid: int | None) -> None:
    """Waits for an agent that this process started itself; without that it stays a zombie."""
    with suppress(ChildProcessError):
        os.waitpid(pid or -1, os.WNOHANG)


if __name__ == "__main__":
    from ..child import run_main

    sys.exit(run_main(lambda: run(listen=sys.argv[1] if len(sys.argv) > 1 else ""), cleaned_lines))
