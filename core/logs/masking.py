"""Says what is a secret, and makes `***` of it: in a stream of bytes that comes in pieces, in a text, in a document.

One set of rules for logs, messages, what an engine is told of a step's environment, and what the configuration shows:

- A secret counts without the white space round it, which programs strip.
- Inside of a longer text it is found where it is `maskable`: what is shorter, or a word of every log, would mask half
  of it and hide nothing. A value that is a secret as a whole is one whatever its length.
- Each secret is looked for in every one of its `forms` (core/secret_forms.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar, cast

from ..known_secrets import CREDENTIALS
from ..known_secrets import MASK as _MASK
from ..secret_forms import forms, octets

Record = TypeVar("Record", bound=Any)
MASK = _MASK.encode()

_PASSWORD_IN_ADDRESS = re.compile(r"://[^/?#@\s:]*:(?![0-9]{1,5}(?:[/?#]|$))\S+@")
_WORD = re.compile(r"\S+")
_USER_IN_ADDRESS = re.compile(r"://[^/\s]*@")


def encoded(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Returns what is to be looked for, longest first."""
    return _encoded(tuple(dict.fromkeys(secrets)))


@lru_cache(maxsize=64)
def _encoded(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    found = {form for secret in secrets for form in forms(secret)}
    return tuple(sorted(found, key=lambda one: (-len(one), one)))


def masked(text: str, secrets: Iterable[str]) -> str:
    """Returns `text` with the secrets in it as `***`. To be done before anything is cut off: half a secret is not
    found any more."""
    found = encoded(secrets)
    if not found or not text:
        return text
    return _pattern(found).sub(MASK, octets(text)).decode("utf-8", "surrogateescape")


def masked_value(value: str, secrets: Iterable[str]) -> str:
    """Returns the value of a variable or key, as `***` where it is a secret as a whole, however short."""
    secrets = tuple(secrets)
    if _is_whole(value, secrets):
        return MASK.decode()
    return _WORD.sub(_without_password, masked(value, secrets))


def masked_fields(record: Record, secrets: Iterable[str], *names: str) -> Record:
    """Returns a dataclass with the secrets in these fields, which are texts, masked."""
    secrets = tuple(secrets)
    return replace(record, **{name: masked(getattr(record, name), secrets) for name in names})


def masked_document(value: Any, secrets: Iterable[str]) -> Any:
    """Returns a configuration as JSON takes it, with the secrets in its values masked: mappings become objects, what is
    neither number nor text becomes text."""
    secrets = tuple(secrets)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {str(key): masked_document(each, secrets) for key, each in pairs}
    if isinstance(value, list | tuple):
        return [masked_document(each, secrets) for each in cast("list[Any]", value)]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return masked_value(str(value), secrets)


def is_secret(name: str, value: str, secrets: Iterable[str]) -> bool:
    """Whether a variable holds a secret: as a whole, inside of its value, as the password in an address, or by its
    name."""
    secrets = tuple(secrets)
    if not value:
        return False
    return name in CREDENTIALS or _is_whole(value, secrets) or _has_password(value) or masked(value, secrets) != value


def without_user(text: str) -> str:
    """Returns a text with the name and password in each address of it as `***`."""
    return _USER_IN_ADDRESS.sub(f"://{_MASK}@", text)


def _without_password(word: re.Match[str]) -> str:
    end = word[0].rfind("@") + 1
    return _PASSWORD_IN_ADDRESS.sub(f"://{_MASK}@", word[0][:end]) + word[0][end:]


def _has_password(value: str) -> bool:
    """Tells whether an address in the text has a password. Each word is read once: only up to its last `@`, where the
    pattern finds its end from the first place that it fits."""
    words = (word for word in value.split() if "@" in word)
    return any(_PASSWORD_IN_ADDRESS.search(word, 0, word.rfind("@") + 1) for word in words)


def _is_whole(value: str, secrets: tuple[str, ...]) -> bool:
    return bool(value.strip()) and value.strip() in {secret.strip() for secret in secrets}


@lru_cache(maxsize=64)
def _pattern(found: tuple[bytes, ...]) -> re.Pattern[bytes]:
    return re.compile(b"|".join(re.escape(one) for one in found))


class Masker:
    """Masks one stream. What might be the beginning of a secret is held back until the next bytes decide."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = secrets
        self._pattern = _pattern(secrets) if secrets else None
        # By the last byte of what has come: only secrets with that byte may have begun. Few have a line feed.
        ends = {byte for one in secrets for byte in one}
        self._begun = {last: tuple(one for one in secrets if last in one[:-1]) for last in ends}
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
        for secret in self._begun.get(data[-1], ()) if size > start else ():
            first = secret[:1]
            at = data.find(first, max(start, size - len(secret) + 1))
            while 0 <= at < best:
                if secret.startswith(data[at:]):
                    best = at
                    break
                at = data.find(first, at + 1)
        return best
