"""Work that waits for others (engines, hosts, replicas), done at once in several threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from queue import SimpleQueue

T = TypeVar("T")
K = TypeVar("K")


def all_at_once(works: Sequence[Callable[[], T]]) -> list[tuple[T | None, Exception | None]]:
    """Does all works, each in a thread of its own; returns the result or the error of each, in their order."""
    found: dict[int, tuple[T | None, Exception | None]] = {}

    def tried(work: Callable[[], T]) -> tuple[T | None, Exception | None]:
        try:
            return work(), None
        except Exception as error:
            return None, error

    def keep(place: int, outcome: tuple[T | None, Exception | None]) -> None:
        found[place] = outcome

    in_lines([[(place, lambda work=work: tried(work))] for place, work in enumerate(works)], keep)
    return [found[place] for place in range(len(works))]


def in_lines(
    lines: Iterable[Sequence[tuple[K, Callable[[], T]]]],
    ended: Callable[[K, T], None],
    *,
    most: int = 0,
    reading: bool = False,
) -> None:
    """Does the works of each line one after the other, and all lines at once, each in a thread of its own, or as many
    as `most` threads do at a time; a single line is done in the caller's. `ended` is called in the caller's thread,
    with the key and the result of each work as soon as it has ended.

    After an error nothing more is begun, and what has begun is waited for: also when the caller is interrupted, so that
    nobody undoes what is still being done; then not where it is `reading` only. Raises the first error.
    """
    left = [line for line in lines if line]
    if len(left) > 1:
        _in_threads(left, ended, min(most or len(left), len(left)), reading=reading)
        return
    for line in left:
        for key, work in line:
            ended(key, work())


def _in_threads(
    lines: Sequence[Sequence[tuple[K, Callable[[], T]]]],
    ended: Callable[[K, T], None],
    number: int,
    *,
    reading: bool,
) -> None:
    from queue import SimpleQueue  # late: a status of one environment needs none

    stop, outcomes = threading.Event(), SimpleQueue[tuple[K, T] | Exception | None]()
    waiting = deque(lines)

    def carry_out() -> None:
        try:
            while (line := _next(waiting)) is not None:
                for key, work in line:
                    if stop.is_set():
                        return
                    outcomes.put((key, work()))
        except Exception as error:
            stop.set()
            outcomes.put(error)
        finally:
            outcomes.put(None)

    threads = [threading.Thread(target=carry_out, daemon=True) for _ in range(number)]
    try:
        for thread in threads:
            thread.start()
        _hear(outcomes, number, ended)
    finally:
        stop.set()
        for thread in () if reading else threads:
            if thread.ident is not None:
                thread.join()


def _next(waiting: deque[T]) -> T | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _hear(outcomes: SimpleQueue[tuple[K, T] | Exception | None], threads: int, ended: Callable[[K, T], None]) -> None:
    """Passes on what comes until all threads have ended; raises the first error then."""
    failed: Exception | None = None
    while threads:
        outcome = outcomes.get()
        if outcome is None:
            threads -= 1
        elif isinstance(outcome, Exception):
            failed = failed or outcome
        else:
            ended(*outcome)
    if failed is not None:
        raise failed
