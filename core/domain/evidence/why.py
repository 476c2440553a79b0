"""One line of why a version serves."""

from __future__ import annotations

from ..frozen import Frozen


class WhyLine(Frozen):
    """One step on the way from a commit to traffic."""

    what: str
    """Such as `commit`, `gate`, `traffic`."""
    words: str
    command: str
    """What shows more of it."""
