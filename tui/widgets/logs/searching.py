"""What is searched for in a log: the hit that is shown, and where all of them are, by the numbers of their lines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from .match import Hits, Match


class Search:
    """Nothing is searched for while `pattern` is empty. Belongs to the UI thread; others do the looking."""

    def __init__(self) -> None:
        self.pattern = ""
        self.regex = False
        self.hit: int | None = None
        self.pending = False  # the hit is not on screen yet
        self._hits: Hits | None = None
        self._counted = 0  # lines of the log when the hits were counted, or began to be
        self._counting = False

    @property
    def match(self) -> Match:
        return Match(self.pattern, self.regex)

    def begin(self, text: str) -> str:
        """Searches for something else; returns why that cannot be, or nothing."""
        self.pattern, self.hit, self._hits = text, None, None
        problem = self.match.problem
        if problem:
            self.pattern = ""
        return problem

    def drop(self) -> None:
        self.begin("")

    def begin_to_count(self, lines: int) -> None:
        self._counted, self._counting = lines, True

    def is_counted(self, lines: int) -> bool:
        """Whether the hits were counted, or are being, when the log had so many lines."""
        return self._counted == lines

    def count(self, hits: Hits) -> None:
        self._hits, self._counting = hits, False

    def after(self, here: int, direction: int) -> int | None:
        """Returns the hit after one, or before it, where all of them are counted; None where they have to be looked
        for."""
        hits = self._hits
        if hits is None or not hits.numbers or hits.more or self._counting:
            return None
        after = bisect_right(hits.numbers, here) % len(hits.numbers)
        return hits.numbers[after if direction > 0 else bisect_left(hits.numbers, here) - 1]

    def go_to(self, number: int, *, whole: bool) -> None:
        """Takes a hit as the one that is shown; in the `whole` log, for a state of a bar that another hit has written
        over, that one."""
        hits = self._hits
        place = bisect_left(hits.numbers, number) if hits is not None and whole else 0
        self.hit = hits.numbers[place] if hits is not None and whole and place < len(hits.numbers) else number
        self.pending = True

    def is_between(self, low: int, high: int) -> bool:
        """Tells whether a hit is among these lines."""
        hits = self._hits.numbers if self._hits is not None else ()
        at = bisect_left(hits, low)
        return at < len(hits) and hits[at] < high

    @property
    def said(self) -> str:
        """What is searched for, and which of how many hits this is."""
        if not self.pattern:
            return ""
        words = f"search: /{self.pattern}/" if self.regex else f"search: {self.pattern}"
        hits = self._hits
        if hits is None:
            return words
        many = f"{len(hits.numbers):,}{' or more' if hits.more else ''}"
        place = bisect_left(hits.numbers, self.hit) if self.hit is not None else -1
        here = 0 <= place < len(hits.numbers) and hits.numbers[place] == self.hit
        return f"{words}  hit {place + 1:,} of {many}" if here else f"{words}  {many} hits"
