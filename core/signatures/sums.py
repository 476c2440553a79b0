"""Lists of digests as `sha256sum` writes and checks them (coreutils manual, sha2 utilities)."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LINE = re.compile(r"(\\?)([0-9a-f]{64}) [ *](.+)")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def written(digests: Mapping[str, str]) -> str:
    """Returns name -> SHA-256 as lines. A name with a backslash or a line break is escaped, and its line says so."""
    return "".join(_line(name, digest) for name, digest in sorted(digests.items()))


def _line(name: str, digest: str) -> str:
    plain = re.sub(r"[\\\n\r]", lambda found: _ESCAPES[found[0]], name)
    return f"{digest}  {name}\n" if plain == name else f"\\{digest}  {plain}\n"


def read(text: str) -> dict[str, str]:
    """Returns name -> SHA-256. Raises ValueError for a line that is none, and for a name that is there
    twice."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"no line of sha256sum: {line[:80]!r}")
        name = match[3]
        if match[1]:
            name = _ESCAPED.sub(lambda each: {"n": "\n", "r": "\r"}.get(each[1], each[1]), name)
        if name in found:
            raise ValueError(f"{name[:80]!r} is there twice")
        found[name] = match[2]
    return found
