"""The agent, `podium watch`: the one long-lived process of a project. It starts runs for pushes and schedules, keeps
deployments alive, and measures them. Each job has a thread and a journal connection of its own, so that a replica
that takes a minute to start does not delay a push, and an error in one job is reported and retried without ending
the others."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Self

from .. import reserve
from ..adoption.settling import settle
from ..config.latest import Latest
from ..config.own import ENVIRONMENT_FILE
from ..domain.frozen import Frozen
from ..domain.project import Project
from ..domain.text import clean, unbroken
from ..errors import ConfigError, JournalError, PodiumError
from ..identity.account import whoami
from ..identity.home import STATE
from ..identity.private import ensure_private
from ..identity.processes import started_at
from ..journal import Journal
from .troubles import note
from .wake import RUNG, Doorbell

if TYPE_CHECKING:
    from ..scm.hosts import GitHost
    from .polling import Polling
    from .pushes import Pushes
    from .webhooks import Receiver

_MAIN = ("-m", "podium.core.triggers.agent")
TICK_SECONDS = 1.0
MAX_RETRY_INTERVAL = 30.0

Say = Callable[[str], None]


class Job(Frozen):
    """A job that the agent does every `interval` seconds. `work` gets the current project and this thread's journal;
    `close` is called once, in the same thread, when the agent ends."""

    name: str
    interval: float
    work: Callable[[Project, Journal], None]
    close: Callable[[], None] = lambda: None


class WatchedConfiguration:
    """The content of podium.yaml, read again when it changes. A broken file is reported once, and the last good content
    stays in force for healing and measuring; runs are started by the content of now only."""

    def __init__(self, home: Path, say: Say) -> None:
        self._latest, self._say = Latest(home), say
        self._lock = threading.Lock()
        self._latest.current()
        self._told = self._latest.generation

    def project(self) -> Project:
        """Returns the project by the last good content."""
        project = self._latest.project()
        self._tell()
        return project

    def error(self) -> ConfigError | None:
        """Returns what is wrong with the content of now."""
        return self._latest.error()

    def _tell(self) -> None:
        with self._lock:
            if self._latest.generation == self._told:
                return
            self._told = self._latest.generation
        error = self._latest.error()
        if error is None:
            self._say("podium.yaml has changed and was read again")
        else:
            self._say(f"podium.yaml has changed but cannot be used, the last good one stays in force: {error}")


def run(home: Path, *, say: Say | None = None, listen: str = "", metrics: str = "") -> None:
    """Runs the agent in this process until SIGTERM, SIGINT or SIGHUP. `listen` is where it receives webhooks, `metrics`
    where it shows /metrics (default: where podium.yaml says). Raises Refused if another agent of this project is
    running or has replaced this one, or if others may read the file of its variables, and ConfigError if podium.yaml
    cannot be used."""
    narrate = say or print_line
    settled = settle(home)
    if settled.refusal is not None:
        raise settled.refusal
    for line in settled.notes:
        narrate(line)
    # Whoever started this one may have read it without a look at its mode, as systemd does.
    ensure_private(home / STATE / ENVIRONMENT_FILE)
    elsewhere = _watch(home, narrate, listen, metrics)
    if elsewhere is not None:
        narrate(f"the project was moved to {elsewhere}: going on there")
        os.chdir("/")
        os.execv(sys.executable, [sys.executable, *_MAIN, str(elsewhere), listen, metrics])  # noqa: S606


def _watch(home: Path, narrate: Say, listen: str, metrics: str) -> Path | None:
    """Does the agent's work until it is told to end; returns where the project was moved to, if that is why it ends."""
    stop = threading.Event()
    settings = WatchedConfiguration(home, narrate)
    project = settings.project()
    if metrics:
        from .metrics import may_show

        may_show(metrics, project.metrics.token)
    # Everything is imported before this is the agent: an agent does not end because no descriptor is left.
    from .metrics import Metrics
    from .polling import Polling
    from .pushes import Pushes

    polling = Polling(narrate)
    shown = Metrics(settings.project, metrics)
    jobs = (
        *_jobs(settings, narrate),
        Job("metrics", 2.0, shown, shown.close),
        Job("fetching", 0.0, polling, polling.close),
    )
    project.state.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as closing:
        place = closing.enter_context(Place(project.state))
        journal = closing.enter_context(_become_agent(project, narrate))
        closing.callback(journal.agent.release)
        bell = Doorbell(project.state)
        closing.callback(bell.close)
        _end_on_signals(stop, home)
        if listen:
            closing.enter_context(_receiver(settings, listen, narrate))
        narrate(f"watching {project.name} ({home})")
        threads = [_thread(job, settings, stop, narrate) for job in jobs]
        try:
            _follow_pushes(Pushes(journal, narrate), settings, journal, bell, stop, place, narrate, polling)
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=5.0)
        if place.left():
            if (now := place.now()) is not None:
                return now.parent
            narrate(f"{project.state} was removed")
        narrate("stopped; what is deployed goes on serving")
    return None


