"""Why something failed, in one line: the part of an error's message that says it, or a message with its hint."""

from __future__ import annotations

from ..domain.text import one_line
from ..errors import PodiumError

_MAX_LETTERS = 400
_MAX_WHOLE = 1 << 16
# How much of a longer message's beginning is kept; the rest is its end, where libraries put the reason.
_BEGINNING = 120


def told(error: PodiumError) -> str:
    """Returns an error's message and hint as sentences."""
    hint = error.hint if error.hint.startswith("podium ") else error.hint[:1].upper() + error.hint[1:]
    # What it quotes of others is a sentence with an end of its own.
    return f"{error.message.rstrip('. ')}. {hint}".rstrip(". ") + "."


def reason(error: BaseException) -> str:
    """Returns the message in one line, shortened."""
    return shortened(whole_reason(error))


def whole_reason(error: BaseException) -> str:
    """Returns all of the message that matters, for whoever masks secrets in it and then shortens it. MLflow's messages
    begin with the table that was refused, and name column and types at their end, after `Error:`."""
    text = str(error).strip()[-_MAX_WHOLE:]
    lead, mark, last = text.rpartition(" Error: ")
    if mark and lead.startswith("Failed to enforce schema") and last.strip():
        text = last
    return text.strip() or "no message"


def shortened(text: str) -> str:
    """Returns the text in one line of at most 400 letters, without what steers a terminal."""
    line = " ".join(one_line(text).split())
    if len(line) <= _MAX_LETTERS:
        return line
    return f"{line[:_BEGINNING].rstrip()} … {line[-(_MAX_LETTERS - _BEGINNING) :].lstrip()}"
