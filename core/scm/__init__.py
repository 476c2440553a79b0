"""The local git repository."""

from .repository import Repository

__all__ = ["Repository"]
