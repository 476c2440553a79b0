"""Values in shell commands: the place of each, and what is written there."""

from .judge import places
from .quoting import Quoting, quoted, reference, refusal

__all__ = ["Quoting", "places", "quoted", "reference", "refusal"]
