"""The journal: one SQLite file per project that remembers runs, deployments, samples and who did what (docs/journal.md)."""

from __future__ import annotations

from .agent import Agent
from .audit import Audit
from .journal import Journal
from .locks import Lock, LockHolder, Locks
from .runs import Runs
from .steps import Steps

__all__ = ["Agent", "Audit", "Journal", "Lock", "LockHolder", "Locks", "Runs", "Steps"]
