"""The journal: one SQLite file per project with its runs, deployments, samples and audit (docs/journal.md)."""

from __future__ import annotations

from .journal import Journal

__all__ = ["Journal"]
