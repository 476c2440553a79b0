"""The façade: everything that a screen or a command can ask of Podium or have it do. Front ends call this package
and read `core/domain/`; they know nothing below. A `Cockpit` consists of one namespace per subject (`cockpit.runs`,
`cockpit.environments`, …), each in a file of its own that is imported on first use. It may be used from several
threads: each gets a journal connection of its own. Nothing here imports MLflow, Docker or pandas into the calling
process, unless its docstring says so."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..journal import Journal
from .opened import OpenProject, Say, quiet

if TYPE_CHECKING:
    from ..beneath.new_file import save
    from ..demo.story import Demo
    from ..domain.demo import DemoImages
    from ..domain.evidence.proof import Proof
    from ..domain.watching import Restored
    from ..logs.format import LogLine
    from ..logs.masking import masked_document
    from ..logs.matching import Matcher
    from ..logs.merging import Entry, Merged
    from ..logs.reader import LogFile
    from ..logs.redraws import without_redraws, written_over
    from .agent import Agent
    from .alerts import Alerts
    from .changes import Changes
    from .ci import Ci
    from .containers import Containers
    from .environments import Environments
    from .evidence import Evidence
    from .feedback import Feedback
    from .inbox import Inbox
    from .infra import Infrastructure
    from .labels import Labels
    from .models import Models
    from .monitors import Monitors
    from .project import ProjectFiles
    from .questions.board import Board
    from .questions.declared import DeclaredThings
    from .questions.finder import Finder
    from .questions.why import Why
    from .repository import ProjectRepository
    from .runs import Runs
    from .tokens import Tokens
    from .versions.comparing import Comparing
    from .versions.training import Training

__all__ = [
    "Cockpit",
    "Entry",
    "LogFile",
    "LogLine",
    "Matcher",
    "Merged",
    "demonstration",
    "find_project",
    "init_project",
    "is_project",
    "masked_document",
    "restore_project",
    "save",
    "schema",
    "sign_evidence",
    "verify_evidence",
    "without_redraws",
    "written_over",
]

# What front ends know by this package, and is imported when it is first asked for: most commands, and the first
# picture of the cockpit, show no log.
_LATER: Mapping[str, str] = {
    "Entry": "..logs.merging",
    "LogFile": "..logs.reader",
    "LogLine": "..logs.format",
    "Matcher": "..logs.matching",
    "Merged": "..logs.merging",
    "masked_document": "..logs.masking",
    "save": "..beneath.new_file",
    "without_redraws": "..logs.redraws",
    "written_over": "..logs.redraws",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_LATER[name], __name__), name)
    return found


def find_project(start: Path) -> Path:
    """Returns the directory of the podium.yaml that applies to `start`: its own or the nearest above. Raises
    UsageError if there is none."""
    from ..config import find_root

    return find_root(start)


def is_project(home: Path) -> bool:
    """Tells whether a directory has a podium.yaml."""
    from ..config import FILE

    return (home / FILE).is_file()


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of podium.yaml, for editors."""
    from ..config import schema as json_schema

    return json_schema()


def init_project(directory: Path, *, name: str = "") -> list[Path]:
    """Writes a working podium.yaml and its scripts into `directory`; returns the new files. Raises UsageError if one
    already exists."""
    from ..template import create

    return create(directory, name=name)


def restore_project(file: Path, directory: Path) -> Restored:
    """Restores a backup into a project's directory that has no state yet; returns what to do next. Refused if it has
    some, and if the backup is damaged."""
    from ..backup.restore import restore

    return restore(file, directory)


def verify_evidence(
    path: Path, *, signers: Path | None = None, revoked: Path | None = None, model: Path | None = None
) -> Proof:
    """Returns what is found when a bundle of evidence is compared with what was signed; needs no project. `signers` and
    `revoked` are files as ssh-keygen reads them, `model` is a directory with the version's files. Raises NotFound if
    there is no bundle, and MissingExtra without ssh-keygen."""
    from ..evidence.verify import verify

    return verify(path, signers=signers, revoked=revoked, model=model)


def sign_evidence(path: Path, key: Path | None) -> str:
    """Signs a bundle beside those who have signed it; returns the key's fingerprint. Without `key` it is one of this
    account's own. Raises NotFound if there is no bundle, Refused if it is not what was signed before, and what
    ssh-keygen cannot do."""
    from ..evidence.countersign import sign

    return sign(path, key)


def demonstration(
    directory: Path, *, docker: DemoImages | None = None, host: bool = False, drift: bool = False
) -> Demo:
    """Returns the demonstration that will be played in `directory`: in Docker if its images are given, with a Git host
    of its own where `host` asks for one, that of the feedback loop for `drift`; nothing is started yet."""
    if docker is not None:
        from ..demo.docker_story import DockerDemo

        return DockerDemo(directory, Cockpit, docker)
    if host:
        from ..demo.host_story import HostDemo

        return HostDemo(directory, Cockpit)
    if drift:
        from ..demo.drift_story import DriftDemo

        return DriftDemo(directory, Cockpit)
    from ..demo.story import Demo

    return Demo(directory, Cockpit)


