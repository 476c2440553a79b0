"""Where anchors are kept: a ref of a Git remote, of which each commit is one, or a file with a line for each. Both are
only added to."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from ..domain.evidence.anchors import Anchor
from ..domain.project import Project
from ..domain.text import one_line
from ..errors import UNREADABLE, Refused, Unreachable
from ..identity.account import expanded
from ..identity.home import home_id
from ..scm.git import checked, git
from ..scm.remote import Remote, advertised, fetch, push_over, remote_of
from ..scm.repository import Repository

# Of a file or a ref that somebody else can write, too, no more than this is read.
MOST_BYTES = 64 << 20
MOST_ANCHORS = 200_000
HOST = "host"
"""The anchor that means the repository that pushes arrive at, with its token."""
_SOMEBODY = ("-c", "user.name=Podium", "-c", "user.email=podium@localhost")
_TIMEOUT = 30.0


class Place(Protocol):
    """Keeps anchors of one project."""

    words: str
    """Where that is, for a person."""

    def read(self) -> tuple[Anchor, ...]:
        """Returns the anchors, the oldest first. Raises Unreachable or Refused where they cannot be had."""
        ...

    def add(self, anchor: Anchor) -> None:
        """Adds one. Raises Unreachable or Refused where it cannot be kept."""
        ...


def place_of(project: Project) -> Place | None:
    """Returns where the project's anchors are; None where podium.yaml names no place. Raises Refused for a remote where
    there is no repository, or no such remote."""
    said = project.evidence.anchor
    if not said:
        return None
    identity = home_id(project.home)
    if said.startswith(("/", "~")):
        return FilePlace(expanded(said), identity)
    repository = Repository.find(project.home)
    if repository is None:
        raise Refused(f"the anchor {said} is a Git remote, and there is no repository", hint="name a file instead")
    remote = remote_of(project) if said == HOST else Remote(said)
    if remote is None or (said != HOST and git(repository.directory, "remote", "get-url", "--", said).code):
        raise Refused(f"the repository has no remote {said}", hint="`git remote -v` lists those there are")
    return RefPlace(repository, remote, said, identity)


class FilePlace:
    """A file of lines, opened to be added to. It may be another account's, on another machine's disk, or of the kind
    that can only grow (`chattr +a`); several projects may share it."""

    def __init__(self, path: Path, identity: str) -> None:
        self.words = str(path)
        self._path, self._identity = path, identity

    def read(self) -> tuple[Anchor, ...]:
        try:
            if not self._path.exists():
                return ()
            with self._path.open("rb") as file:
                text = file.read(MOST_BYTES).decode("utf-8", "replace")
        except OSError as error:
            raise Unreachable(
                f"{self._path} cannot be read: {error.strerror}", hint="may this account read it?"
            ) from error
        return tuple(_parsed(text.splitlines(), self._identity))

    def add(self, anchor: Anchor) -> None:
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            with os.fdopen(handle, "wb") as file:
                file.write(f"{_written(anchor, self._identity)}\n".encode())
        except OSError as error:
            raise Unreachable(
                f"{self._path} cannot be written: {error.strerror}", hint="may this account add to it?"
            ) from error


class RefPlace:
    """A ref of a remote. Each anchor is a commit on the one before; Git's own hashes show what is gone in between."""

    def __init__(self, repository: Repository, remote: Remote, name: str, identity: str) -> None:
        self.words = f"the Git remote {name}"
        self._repository, self._remote, self._identity = repository, remote, identity
        self._ref = f"refs/podium/audit/{identity}"
        self._seen = f"refs/podium/audit-seen/{identity}"

    def read(self) -> tuple[Anchor, ...]:
        tip = self._tip()
        if not tip:
            return ()
        answer = checked(
            self._repository.directory,
            "log",
            "--reverse",
            f"--max-count={MOST_ANCHORS}",
            "--format=%B",
            tip,
            "--",
            timeout=_TIMEOUT,
        )
        return tuple(_parsed(answer.out[:MOST_BYTES].decode("utf-8", "replace").splitlines(), self._identity))

    def add(self, anchor: Anchor) -> None:
        directory = self._repository.directory
        tip = self._tip()
        tree = checked(directory, "hash-object", "-t", "tree", "-w", "--stdin").text
        parents = ("-p", tip) if tip else ()
        message = _written(anchor, self._identity)
        commit = checked(directory, *_SOMEBODY, "commit-tree", "-m", message, *parents, tree).text
        if not push_over(self._repository, self._remote, self._ref, commit, tip):
            raise Unreachable(f"{self.words} has another anchor by now", hint="it is tried again")
        self._repository.set_ref(self._seen, commit)

    def _tip(self) -> str:
        """Returns the newest anchor's commit, which is here afterwards; empty if there is none."""
        tip = advertised(self._repository, self._remote, [self._ref]).get(self._ref, "")
        if tip and git(self._repository.directory, "cat-file", "-e", f"{tip}^{{commit}}").code:
            fetch(self._repository, self._remote, {self._ref: self._seen})
        return tip


def _written(anchor: Anchor, identity: str) -> str:
    said: dict[str, Any] = {
        "project": identity,
        "number": anchor.number,
        "digest": anchor.digest,
        "at": round(anchor.at, 3),
        "who": one_line(anchor.who),
    }
    return json.dumps(said | ({"anew": one_line(anchor.anew)} if anchor.anew else {}))


def _parsed(lines: list[str], identity: str) -> Iterator[Anchor]:
    """Yields the project's anchors; what is none is left out, as is a line that was cut."""
    for line in lines[:MOST_ANCHORS]:
        try:
            said = json.loads(line)
            if said["project"] != identity:
                continue
            found = Anchor(
                int(said["number"]), str(said["digest"]), float(said["at"]), str(said["who"]), str(said.get("anew", ""))
            )
        except UNREADABLE:
            continue
        if math.isfinite(found.at) and 0 <= found.number < 1 << 62:
            yield found
