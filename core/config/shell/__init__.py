"""Values in shell commands: the place of each, and what is written there."""

from .quoting import Quoting, quoted, reference, refusal
from .scan import places

__all__ = ["Quoting", "places", "quoted", "reference", "refusal"]