class Cockpit:
    """One opened project. podium.yaml is read when first needed and again when it changes, and everything else can be
    read while it is broken."""

    def __init__(self, home: Path, say: Say = quiet) -> None:
        self._opened = OpenProject(home, say)

    @classmethod
    def open(cls, directory: Path | None = None, *, say: Say = quiet) -> Cockpit:
        """Opens the project that `directory` (default: the current one) belongs to. `say` gets a sentence when it is
        found out that the project was moved, or is a copy of another one."""
        return cls(find_project(directory or Path.cwd()), say)

    @property
    def home(self) -> Path:
        """Returns the project's directory."""
        return self._opened.home

    @property
    def journal(self) -> Journal:
        """Returns this thread's connection to the journal. Not for front ends."""
        return self._opened.journal

    def close(self) -> None:
        """Closes this thread's connections; those of other threads end with their threads."""
        if "ci" in self.__dict__:
            self.ci.close()
        if "inbox" in self.__dict__:
            self.inbox.close()
        self._opened.close()

    def changed(self) -> int:
        """Returns a number that changes whenever anything in the journal or in podium.yaml changes. It is cheap: poll
        it a few times a second."""
        latest = self._opened.latest
        latest.look()
        return self.journal.data_version() + latest.generation

    @cached_property
    def project(self) -> ProjectFiles:
        """Returns the namespace of podium.yaml, the audit, and the health of everything that the project depends on."""
        from .project import ProjectFiles

        return ProjectFiles(self._opened)

    @cached_property
    def runs(self) -> Runs:
        """Returns the namespace of pipelines and operations, past and present, with their steps and logs."""
        from .runs import Runs

        return Runs(self._opened)

    @cached_property
    def repository(self) -> ProjectRepository:
        """Returns the namespace of the Git repository: branches, commits, diffs, and what Podium did with each."""
        from .repository import ProjectRepository

        return ProjectRepository(self._opened)

    @cached_property
    def ci(self) -> Ci:
        """Returns the namespace of the Git host's CI runs: the inbox, jobs, logs, and what can be asked of them."""
        from .ci import Ci

        return Ci(self._opened)

    @cached_property
    def finder(self) -> Finder:
        """Returns the namespace of names: what a person means who types a part of one."""
        from .questions.finder import Finder

        return Finder(self._opened, self.repository, self.ci)

    @cached_property
    def labels(self) -> Labels:
        """Returns the namespace of requests and their labels."""
        from .labels import Labels

        return Labels(self._opened)

    @cached_property
    def inbox(self) -> Inbox:
        """Returns the namespace of the CI runs of all projects that one agent watches together with this one."""
        from .inbox import Inbox

        return Inbox(self._opened, self.ci)

    @cached_property
    def models(self) -> Models:
        """Returns the namespace of models and their versions, gate reports, quarantine and lineage."""
        from .models import Models

        return Models(self._opened)

    @cached_property
    def comparing(self) -> Comparing:
        """Returns the namespace of comparisons of versions and runs, and of the query that chooses versions."""
        from .versions.comparing import Comparing

        return Comparing(self._opened, self.models, self.repository)

    @cached_property
    def training(self) -> Training:
        """Returns the namespace of what training has logged: curves of metrics, and files."""
        from .versions.training import Training

        return Training(self._opened)

    @cached_property
    def monitors(self) -> Monitors:
        """Returns the namespace of monitors and what they measured."""
        from .monitors import Monitors

        return Monitors(self._opened)

    @cached_property
    def environments(self) -> Environments:
        """Returns the namespace of environments: status, history, signals, canaries, replays."""
        from .environments import Environments

        return Environments(self._opened)

    @cached_property
    def tokens(self) -> Tokens:
        """Returns the namespace of the tokens by which clients of environments prove who they are."""
        from .tokens import Tokens

        return Tokens(self._opened)

    @cached_property
    def alerts(self) -> Alerts:
        """Returns the namespace of alerts: how they stand, what changed, silences."""
        from .alerts import Alerts

        return Alerts(self._opened)

    @cached_property
    def feedback(self) -> Feedback:
        """Returns the namespace of the feedback loop: what alerts have started, and whether it helped."""
        from .feedback import Feedback

        return Feedback(self._opened)

    @cached_property
    def infra(self) -> Infrastructure:
        """Returns the namespace of infrastructure: its plans, what differs from them, its outputs."""
        from .infra import Infrastructure

        return Infrastructure(self._opened)

    @cached_property
    def board(self) -> Board:
        """Returns the namespace of the board: is it as declared, does it run, is its model well?"""
        from .questions.board import Board

        return Board(self._opened)

    @cached_property
    def changes(self) -> Changes:
        """Returns the namespace of changes that are shown before they are applied: rollouts, requests to canaries,
        repairs, restarts."""
        from .changes import Changes

        return Changes(self._opened)

    @cached_property
    def containers(self) -> Containers:
        """Returns the namespace of engines: containers, images, shells, logs and usage."""
        from .containers import Containers

        return Containers(self._opened)

    @cached_property
    def declared(self) -> DeclaredThings:
        """Returns the namespace of what podium.yaml declares, beside how it is."""
        from .questions.declared import DeclaredThings

        return DeclaredThings(self._opened)

    @cached_property
    def evidence(self) -> Evidence:
        """Returns the namespace of evidence: why a version serves, and whether a bundle is what was signed."""
        from .evidence import Evidence

        return Evidence(self._opened)

    @cached_property
    def why(self) -> Why:
        """Returns the namespace of reasons: why steps ran, what differs between runs, what served at a moment."""
        from .questions.why import Why

        return Why(self._opened)

    @cached_property
    def agent(self) -> Agent:
        """Returns the namespace of the process that watches the project in the background."""
        from .agent import Agent

        return Agent(self._opened)
