"""An opened project, shared by all namespaces of the façade: its directory, its podium.yaml, its journal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import NotFound
from ..journal import Journal

if TYPE_CHECKING:
    from ..adoption import Settled
    from ..domain.project import Project

Say = Callable[[str], None]


def quiet(_: str) -> None:
    """Tells nobody."""


class OpenProject:
    """The directory, the configuration (read when first needed) and a journal connection for each thread."""

    def __init__(self, home: Path, say: Say = quiet) -> None:
        self.home = home.resolve()
        self._local = threading.local()
        self._say = say
        self._settling = threading.Lock()
        self._settled: Settled | None = None

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
    def settled(self) -> Settled:
        """Returns whether this is a copy of another project. The first call follows one that was moved to its new
        place, and tells the person."""
        with self._settling:
            if self._settled is None:
                from ..adoption.settling import settle

                self._settled = settle(self.home)
                for note in self._settled.notes:
                    self._say(note)
            return self._settled

    def require_own(self) -> None:
        """Raises Refused in a copy that nobody has adopted: what would be changed is the original's."""
        if self.settled.refusal is not None:
            raise self.settled.refusal

    def adopt(self) -> None:
        """Makes a copy a project of its own."""
        from ..adoption.copies import adopt

        self.close()
        adopt(self.home)
        with self._settling:
            self._settled = None

    @property
    def journal(self) -> Journal:
        """Returns this thread's connection to the journal."""
        journal = getattr(self._local, "journal", None)
        if journal is None:
            refusal = self.settled.refusal
            if not self.home.is_dir():
                raise NotFound(f"{self.home} is gone", hint="was it moved? Open the project where it is now")
            journal = Journal.open(self.state / "journal.db")
            if refusal is not None:
                journal.borrow(refusal)
            self._local.journal = journal
        return journal

    def close(self) -> None:
        """Closes this thread's connection; those of other threads end with their threads."""
        journal = self._local.__dict__.pop("journal", None)
        if journal is not None:
            journal.close()
