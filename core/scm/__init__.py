"""The local git repository: commits, branches, worktrees and hooks."""

from .repository import Repository

__all__ = ["Repository"]
