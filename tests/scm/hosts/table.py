"""The calls that docs/hosts.md says Podium makes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "hosts.md"
_CALL = re.compile(r"`(GET|POST|PATCH|PUT)(?: ([^`]+))?`")
_COLUMNS = {"github": 2, "gitlab": 3, "gitea": 4}


def documented(kind: str, base: str) -> set[tuple[str, str]]:
    """Returns method and path of each call in the table "Every call"; `base` is what the paths of its column are
    below."""
    text = PAGE.read_text(encoding="utf-8").partition("## Every call")[2].partition("\n## ")[0]
    cells = [line.split(" | ")[_COLUMNS[kind] - 1] for line in text.splitlines() if line.startswith("| ")]
    calls = [found for cell in cells[1:] for found in _CALL.findall(cell)]
    return {
        (method, path if path.startswith("/") else f"{base}/{path}" if path else base)
        for method, each in calls
        for path in [each.partition("?")[0]]
    }


def template(templates: Iterable[tuple[str, str]], method: str, path: str) -> tuple[str, str] | None:
    """Returns which of the described calls a call is. The last part of a description's path may have slashes, where no
    other one fits."""
    own = sorted((known for known in templates if known[0] == method), key=lambda known: -len(known[1]))
    for last in ("[^/]+", ".+"):
        for known in own:
            pattern = re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{\w+\}$", last, known[1]))
            if re.fullmatch(pattern, path):
                return known
    return None
