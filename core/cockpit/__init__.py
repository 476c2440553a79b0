"""The façade: everything that a screen or a command can ask of Podium or have it do.

Front ends call this package and read `core/domain/`; they know nothing below. A `Cockpit` is made of one namespace a
subject (`cockpit.runs`, `cockpit.environments`, …), each in a file of its own that is imported when it is first
used. It may be used from several threads: each gets a journal connection of its own. Nothing here imports MLflow,
Docker or pandas into the calling process, except where a docstring says so.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..journal import Journal
from ..logs.format import LogLine
from ..logs.merging import Entry, Merged
from ..logs.reader import LogFile
from ..logs.text import clean, parse_sgr
from .opened import OpenProject

if TYPE_CHECKING:
    from ..demo.story import Demo
    from ..domain.demo import DemoImages
    from .agent import Agent
    from .changes import Changes
    from .containers import Containers
    from .environments import Environments
    from .models import Models
    from .project import ProjectFiles
    from .runs import Runs

__all__ = [
    "Cockpit",
    "Entry",
    "LogFile",
    "LogLine",
    "Merged",
    "clean",
    "demonstration",
    "find_project",
    "init_project",
    "parse_sgr",
    "schema",
]


def find_project(start: Path) -> Path:
    """Returns the directory of the podium.yaml that is in charge of `start`: its own or the nearest above. UsageError
    when there is none."""
    from ..config import find_root

    return find_root(start)


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of podium.yaml, for editors."""
    from ..config import schema as json_schema

    return json_schema()


def init_project(directory: Path, *, name: str = "") -> list[Path]:
    """Writes a podium.yaml that works and what goes with it into `directory`; returns the files made. UsageError when
    one is already there."""
    from ..template import create

    return create(directory, name=name)


def demonstration(directory: Path, *, docker: DemoImages | None = None) -> Demo:
    """Returns the demonstration that will be played in `directory`, in Docker where its images are named; nothing has
    happened yet."""
    if docker is not None:
        from ..demo.docker_story import DockerDemo

        return DockerDemo(directory, Cockpit, docker)
    from ..demo.story import Demo

    return Demo(directory, Cockpit)


class Cockpit:
    """One project, opened. podium.yaml is read when first needed, so that reading runs works even while the file is
    broken."""

    def __init__(self, home: Path) -> None:
        self._opened = OpenProject(home)

    @classmethod
    def open(cls, directory: Path | None = None) -> Cockpit:
        """Opens the project in charge of `directory` (default: the current one)."""
        return cls(find_project(directory or Path.cwd()))

    @property
    def home(self) -> Path:
        """The project's directory."""
        return self._opened.home

    @property
    def journal(self) -> Journal:
        """This thread's connection to the journal. Not for front ends."""
        return self._opened.journal

    def close(self) -> None:
        """Closes this thread's connection; those of other threads end with their threads."""
        self._opened.close()

    def changed(self) -> int:
        """Returns a number that differs whenever anything in the journal changed. Cheap: poll it a few times a
        second."""
        return self.journal.data_version()

    @cached_property
    def project(self) -> ProjectFiles:
        """podium.yaml, the audit, and the health of what the project stands on."""
        from .project import ProjectFiles

        return ProjectFiles(self._opened)

    @cached_property
    def runs(self) -> Runs:
        """Pipelines and operations that ran, run, or are to run; their steps and logs."""
        from .runs import Runs

        return Runs(self._opened)

    @cached_property
    def models(self) -> Models:
        """Models and their versions, gate reports, quarantine, lineage."""
        from .models import Models

        return Models(self._opened)

    @cached_property
    def environments(self) -> Environments:
        """What serves where, and what it answered: status, history, signals, canaries, replays."""
        from .environments import Environments

        return Environments(self._opened)

    @cached_property
    def changes(self) -> Changes:
        """Every change that is shown before it is made: rollouts, requests to canaries, repairs, restarts."""
        from .changes import Changes

        return Changes(self._opened)

    @cached_property
    def containers(self) -> Containers:
        """What engines run, images, shells, and what replicas write and use."""
        from .containers import Containers

        return Containers(self._opened)

    @cached_property
    def agent(self) -> Agent:
        """The process that watches the project in the background."""
        from .agent import Agent

        return Agent(self._opened)
