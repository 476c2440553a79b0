"""Fixed limits of a value: whether they hold, and how they are written."""

from __future__ import annotations

from typing import Protocol


class Limited(Protocol):
    """Anything with a lowest and a highest value that passes; None for no limit."""

    @property
    def at_least(self) -> float | None: ...

    @property
    def at_most(self) -> float | None: ...


def broken_limit(limits: Limited, value: float) -> tuple[str, float | None]:
    """Returns (the broken limit in words or "", the limit that applies). NaN breaks every limit."""
    if limits.at_least is not None and not value >= limits.at_least:
        return f"below {limits.at_least:g}", limits.at_least
    if limits.at_most is not None and not value <= limits.at_most:
        return f"above {limits.at_most:g}", limits.at_most
    return "", limits.at_least if limits.at_least is not None else limits.at_most


def limit_words(limits: Limited) -> str:
    """Returns them as a name shows them: `≥ 0.65`, `≤ 3`, `≥ 1 and ≤ 3`."""
    words = [f"≥ {limits.at_least:g}"] if limits.at_least is not None else []
    words += [f"≤ {limits.at_most:g}"] if limits.at_most is not None else []
    return " and ".join(words)
