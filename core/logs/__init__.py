"""The logs of steps: written whole and masked, read by window, never loaded."""

from .reader import LogFile, LogLine
from .writer import StepLog

__all__ = ["LogFile", "LogLine", "StepLog"]
