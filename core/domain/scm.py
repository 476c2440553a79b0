"""Git data: commits, branches and tags, diffs, and what Podium did with a commit. All texts in here are untrusted."""

from __future__ import annotations

from enum import StrEnum

from .frozen import Frozen
from .runs import Run


class Person(Frozen):
    """Who made a commit, as they say themselves: untrusted text."""

    name: str
    email: str


class Commit(Frozen):
    """A commit. `at` is its time in seconds since the epoch; `author` is a name and `subject` the message's first
    line. Both are untrusted text."""

    sha: str
    short: str
    author: str
    at: float
    subject: str


class RefKind(StrEnum):
    BRANCH = "branch"
    TAG = "tag"
    REMOTE = "remote"
    """What was last fetched of a branch elsewhere."""


class Ref(Frozen):
    """A name of a commit. `at` is when that was made (a tag: when it was given), in seconds since the epoch."""

    kind: RefKind
    name: str
    sha: str
    at: float
    checked_out: bool = False


class Served(Frozen):
    """Where a version takes traffic: `share` is from 0 to 1, 0 for one that is kept ready."""

    environment: str
    share: float


class CommitVersion(Frozen):
    """A version that was made from a commit."""

    version: int
    aliases: tuple[str, ...] = ()
    served: tuple[Served, ...] = ()
    quarantined: str = ""
    """Why no trigger may deploy it; empty if one may."""
    model: str = ""
    """Its registered model, where podium.yaml names several."""

    @property
    def name(self) -> str:
        """Returns how it is called: `v3`, and with its model where there are several."""
        return f"{self.model} v{self.version}".strip()


class CiState(StrEnum):
    """How a CI run of the Git host stands, or the worst of a commit's. WAITING waits for a person's approval;
    QUEUED for a machine."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def finished(self) -> bool:
        return self in (CiState.SUCCEEDED, CiState.FAILED, CiState.CANCELLED, CiState.SKIPPED)


class CiLook(Frozen):
    """What is known of the Git host that the CI states of commits are from."""

    host: str
    """Such as `github.com/acme/flight-delay`."""
    asked: float = 0.0
    """When it was asked last; 0.0 if it never was."""
    error: str = ""
    """Why it did not answer then, or what it cannot do."""


class CommitRow(Frozen):
    """The lineage row, seen from Git: a commit, and what Podium did with it."""

    commit: Commit
    refs: tuple[Ref, ...] = ()
    """The branches and tags that name it."""
    run: Run | None = None
    """The newest run of a pipeline at this commit."""
    versions: tuple[CommitVersion, ...] = ()
    """The newest first."""
    ci: CiState | None = None
    """The worst that the newest run of each of the host's workflows says of it, as it was last seen; None if no CI run
    of it was."""


class CommitPage(Frozen):
    """The newest commits of something, newest first; `more` tells whether older ones were left out."""

    of: str
    rows: tuple[CommitRow, ...]
    more: bool
    ci: CiLook | None = None
    """None if podium.yaml names no Git host."""


class DiffKind(StrEnum):
    NOTE = "note"
    """What is said about the diff, and its table of files."""
    FILE = "file"
    HUNK = "hunk"
    ADDED = "added"
    REMOVED = "removed"
    CONTEXT = "context"


class DiffLine(Frozen):
    """A line as it can be shown: nothing in it steers a terminal, and nothing in it is hidden."""

    kind: DiffKind
    text: str


class Diff(Frozen):
    """What changes from one commit to another."""

    title: str
    lines: tuple[DiffLine, ...]
    cut: str = ""
    """Why it is not whole; empty if it is."""
