"""Git data: commits."""

from __future__ import annotations

from .frozen import Frozen


class Person(Frozen):
    """Who made a commit, as they say themselves: untrusted text."""

    name: str
    email: str


class Commit(Frozen):
    """A commit. `at` is its time in seconds since the epoch; `author` is a name and `subject` the message's first
    line. Both are untrusted text."""

    sha: str
    short: str
    author: str
    at: float
    subject: str
