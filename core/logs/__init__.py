"""The logs of steps: written whole and masked, read by window, never loaded."""

from .format import LogLine
from .reader import LogFile
from .writer import StepLog

__all__ = ["LogFile", "LogLine", "StepLog"]
