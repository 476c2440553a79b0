"""How well a name fits what was typed: exactly, by its beginning, by the beginning of a word, somewhere, or only by
letters in the same order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import IntEnum
from heapq import nsmallest
from typing import TypeVar

from ..frozen import Frozen

T = TypeVar("T")
_WORD = re.compile(r"[^\W_]+")
_FUZZY_LETTERS = 3  # fewer letters in the same order are in nearly every name


class Fit(IntEnum):
    """The better, the smaller."""

    EXACT = 0
    BEGINNING = 1
    WORD = 2
    PART = 3
    LETTERS = 4


class Candidate(Frozen):
    """Something with names. `verb`: it does something, rather than being something. `strict`: no name that it does not
    have may hit it, so that neither parts of words nor letters do. `order` decides between equals."""

    names: tuple[str, ...]
    verb: bool = False
    strict: bool = False
    order: int = 0


def fit(text: str, name: str) -> Fit | None:
    """Returns how well a name fits what was typed; None if not at all. Upper case and spaces at the ends do not
    count."""
    wanted, name = text.strip().casefold(), name.casefold()
    if not wanted:
        return None
    if name == wanted:
        return Fit.EXACT
    if name.startswith(wanted):
        return Fit.BEGINNING
    if wanted in name:
        begins = any(name.startswith(wanted, word.start()) for word in _WORD.finditer(name))
        return Fit.WORD if begins else Fit.PART
    return Fit.LETTERS if len(wanted) >= _FUZZY_LETTERS and _in_order(wanted, name) else None


def ranked(text: str, things: Iterable[T], candidate: Callable[[T], Candidate], limit: int = 50) -> list[T]:
    """Returns the things that fit, best first: those that fit better, then things before verbs, then shorter names."""
    found: list[tuple[tuple[int, bool, int, int, int], T]] = []
    for number, thing in enumerate(things):
        named = candidate(thing)
        best = min((key for name in named.names if (key := _key(text, name, named.strict))), default=None)
        if best is not None:
            found.append(((best[0], named.verb, named.order, best[1], number), thing))
    return [thing for _, thing in nsmallest(limit, found, key=lambda each: each[0])]


def _key(text: str, name: str, strict: bool) -> tuple[int, int] | None:
    found = fit(text, name)
    if found is None or (strict and found > Fit.WORD):
        return None
    return (found, len(name) if found > Fit.EXACT else 0)


def _in_order(letters: str, name: str) -> bool:
    """Tells whether all letters are in the name in their order, the first at the beginning of a word."""
    first = (word.start() for word in _WORD.finditer(name) if name[word.start()] == letters[0])
    return any(_follows(letters, name, start) for start in first)


def _follows(letters: str, name: str, start: int) -> bool:
    at = start
    for letter in letters:
        at = name.find(letter, at) + 1
        if not at:
            return False
    return True
