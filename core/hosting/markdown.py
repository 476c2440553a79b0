"""Text from outside, made harmless in what a Git host renders.

Hosts act on what a comment says: they notify whom it mentions, link issues and addresses, close what it names, and run
commands at the beginning of a line. None of that happens inside a code span, so all text that is not ours is in one.
Programs that read comments do not know of spans: for those an at sign and a word do not touch.
"""

from __future__ import annotations

import re

from ..domain.text import one_line

MAX_CELL = 160
# A span ends at a backtick, a cell at a bar, whatever stands before them in one reading of Markdown or another.
_LOOKALIKES = str.maketrans({"`": "ˋ", "|": "¦"})
_SPACES = re.compile(r"\s+")
_APART = "\u200b"
_MENTION = re.compile(r"([@＠])(?=\S)")
# At the beginning of a line, which a span never has; but mails of a host may lose everything around it.
_COMMAND = re.compile(r"^/(?=\w)")


def code(text: str, limit: int = MAX_CELL) -> str:
    """Returns text from outside as a code span on one line, at most `limit` characters of it; nothing for nothing."""
    plain = shortened(_SPACES.sub(" ", one_line(text).translate(_LOOKALIKES)).strip(), limit)
    if not plain:
        return ""
    apart = _COMMAND.sub(f"/{_APART}", _MENTION.sub(rf"\1{_APART}", plain))
    return f"`{apart}`"


def shortened(text: str, limit: int) -> str:
    """Returns at most `limit` characters, the last an ellipsis where there were more."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Returns the lines of a table; none without rows. Cells are Markdown already."""
    if not rows:
        return []
    written = [f"| {' | '.join(cells)} |" for cells in (head, tuple("---" for _ in head), *rows)]
    return ["", *written]
