"""Work off the UI thread: daemon threads that never hold up the exit of the process.

Textual's own thread workers (and `asyncio.to_thread`) are joined at exit, so that one blocked call hangs the program
for ever. Here a job has a stop event and may have a closer that unblocks it; whatever does not listen dies with the
process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FAST = "fast"  # reads of the journal and of log files
SLOW = "slow"  # whatever may wait for a server, a child process or a lock
CHANGE = "change"  # what a person asked for: behind nothing that waits for a server on its own account
POLL = "poll"  # one thread alone: SQLite's data_version can only be compared with itself on the same connection


@dataclass(slots=True, eq=False)
class Job:
    """One call of `work(job)`. `done(value, error)` is called in the pool's thread with the outcome, unless the job
    was stopped."""

    key: str
    work: Callable[[Job], Any]
    done: Callable[[Any, BaseException | None], None] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    closer: Callable[[], None] | None = None

    def cancel(self) -> None:
        self.stop.set()
        if self.closer is not None:
            try:
                self.closer()
            except Exception:  # the closer of a stream that is half gone may raise anything; the job is over either way
                self.closer = None


class Pool:
    """A few daemon threads per lane. Jobs with the same key never run at once, and a waiting one is replaced by a
    newer one."""

    def __init__(self, *, fast: int = 2, slow: int = 3) -> None:
        self._sizes = {FAST: fast, SLOW: slow, CHANGE: 2, POLL: 1}
        self._condition = threading.Condition()
        self._waiting: dict[str, deque[Job]] = {lane: deque() for lane in self._sizes}
        self._running: dict[str, Job] = {}
        self._idle = dict.fromkeys(self._sizes, 0)
        self._threads = dict.fromkeys(self._sizes, 0)
        self._closed = False

    def submit(
        self,
        key: str,
        work: Callable[[Job], Any],
        done: Callable[[Any, BaseException | None], None] | None = None,
        *,
        lane: str = FAST,
    ) -> Job:
        job = Job(key, work, done)
        with self._condition:
            if self._closed:
                job.stop.set()
                return job
            waiting = self._waiting[lane]
            for index, other in enumerate(waiting):
                if other.key == key:
                    other.stop.set()
                    waiting[index] = job
                    break
            else:
                waiting.append(job)
            if not self._idle[lane] and self._threads[lane] < self._sizes[lane]:
                self._threads[lane] += 1
                threading.Thread(
                    target=self._run, args=(lane,), name=f"podium-{lane}-{self._threads[lane]}", daemon=True
                ).start()
            self._condition.notify_all()
        return job

    def busy(self, key: str) -> bool:
        """Whether a job with this key runs or waits."""
        with self._condition:
            return key in self._running or any(job.key == key for lane in self._waiting.values() for job in lane)

    def cancel(self, key: str) -> None:
        with self._condition:
            jobs = [job for lane in self._waiting.values() for job in lane if job.key == key]
            for lane in self._waiting.values():
                for job in jobs:
                    if job in lane:
                        lane.remove(job)
            running = self._running.get(key)
        for job in [*jobs, *([running] if running else [])]:
            job.cancel()

    def close(self) -> None:
        """Stop everything without waiting for anything."""
        with self._condition:
            self._closed = True
            jobs = [*self._running.values(), *(job for lane in self._waiting.values() for job in lane)]
            for lane in self._waiting.values():
                lane.clear()
            self._condition.notify_all()
        for job in jobs:
            job.stop.set()
        # A closer may itself block (a dead connection): it gets a thread that nobody waits for.
        threading.Thread(target=lambda: [job.cancel() for job in jobs], daemon=True).start()

    def _next(self, lane: str) -> Job | None:
        waiting = self._waiting[lane]
        for job in waiting:
            if job.key not in self._running:
                waiting.remove(job)
                self._running[job.key] = job
                return job
        return None

    def _run(self, lane: str) -> None:
        while True:
            with self._condition:
                job = self._next(lane)
                while job is None:
                    if self._closed:
                        return
                    self._idle[lane] += 1
                    self._condition.wait()
                    self._idle[lane] -= 1
                    job = self._next(lane)
            value: Any = None
            error: BaseException | None = None
            try:
                if not job.stop.is_set():
                    value = job.work(job)
            except BaseException as problem:
                error = problem
            # The key is free before `done` runs: whoever asks again because of it must not be turned away.
            with self._condition:
                self._running.pop(job.key, None)
                self._condition.notify_all()
            if job.done is not None and not job.stop.is_set():
                try:
                    job.done(value, error)
                except RuntimeError:
                    if not self._closed:  # at the end the widget that it is for may be gone
                        raise
