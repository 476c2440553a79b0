"""Reads the lines that the steps of a run have printed, each step's from where the last look ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...core.cockpit import Cockpit, LogFile, LogLine, without_redraws

CHUNK = 2000  # log lines read at once


class StepLines:
    def __init__(self, cockpit: Cockpit, run_id: int) -> None:
        self._cockpit = cockpit
        self._run_id = run_id
        self._files: dict[str, LogFile] = {}
        self._next: dict[str, int] = {}

    def new(self, step: str) -> Iterator[list[LogLine]]:
        """Yields what has come since the last look, in pieces; nothing if there is no log yet."""
        file = self._file(step)
        while file is not None and (batch := file.lines(self._next.get(step, 0), CHUNK)):
            self._next[step] = self._next.get(step, 0) + len(batch)
            yield batch
            if len(batch) < CHUNK:
                return

    def tail(self, step: str, count: int, wanted: Callable[[LogLine], bool] | None = None) -> list[LogLine]:
        """Returns the last `count` lines of those that are wanted, a progress bar once; the next look begins after
        them."""
        file = self._file(step)
        if file is None:
            return []
        whole = self._next[step] = file.line_count()
        read = count if wanted is None else whole
        while True:
            kept = [line for line in without_redraws(file.tail(read)) if wanted is None or wanted(line)]
            if len(kept) >= count or read >= whole:
                return kept[len(kept) - min(count, len(kept)) :]
            read = min(whole, max(2 * read, CHUNK))

    def _file(self, step: str) -> LogFile | None:
        file = self._files.get(step)
        if file is None:
            path = self._cockpit.runs.log(self._run_id, step)
            if not path.exists():
                return None
            file = self._files[step] = LogFile(path)
        file.refresh()
        return file
