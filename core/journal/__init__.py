"""The journal: one SQLite file per project that remembers runs, deployments, samples and who did what
(docs/journal.md)."""

from __future__ import annotations

from .journal import Journal

__all__ = ["Journal"]
