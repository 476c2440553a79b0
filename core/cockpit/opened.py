"""An opened project, shared by all namespaces of the façade: its directory, its podium.yaml, its journal."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..journal import Journal

if TYPE_CHECKING:
    from ..domain.project import Project


class OpenProject:
    """The directory, the configuration (read when first needed) and a journal connection for each thread."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self._local = threading.local()

    @cached_property
    def config(self) -> Project:
        """Returns the project as its podium.yaml describes it now. Raises ConfigError with every problem found."""
        from ..config import load

        return load(self.home)

    def reload(self) -> Project:
        """Reads podium.yaml again."""
        self.__dict__.pop("config", None)
        return self.config

    @property
    def state(self) -> Path:
        """Returns the directory that holds Podium's state of this project; needs no podium.yaml."""
        return self.home / ".podium"

    @property
    def journal(self) -> Journal:
        """Returns this thread's connection to the journal."""
        journal = getattr(self._local, "journal", None)
        if journal is None:
            journal = self._local.journal = Journal.open(self.state / "journal.db")
        return journal

    def close(self) -> None:
        """Closes this thread's connection; those of other threads end with their threads."""
        journal = self._local.__dict__.pop("journal", None)
        if journal is not None:
            journal.close()
