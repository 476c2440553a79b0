"""Two long values line by line: what only one of them has, and what both have."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence

MOST = 2_000
"""Lines of a value that are looked at; a longer one says that it goes on."""
_SEPARATED = re.compile(r"(?<=[,;])\s*|\s+")


def lines_of(text: str) -> list[str]:
    """Returns a value as lines: JSON with one entry a line, a text of lines as it is, else a list with one item a
    line, else its words."""
    found = _document(text)
    if found is None:
        found = text.splitlines() if "\n" in text.strip() else [part for part in _SEPARATED.split(text.strip()) if part]
    return [*found[:MOST], f"… {len(found) - MOST:,} more lines"] if len(found) > MOST else found


def _document(text: str) -> list[str] | None:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False, sort_keys=True).splitlines()
    except (ValueError, RecursionError):
        return None


def difference(old: str, new: str) -> list[tuple[str, str]]:
    """Returns (mark, line): `-` for what only the old value has, `+` for what only the new one has, a space for what
    both have. Lines that a long value repeats again and again are matched only beside others that match: to look for
    the longest row of them takes the cube of their number."""
    before, after = lines_of(old), lines_of(new)
    found: list[tuple[str, str]] = []
    for what, low, high, start, end in difflib.SequenceMatcher(None, before, after).get_opcodes():
        if what == "equal":
            found += _marked(" ", before[low:high])
            continue
        found += _marked("-", before[low:high])
        found += _marked("+", after[start:end])
    return found


def _marked(mark: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    return [(mark, line) for line in lines]
