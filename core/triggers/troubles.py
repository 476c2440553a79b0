"""What the agent cannot do is noted in the journal, for whoever asks: `watch --status`, `status`, the cockpit."""

from __future__ import annotations

from contextlib import suppress

from ..errors import JournalError
from ..journal import Journal


def note(journal: Journal, subject: str, words: str) -> None:
    """Notes what cannot be done; no words: it can be done again. A journal that cannot be written, on a full disk, is
    no error here: who asks sees that the disk is full."""
    with suppress(JournalError):
        if words:
            journal.agent.note(subject, words)
        else:
            journal.agent.over(subject)
