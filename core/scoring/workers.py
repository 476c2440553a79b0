"""Several processes that each load the version and predict parts, one after the other, until none is left."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..domain.frozen import Frozen
from ..errors import PodiumError
from ..quality.model_process import ModelProcess
from .part_main import MODULE

# A model may take its time; the step's own time-out ends it.
_NO_LIMIT = 30 * 86_400.0


class Job(Frozen):
    """A part to do: `request` is what its process is asked, `words` how errors call it."""

    number: int
    request: Mapping[str, Any]
    words: str


class Done(Frozen):
    number: int
    answer: Mapping[str, Any]


class Workers:
    """`who` names the version in errors."""

    def __init__(self, who: str, state: Path, model: Path, secrets: Sequence[str]) -> None:
        self._who, self._state, self._model, self._secrets = who, state, model, secrets
        self._processes: list[ModelProcess] = []
        self._stopping = False
        self._lock = threading.Lock()

    def carry_out(self, jobs: Sequence[Job], parallel: int, done: Callable[[Done], None]) -> None:
        """Has all jobs done, `parallel` at once; `done` is called here, as each is finished. The first failure is
        raised, once everything has ended."""
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        found: queue.SimpleQueue[Done | BaseException] = queue.SimpleQueue()
        threads = [threading.Thread(target=self._work, args=(waiting, found), daemon=True) for _ in range(parallel)]
        for thread in threads:
            thread.start()
        try:
            for _ in jobs:
                answer = found.get()
                if isinstance(answer, BaseException):
                    raise answer
                done(answer)
        finally:
            self._stop()
            for thread in threads:
                thread.join()

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            for process in self._processes:
                process.kill()

    def _work(self, waiting: queue.SimpleQueue[Job], found: queue.SimpleQueue[Done | BaseException]) -> None:
        try:
            with ModelProcess(self._who, self._state, secrets=self._secrets, module=MODULE, hint="") as process:
                with self._lock:
                    self._processes.append(process)
                    if self._stopping:
                        return
                try:
                    self._load(process)
                    while not self._stopping:
                        found.put(_done(process, waiting.get_nowait()))
                finally:
                    with self._lock:
                        self._processes.remove(process)
        except queue.Empty:
            return
        except BaseException as error:
            found.put(error)

    def _load(self, process: ModelProcess) -> None:
        process.send({"do": "load", "directory": str(self._model)})
        process.reply("failed to load", _NO_LIMIT)


def _done(process: ModelProcess, job: Job) -> Done:
    process.send(job.request)
    try:
        return Done(job.number, process.reply(f"failed on {job.words}", _NO_LIMIT).document)
    except PodiumError as error:
        if job.words not in error.message:
            raise type(error)(f"{error.message} ({job.words})", hint=error.hint) from error
        raise
