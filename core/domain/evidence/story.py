"""What is recorded of a version, in sections that read the same in Markdown, HTML and JSON."""

from __future__ import annotations

from ..frozen import Frozen

Cell = str | int | float | None
"""What a table has in one place; None for what is not known."""


class Table(Frozen):
    """Rows of one kind."""

    key: str
    """Its name in JSON."""
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Section(Frozen):
    """One subject."""

    key: str
    """Its name in JSON."""
    title: str
    facts: tuple[tuple[str, Cell], ...] = ()
    """Names and values, in their order."""
    tables: tuple[Table, ...] = ()
    text: str = ""
    """Words of the project's own, or a file's content, shown as they are."""
    missing: tuple[str, ...] = ()
    """Sentences: what was not recorded. Nothing is left out silently."""


class Story(Frozen):
    """Everything that is recorded of one version."""

    project: str
    model: str
    version: int
    environment: str
    """The environment and the time that were asked about; empty and None for the version as a whole."""
    at: float | None
    written: float
    """When this was read, in seconds since the epoch."""
    sections: tuple[Section, ...]

    def section(self, key: str) -> Section:
        """Returns the section of that key. Raises KeyError if there is none."""
        return next(each for each in self.sections if each.key == key)

    @property
    def title(self) -> str:
        return f"{self.model} v{self.version}"
