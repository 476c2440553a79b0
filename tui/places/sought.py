"""A row that a person is to be brought to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.domain.frozen import Frozen


class Sought(Frozen):
    """A row that the cursor of a table is to go to as soon as it is there."""

    table: str
    """The table's id."""
    matches: Callable[[Any], bool]
    name: str = ""
    """What is said not to be there."""
    needed: bool = True
    """Whether what is sought after it is sought only when it was found."""
    otherwise: Callable[[], None] | None = None
    """What is done if it is not there."""
