"""What is looked for in a log: a text or a regular expression, and for a filter also levels, a stream, and the lines
around a hit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from threading import Event

from ....core.cockpit import LogLine, Matcher
from ....core.domain.frozen import Frozen

MAX_SECONDS = 10.0
"""How long a regular expression may be matched against lines that are read at once."""
CONTEXTS = (0, 1, 3, 10, 30)
LEVELS = ("", "warnings and errors", "errors")
MAX_HITS = 10_000
"""Hits that are counted and marked."""
_WORD = re.compile(
    r"\b(?i:(?P<error>err(?:or)?|critical|crit|fatal|alert|emerg(?:ency)?|severe|exception|panic)"
    r"|(?P<warning>warn(?:ing)?))\b|\b[A-Z][A-Za-z]*(?P<kind>Error|Exception|Warning)\b|^(?P<trace>Traceback )"
)
_FAR = 400  # characters of a line in which its level is looked for


class Match(Frozen):
    """A text, in which a capital letter makes case count, or a regular expression."""

    text: str
    regex: bool = False

    @property
    def ignore_case(self) -> bool:
        return self.text.lower() == self.text or (self.regex and not re.search(r"(?<!\\)[A-Z]", self.text))

    def matcher(self, seconds: float = MAX_SECONDS) -> Matcher:
        """Returns what matches it as a regular expression, for at most so many seconds at once."""
        return Matcher(self.text, ignore_case=self.ignore_case, seconds=seconds)

    @property
    def problem(self) -> str:
        """Why it cannot be looked for; empty if it can."""
        try:
            re.compile(self.text if self.regex else "")
        except (re.error, OverflowError, RecursionError) as error:
            return f"{self.text!r} is not a regular expression: {error}"
        return ""


class Hits(Frozen):
    """The lines that match, by number; `more`: there are more than were counted."""

    numbers: tuple[int, ...] = ()
    more: bool = False


class Wanted(Frozen):
    """Which lines a filter shows."""

    match: Match = Match("")
    level: int = 0
    """The place in LEVELS."""
    stream: str = ""
    """`e` for standard error alone."""
    context: int = 0
    """How many lines around a hit are shown with it."""

    @property
    def empty(self) -> bool:
        return not (self.match.text or self.level or self.stream)

    @property
    def words(self) -> str:
        kind = "/" if self.match.regex else ""
        parts = [
            f"{kind}{self.match.text}{kind}" if self.match.text else "",
            LEVELS[self.level],
            "standard error" if self.stream else "",
            f"with {self.context} lines around" if self.context else "",
        ]
        return ", ".join(part for part in parts if part)

    def with_text(self, text: str, *, regex: bool) -> Wanted:
        return replace(self, match=Match(text, regex))


class Chooser:
    """Says which lines are wanted; raises UsageError for a regular expression that takes too long. `close` ends what it
    is doing in another thread."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        text = wanted.match.text
        self._matcher = wanted.match.matcher() if wanted.match.regex and text else None
        self._ignore = text.lower() == text
        self._needle = "" if wanted.match.regex else text

    def places(self, lines: Sequence[LogLine], stop: Event | None = None) -> list[int]:
        """Returns the places of those that are wanted; none if it was stopped."""
        wanted, needle, ignore = self._wanted, self._needle, self._ignore
        found = [
            place
            for place, line in enumerate(lines)
            if (not wanted.stream or line.stream == wanted.stream)
            and (not needle or needle in (line.text.lower() if ignore else line.text))
            and (not wanted.level or level_of(line.text) >= wanted.level)
        ]
        if self._matcher is None or not found:
            return found
        matches = self._matcher.texts([lines[place].text for place in found], stop) or ()
        return [place for place, matched in zip(found, matches, strict=False) if matched]

    def close(self) -> None:
        if self._matcher is not None:
            self._matcher.close()


def level_of(text: str) -> int:
    """Returns 2 for an error, 1 for a warning, 0 for everything else, by the words of a line or of its JSON."""
    found = 0
    for match in _WORD.finditer(text[:_FAR]):
        if not match["warning"] and match["kind"] != "Warning":
            return 2
        found = 1
    return found
