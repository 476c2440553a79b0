"""What git knows, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Commit:
    """`at` is the commit's time in seconds since the epoch; `author` a name, `subject` the message's first line:
    both are other people's text."""

    sha: str
    short: str
    author: str
    at: float
    subject: str
