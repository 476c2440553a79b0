"""Secrets in a stream of bytes become `***`, also where a secret is split between two reads."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = b"***"
# Anything shorter would mask half of every log and hide nothing.
MIN_LENGTH = 4


def encoded(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """The secrets worth masking, as bytes, longest first; without the white space round them, which programs strip."""
    found = {secret.strip().encode("utf-8", "surrogateescape") for secret in secrets}
    return tuple(sorted((one for one in found if len(one) >= MIN_LENGTH), key=lambda one: (-len(one), one)))


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` with the secrets in it as `***`. To be done before anything is cut off: half a secret is not found any
    more."""
    found = encoded(secrets)
    if not found or not text:
        return text
    pattern = re.compile(b"|".join(re.escape(one) for one in found))
    return pattern.sub(MASK, text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


class Masker:
    """Masks one stream. What might be the beginning of a secret is held back until the next bytes decide."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = secrets
        self._pattern: re.Pattern[bytes] | None = (
            re.compile(b"|".join(re.escape(one) for one in secrets)) if secrets else None
        )
        self._held: bytes = b""

    def feed(self, data: bytes) -> bytes:
        """What is certain by now."""
        if self._pattern is None:
            return data
        if self._held:
            data = self._held + data
        if not any(secret in data for secret in self._secrets):
            hold = self._hold(data, 0)
            self._held = data[hold:]
            return data[:hold] if self._held else data
        pieces: list[bytes] = []
        at, hold = 0, self._hold(data, 0)
        for match in self._pattern.finditer(data):
            # From `hold` on, a longer secret may be on its way; before it nothing can change any more.
            if match.start() >= hold:
                break
            pieces += (data[at : match.start()], MASK)
            at = match.end()
            if at > hold:
                hold = self._hold(data, at)
        pieces.append(data[at:hold])
        self._held = data[hold:]
        return b"".join(pieces)

    def close(self) -> bytes:
        """What was held back and turned out to be nothing more (or a complete, shorter secret)."""
        held, self._held = self._held, b""
        return self._pattern.sub(MASK, held) if self._pattern is not None and held else held

    def _hold(self, data: bytes, start: int) -> int:
        """Where the longest end of `data`, from `start` on, begins that is the beginning of a secret; its length
        when there is none."""
        size = len(data)
        best = size
        for secret in self._secrets:
            first = secret[:1]
            at = data.find(first, max(start, size - len(secret) + 1))
            while 0 <= at < best:
                if secret.startswith(data[at:]):
                    best = at
                    break
                at = data.find(first, at + 1)
        return best
