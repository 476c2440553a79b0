"""The registry's versions and aliases, read from the journal as one question needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Self

from ...domain.frozen import Frozen
from ...domain.models import Version
from ...journal import Journal
from ...registry.snapshot import ABSENT


class RegistryView(Frozen):
    """A model's versions and aliases as the journal last saw them. `empty` means that it knows no version at all,
    `unread` that the registry was not read yet, or is not there: an empty one that was read has no version any more.

    Each version is read when it is asked for, and once.
    """

    journal: Journal = field(repr=False)
    model: str
    aliases: Mapping[str, int]
    empty: bool
    unread: bool = False
    _read: dict[int, Version | None] = field(default_factory=dict[int, Version | None], repr=False)

    @classmethod
    def load(cls, journal: Journal, model: str) -> Self:
        """Reads the aliases."""
        aliases = journal.versions.aliases(model)
        empty = not aliases and not journal.versions.any(model)
        return cls(journal, model, aliases, empty, empty and journal.versions.fingerprint(model) in (None, ABSENT))

    def version(self, number: int) -> Version | None:
        """Returns the version of that number, None when the registry has none."""
        if number not in self._read:
            self._read[number] = self.journal.versions.get(self.model, number)
        return self._read[number]

    def carrier(self, alias: str) -> Version | None:
        """Returns the version that has the alias."""
        number = self.aliases.get(alias)
        return None if number is None else self.version(number)
