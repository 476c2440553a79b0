"""Work at several engines at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def all_at_once(works: Sequence[Callable[[], T]]) -> list[tuple[T | None, Exception | None]]:
    """Does all works, each in a thread of its own; returns the result or the error of each, in their order."""

    def tried(work: Callable[[], T]) -> tuple[T | None, Exception | None]:
        try:
            return work(), None
        except Exception as error:
            return None, error

    if len(works) < 2:
        return [tried(work) for work in works]
    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(tried, works))
