"""Reads and writes one bare repository: what its branches, tags, commits and files are is what git says.

Commits and trees never change, so what was read of them is kept, up to a bound.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from ...domain.frozen import Frozen
from ...errors import PodiumError
from ...scm.git import GitResult, checked, git

SHA = re.compile(r"[0-9a-f]{40}")
_SHORT = re.compile(r"[0-9a-f]{4,40}")
_FIELDS = "%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B%x01"
_KEPT = 20_000  # answers of git
_SETTINGS = {
    "http.receivepack": "true",
    "receive.autogc": "false",
    "gc.auto": "0",
    "uploadpack.allowReachableSHA1InWant": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "receive.denyDeleteCurrent": "refuse",
}


class Person(Frozen):
    name: str
    email: str
    at: int


class Commit(Frozen):
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str

    @property
    def title(self) -> str:
        return self.message.partition("\n")[0]


class Entry(Frozen):
    """A file or directory at a commit."""

    path: str
    kind: str
    """blob, tree or commit (a submodule)."""
    sha: str
    size: int


class Bare:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._lock = Lock()

    @classmethod
    def make(cls, path: Path, default_branch: str, hidden: Sequence[str]) -> Bare:
        """Makes an empty one. Nobody can push to the refs below `hidden`."""
        path.mkdir(parents=True, exist_ok=True)
        checked(path, "init", "-q", "--bare", f"--initial-branch={default_branch}", ".")
        lines = [
            f"[{name.partition('.')[0]}]\n\t{name.partition('.')[2]} = {value}" for name, value in _SETTINGS.items()
        ]
        lines += [f"[receive]\n\thideRefs = {ref}" for ref in hidden]
        with (path / "config").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return cls(path)

    # -- refs

    def refs(self) -> dict[str, str]:
        """Returns all refs with the object that each names, by full name, in the order of their names."""
        found = self._packed()
        top = self.path / "refs"
        for directory, _, names in os.walk(top):
            for name in names:
                path = Path(directory, name)
                text = _read(path)
                if SHA.fullmatch(text) and not name.endswith(".lock"):
                    found[path.relative_to(self.path).as_posix()] = text
        return dict(sorted(found.items()))

    def branches(self) -> dict[str, str]:
        return {name[11:]: sha for name, sha in self.refs().items() if name.startswith("refs/heads/")}

    def tags(self) -> dict[str, str]:
        """Returns tag -> the object that it names, which is a tag itself where it is annotated."""
        return {name[10:]: sha for name, sha in self.refs().items() if name.startswith("refs/tags/")}

    def peeled(self, sha: str) -> str:
        """Returns the commit that an object stands for; empty if there is none."""
        return self._keep(("peeled", sha), lambda: self._ask("rev-parse", "--verify", "-q", f"{sha}^{{commit}}"))

    def resolve(self, name: str) -> str:
        """Returns the commit that a branch, tag, full ref or sha means; empty if there is none."""
        refs = self.refs()
        for prefix in ("refs/heads/", "refs/tags/", "refs/", ""):
            if prefix + name in refs:
                return self.peeled(refs[prefix + name])
        if name == "HEAD":
            return self.peeled(refs.get(self.head(), "0"))
        if not _SHORT.fullmatch(name):
            return ""
        return self.peeled(name) if len(name) == 40 else self._ask("rev-parse", "--verify", "-q", f"{name}^{{commit}}")

    def head(self) -> str:
        return _read(self.path / "HEAD").removeprefix("ref: ")

    def set_ref(self, name: str, sha: str, old: str = "") -> bool:
        """Sets a ref (deletes it for an empty sha). False if it is not `old` (any value when that is empty)."""
        change = ["-d", name] if not sha else [name, sha]
        return git(self.path, "update-ref", *change, *([old] if old else [])).code == 0

    def bring(self, source: Path, sha: str, ref: str) -> None:
        """Copies a commit from another repository and names it `ref`."""
        checked(self.path, "fetch", "-q", "--no-tags", str(source), f"+{sha}:{ref}")

    # -- commits and files

    def commit(self, sha: str) -> Commit | None:
        found = self.commits([sha])
        return found[0] if found else None

    def commits(self, shas: Sequence[str]) -> list[Commit]:
        """Returns those that exist, in the order asked for."""
        missing = [sha for sha in shas if SHA.fullmatch(sha) and ("commit", sha) not in self._kept]
        for first in range(0, len(missing), 500):
            self._read_commits(missing[first : first + 500])
        found = [self._kept.get(("commit", sha)) for sha in shas]
        return [commit for commit in found if commit is not None]

    def history(self, tip: str, path: str = "", since: float = 0.0, until: float = 0.0) -> list[str]:
        """Returns the commits that a commit is made of, newest first."""
        options = [f"--since={since:.0f}"] if since else []
        options += [f"--until={until:.0f}"] if until else []

        def read() -> list[str]:
            return self._ask("rev-list", *options, tip, "--", *([path] if path else [])).split()

        return self._keep(("history", tip, path, tuple(options)), read)

    def between(self, old: str, new: str, limit: int = 1000) -> list[str]:
        """Returns the commits that `new` has and `old` has not, newest first; `old` may be missing."""
        without = [f"^{old}"] if old and self.peeled(old) else []
        return self._ask("rev-list", f"--max-count={limit}", new, *without).split()

    def is_ancestor(self, old: str, new: str) -> bool:
        return git(self.path, "merge-base", "--is-ancestor", old, new).code == 0

    def changes(self, old: str, new: str) -> list[tuple[str, str]]:
        """Returns (letter, path) of each file that differs: A, M, D, …"""
        base = [old] if old else ["4b825dc642cb6eb9a060e54bf8d69288fbee4904"]
        words = self._ask("diff-tree", "-r", "-z", "--no-renames", "--name-status", *base, new).split("\0")
        return list(zip(words[0::2], words[1::2], strict=False))

    def file(self, ref: str, path: str) -> bytes | None:
        """Returns a file's content at a commit; None if there is none."""
        found = self.entries(ref, path)
        if len(found) != 1 or found[0].path != path or found[0].kind != "blob":
            return None
        return git(self.path, "cat-file", "blob", found[0].sha).out

    def entries(self, ref: str, path: str) -> list[Entry]:
        """Returns the file of that path, or with a slash at the end what is directly in that directory."""

        def read() -> list[Entry]:
            words = self._ask("ls-tree", "-z", "-l", ref, "--", *([path] if path else [])).split("\0")
            return [_entry(word) for word in words if word]

        return self._keep(("entries", ref, path), read)

    # -- asking git

    def _ask(self, *arguments: str) -> str:
        answer = git(self.path, *arguments)
        return answer.text if answer.code == 0 else ""

    def _read_commits(self, shas: Sequence[str]) -> None:
        answer = self._log(shas)
        if answer.code != 0 and len(shas) > 1:  # one that does not exist hides the others
            for sha in shas:
                self._read_commits([sha])
            return
        for record in answer.text.split("\x01") if answer.code == 0 else ():
            if record.strip("\n"):
                commit = _commit(record.lstrip("\n"))
                self._put(("commit", commit.sha), commit)

    def _log(self, shas: Sequence[str]) -> GitResult:
        return git(self.path, "log", "--no-walk=unsorted", f"--format={_FIELDS}", *shas, "--")

    def _keep(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Returns what git answered before, or asks it. An empty answer is not kept: it may be there tomorrow."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        if value:
            self._put(key, value)
        return value

    def _put(self, key: tuple[Any, ...], value: Any) -> None:
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def _packed(self) -> dict[str, str]:
        lines = _read(self.path / "packed-refs").splitlines()
        pairs = (line.split(" ", 1) for line in lines if line and line[0] not in "#^")
        return {name: sha for sha, name in pairs}


def make_commit(bare: Bare, branch: str, message: str, files: dict[str, str], author: Person) -> str:
    """Adds a commit to a branch without a work tree, and returns its sha. Raises PodiumError when git refuses."""
    full = f"refs/heads/{branch}"
    stream = [f"commit {full}", f"author {_person(author)}", f"committer {_person(author)}", _data(message)]
    parent = bare.refs().get(full)
    stream += [f"from {parent}"] if parent else []
    stream += [f"M 100644 inline {path}\n{_data(text)}" for path, text in files.items()]
    import subprocess

    done = subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=bare.path,
        input=("\n".join(stream) + "\n").encode(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        raise PodiumError(f"git made no commit: {done.stderr.decode('utf-8', 'replace').strip()}")
    return bare.refs()[full]


def _person(person: Person) -> str:
    return f"{person.name} <{person.email}> {person.at} +0000"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _commit(record: str) -> Commit:
    sha, tree, parents, name, email, at, committer, committer_email, committed, message = record.split("\0")
    return Commit(
        sha,
        tree,
        tuple(parents.split()),
        Person(name, email, int(at)),
        Person(committer, committer_email, int(committed)),
        message.rstrip("\n"),
    )


def _entry(line: str) -> Entry:
    head, _, path = line.partition("\t")
    _, kind, sha, size = head.split()
    return Entry(path, kind, sha, int(size) if size.isdigit() else 0)