def _become_agent(project: Project, narrate: Say) -> Journal:
    """Opens the journal and notes this process as the agent. On a full disk the room that is kept for it is given back
    first: without an agent, nothing that dies would be started again."""
    try:
        return _claimed(project)
    except JournalError:
        released = reserve.release(project.state)
        if not released:
            raise
        narrate(released)
        return _claimed(project)


def _claimed(project: Project) -> Journal:
    journal = Journal.open(project.state / "journal.db")
    try:
        with journal.transaction():
            journal.agent.claim(os.getpid(), started_at(os.getpid()) or time.time(), whoami())
            journal.audit.add(whoami(), "agent started", project.name)
    except BaseException:
        journal.close()
        raise
    return journal


def _receiver(settings: WatchedConfiguration, listen: str, say: Say) -> Receiver:
    from .webhooks import Receiver, bell

    return Receiver(lambda: (bell(settings.project()),), listen, say)


class Place:
    """The project's state directory, held open so that it is found again after it was moved."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._descriptor = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def left(self) -> bool:
        """Whether the directory is not where it was. A disk that does not say so just now is no reason to go."""
        try:
            return not os.path.samestat(self._state.stat(), os.fstat(self._descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    def now(self) -> Path | None:
        """Returns where the directory is; None if it was removed, and where the system cannot tell."""
        with suppress(OSError):
            found = Path(f"/proc/self/fd/{self._descriptor}").readlink()
            if os.path.samestat(found.stat(), os.fstat(self._descriptor)):
                return found
        return None


def _follow_pushes(
    pushes: Pushes,
    settings: WatchedConfiguration,
    journal: Journal,
    bell: Doorbell,
    stop: threading.Event,
    place: Place,
    say: Say,
    polling: Polling,
) -> None:
    """Starts runs for pushes, in the main thread: it sleeps on the doorbell, so that a git hook starts a run
    immediately. Raises Refused when another agent has replaced this one, because two would start every run twice and
    heal the same replicas. Returns also when the project was moved."""
    trouble, rung = "", False
    noted: str | None = None
    while not stop.is_set() and not place.left():
        before = trouble
        try:
            journal.agent.heartbeat()
            error = settings.error()
            if (words := str(error or "")) != noted:
                journal.agent.trouble(words)
                noted = words
        except (JournalError, OSError) as error:  # a full disk, or no descriptor is left: later there may be again
            trouble = error.message if isinstance(error, JournalError) else str(error)
        else:
            trouble = _look(pushes, settings, rung)
        if trouble or before:
            note(journal, "pushes", trouble)
        if trouble and trouble != before:
            say(f"pushes: {trouble}")
        rung = bell.wait(TICK_SECONDS)
        if RUNG in bell.heard:
            polling.ring()


def _look(pushes: Pushes, settings: WatchedConfiguration, rung: bool) -> str:
    """Starts the runs that are due; returns why that failed, or an empty text."""
    try:
        pushes.look(settings.project(), rung=rung)
    except PodiumError as error:
        return error.message
    except OSError as error:  # a disk that fails, or no descriptor is left: that may end
        return str(error)
    return ""


def _jobs(settings: WatchedConfiguration, say: Say) -> list[Job]:
    from . import jobs
    from .containers import EnvironmentWatchers
    from .inbox import Inbox
    from .labels import LabelCollection

    inbox = Inbox(_git_host)
    containers = EnvironmentWatchers(say)
    telling = jobs.Telling()
    return [
        Job("schedules", 1.0, jobs.Scheduling(say, settings.error)),
        Job("recovery", 2.0, jobs.Recovery(say)),
        Job("shadows", 5.0, jobs.ShadowCleanup(say)),
        Job("steps", 600.0, jobs.StepCleanup()),
        Job("commits", 60.0, jobs.KeptCommits()),
        Job("ci", 2.0, inbox, inbox.close),
        Job("health", 1.0, jobs.Healing(say)),
        Job("leases", 1.0, jobs.Leases(say)),
        Job("halted processes", 0.25, jobs.EndingHalted(say)),
        Job("signals", 1.0, jobs.Sampling()),
        Job("monitors", 2.0, jobs.Monitoring(say, light=True)),
        Job("monitors of rows", 5.0, jobs.Monitoring(say, light=False)),
        Job("monitors of infrastructure", 10.0, jobs.Monitoring(say, light=False, infra=True)),
        Job("plans", 30.0, jobs.ExpiredPlans(say)),
        Job("anchor", 60.0, jobs.Anchoring(say)),
        Job("alerts", 1.0, jobs.Alerting(say)),
        Job("sinks", 1.0, jobs.Notifying()),
        Job("feedback", 2.0, jobs.FeedingBack(say, settings.error)),
        Job("containers", 1.0, containers, containers.close),
        Job("labels", 2.0, LabelCollection()),
        Job("registry", 2.0, jobs.RegistrySnapshots()),
        Job("telling", 1.0, telling, telling.close),
        Job("reserve", 60.0, jobs.Reserve()),
        Job("compaction", 60.0, jobs.Compaction()),
        Job("retention", 60.0, jobs.Retention(say)),
    ]


def _git_host(project: Project) -> GitHost | None:
    """Returns the client of the project's Git host, which is loaded where there is one only."""
    if project.git.host is None:
        return None
    from ..scm.hosts.opening import open_host

    return open_host(project)


