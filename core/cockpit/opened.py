"""An opened project, shared by all namespaces of the façade: its directory, its podium.yaml, its journal."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import NotFound, Refused
from ..journal import Journal

if TYPE_CHECKING:
    from ..adoption.settling import Settled
    from ..config.latest import Latest
    from ..domain.project import Project

Say = Callable[[str], None]


def quiet(_: str) -> None:
    """Tells nobody."""


class OpenProject:
    """The directory, the configuration (read again when it changes) and a journal connection for each thread."""

    def __init__(self, home: Path, say: Say = quiet, environ: Mapping[str, str] | None = None) -> None:
        """`environ` has the variables that podium.yaml and tokens are read from (default: this process's)."""
        self.home = home.resolve()
        self.environ = environ
        self._local = threading.local()
        self._say = say
        self._settling = threading.Lock()
        self._settled: Settled | None = None
        self._latest: Latest | None = None

    @property
    def latest(self) -> Latest:
        """Returns what podium.yaml says now, and what it said when it could last be used."""
        with self._settling:
            if self._latest is None:
                from ..config.latest import Latest

                self._latest = Latest(self.home, self.environ)
            return self._latest

    @property
    def config(self) -> Project:
        """Returns the project as podium.yaml describes it, for reading. While the file cannot be used it is the last
        good content; ConfigError with every problem found if there is none."""
        return self.latest.project()

    @property
    def current(self) -> Project:
        """Returns the project as podium.yaml describes it now, for changes. Raises ConfigError while the file cannot
        be used."""
        return self.latest.current()

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
            fixed = self._read_only()
            journal = Journal.open(self.state / "journal.db", create=fixed is None, read_only=fixed is not None)
            refusal = fixed or refusal
            if refusal is not None:
                journal.borrow(refusal)
            self._local.journal = journal
        return journal

    def _read_only(self) -> Refused | None:
        """Returns why nothing can be changed here; None unless the file system is read-only: then the journal is read
        as it is."""
        try:
            fixed = os.statvfs(self.state).f_flag & os.ST_RDONLY
        except OSError:
            return None
        if not fixed:
            return None
        return Refused(
            f"{self.state} is on a file system that is read-only",
            hint="it can be looked at; to change something, mount it writable or copy the project",
        )

    def close(self) -> None:
        """Closes this thread's connection; those of other threads end with their threads."""
        journal = self._local.__dict__.pop("journal", None)
        if journal is not None:
            journal.close()
