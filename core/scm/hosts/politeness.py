"""How much a Git host lets us ask, and when not at all: read from the headers of its answers.

Hosts count by their own clock. Their `Date` header says what it shows, so that a wrong clock of this machine neither
makes us impolite nor silent for hours.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from ...domain.frozen import Frozen
from ...domain.hosts import RateLimit
from ...errors import Unreachable

# What a host may ask of us at most: more is taken for a mistake of its.
MAX_SILENCE = 3600.0
# GitHub's advice for a limit that names no time.
SECONDARY_SILENCE = 60.0
MAX_BACK_OFF = 300.0
_MAX_FAILURES = 12
# Of GitHub, of older GitLabs and of the drafts that GitLab follows.
_LIMIT = ("x-ratelimit-limit", "ratelimit-limit")
_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining")
_RESET = ("x-ratelimit-reset", "ratelimit-reset")
_EPOCH = 1_000_000_000  # a smaller number is no moment, but seconds from now on


class HostBusy(Unreachable):
    """The host asked for silence, or has failed so often that it gets some: ask again at `not_before` (seconds since
    the epoch, by this machine's clock)."""

    def __init__(self, message: str, *, not_before: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.not_before = not_before


class Heard(Frozen):
    """What one answer says of the host's limits and clock."""

    skew: float | None
    """Seconds that the host's clock is ahead of ours; None if it does not say."""
    silence: float
    """Seconds for which it wants to be left alone."""
    rate: RateLimit


class Politeness:
    """Is what one host has said so far. `clock` and `chance` (0 to 1) are given by tests."""

    def __init__(self, clock: Callable[[], float] = time.time, chance: Callable[[], float] = random.random) -> None:
        self._clock, self._chance = clock, chance
        self._failures = 0
        self.rate = RateLimit()
        self.skew: float | None = None

    def wait(self) -> float:
        """Returns how many seconds it is to be left alone from now on."""
        return max(0.0, self.rate.not_before - self._clock())

    def answered(self, status: int, headers: Mapping[str, str], *, limited: bool = False) -> None:
        """Takes note of an answer. `limited` says that its text speaks of too many requests."""
        now = self._clock()
        told = heard(status, headers, now, limited=limited)
        self.skew = told.skew if told.skew is not None else self.skew
        silence = told.silence
        if status >= 500:
            silence = max(silence, self._back_off())
        else:
            self._failures = 0
        self.rate = _merged(self.rate, told.rate, now + silence if silence else 0.0)

    def failed(self) -> None:
        """Takes note that there was no answer."""
        pause = self._back_off()
        self.rate = _merged(self.rate, RateLimit(), self._clock() + pause)

    def _back_off(self) -> float:
        """Returns twice as long a pause as after the last failure, less up to half of it by chance, so that many who
        lost the same host do not come back at once."""
        self._failures = min(self._failures + 1, _MAX_FAILURES)
        return min(MAX_BACK_OFF, 0.5 * 2**self._failures) * (1 - self._chance() / 2)


def heard(status: int, headers: Mapping[str, str], now: float, *, limited: bool) -> Heard:
    """Reads one answer's headers; what makes no sense in them is passed over."""
    date = _date(headers.get("date", ""))
    theirs = date if date is not None else now
    reset = _first(headers, _RESET)
    resets = None if reset is None else now + (reset - theirs if reset > _EPOCH else reset)
    remaining = _first(headers, _REMAINING)
    rate = RateLimit(
        limit=_first(headers, _LIMIT),
        remaining=remaining,
        resets=resets,
        poll_interval=float(min(_number(headers.get("x-poll-interval", "")) or 0, int(MAX_SILENCE))),
    )
    silence = _asked_silence(status, headers, theirs)
    if remaining == 0 and resets is not None:
        silence = max(silence, resets - now)
    elif not silence and (status == 429 or limited):
        silence = SECONDARY_SILENCE
    return Heard(None if date is None else date - now, min(max(silence, 0.0), MAX_SILENCE), rate)


def _asked_silence(status: int, headers: Mapping[str, str], theirs: float) -> float:
    """Returns what `Retry-After` asks for, in seconds or as a date of the host's clock."""
    asked = headers.get("retry-after", "").strip()
    if not asked or status < 400:
        return 0.0
    seconds = _number(asked)
    if seconds is not None:
        return float(seconds)
    date = _date(asked)
    return 0.0 if date is None else max(0.0, date - theirs)


def _merged(old: RateLimit, new: RateLimit, not_before: float) -> RateLimit:
    return RateLimit(
        limit=old.limit if new.limit is None else new.limit,
        remaining=old.remaining if new.remaining is None else new.remaining,
        resets=old.resets if new.resets is None else new.resets,
        not_before=not_before,
        poll_interval=new.poll_interval or old.poll_interval,
    )


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    return next((found for name in names if (found := _number(headers.get(name, ""))) is not None), None)


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 13 else None


def _date(text: str) -> float | None:
    """Returns an HTTP date in seconds since the epoch."""
    if not text or len(text) > 60:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