def _thread(job: Job, settings: WatchedConfiguration, stop: threading.Event, say: Say) -> threading.Thread:
    thread = threading.Thread(target=_repeat, args=(job, settings, stop, say), name=job.name, daemon=True)
    thread.start()
    return thread


def _repeat(job: Job, settings: WatchedConfiguration, stop: threading.Event, say: Say) -> None:
    """Does the job at its interval; after an error it waits longer each time, and reports each new error once. That its
    journal cannot be opened (the disk fails, no descriptor is left) is such an error, too: it may be over soon."""
    journal: Journal | None = None
    pause, trouble = job.interval, ""
    while not stop.is_set():
        began = time.monotonic()
        try:
            journal = journal or Journal.open(settings.project().state / "journal.db")
            job.work(settings.project(), journal)
            if trouble:
                note(journal, job.name, "")
            pause, trouble = job.interval, ""
        except Exception as error:  # a fault in one job must not end the agent
            text = error.message if isinstance(error, PodiumError) else f"{type(error).__name__}: {error}"
            if text != trouble:
                say(f"{job.name}: {text}")
            if journal is not None:
                note(journal, job.name, text)
            pause, trouble = min(MAX_RETRY_INTERVAL, pause * 2 or TICK_SECONDS), text
        stop.wait(max(0.0, pause - (time.monotonic() - began)))
    job.close()
    if journal is not None:
        journal.close()


def _end_on_signals(stop: threading.Event, home: Path) -> None:
    from .wake import wake

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        wake(home)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)


def print_line(text: str) -> None:
    """Writes a line of the agent's log, with its time: one line, whatever servers and files have brought into it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with suppress(OSError):
        print(f"{stamp} {unbroken(text)}", flush=True)


def cleaned_lines(text: str) -> str:
    """Returns what the agent says of its end, which a terminal may show."""
    return "\n".join(clean(line) for line in text.splitlines())


if __name__ == "__main__":
    from ..child import run_main

    arguments = dict(zip(("listen", "metrics"), sys.argv[2:], strict=False))
    sys.exit(run_main(lambda: run(Path(sys.argv[1]), **arguments), cleaned_lines))
