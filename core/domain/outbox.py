"""What Podium has to tell others: Git hosts, chat rooms, anything outside of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from .frozen import Frozen


class MessageState(StrEnum):
    """A message is WAITING until it was SENT, or is FAILED: refused for good, tried too often, or one too many."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class Message(Frozen):
    """One thing to be told to one receiver."""

    id: int
    """Numbers messages in the order in which they were added."""
    receiver: str
    """Whom it is for. Messages for one receiver are sent in order; receivers do not wait for each other."""
    kind: str
    """What it is about, for whoever sends it."""
    key: str
    """The same each time the message is sent, so that a receiver who gets it twice can tell."""
    body: Mapping[str, Any]
    """What is told. Never a credential: those belong to the sender."""
    added: float
    """When it was added, in seconds since the epoch."""
    attempts: int = 0
    """How often it was taken up to be sent."""
    due: float = 0.0
    """Not sent before then, in seconds since the epoch."""
    state: MessageState = MessageState.WAITING
    error: str = ""
    """Why the last attempt failed."""
    ended: float | None = None
    """When it was sent or given up."""


class Backlog(Frozen):
    """What one receiver has not been told."""

    receiver: str
    waiting: int
    failed: int
    oldest: float | None = None
    """When the first that waits was added."""
    attempts: int = 0
    """Of the first that waits."""
    error: str = ""
    """Why its last attempt failed."""
    given_up: str = ""
    """Why the last that was given up has failed."""
