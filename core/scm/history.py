"""What a repository's history shows: its branches and tags, the newest commits of each, and what differs between two
commits. Nothing here runs a program that the repository names, and nothing fetches."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..domain.scm import Commit, Diff, DiffKind, DiffLine, Ref, RefKind
from ..domain.text import visible
from .git import checked, first_bytes, git
from .repository import SHORT_LENGTH, Repository

MAX_REFS = 1000
MAX_DIFF_BYTES = 1 << 20
MAX_DIFF_LINES = 5000
MAX_LINE = 2000
MAX_BETWEEN = 30
_REF_FIELDS = (
    "refname",
    "symref",
    "objecttype",
    "objectname",
    "*objecttype",
    "*objectname",
    "creatordate:unix",
    "HEAD",
)
_PLACES = {"refs/heads/": RefKind.BRANCH, "refs/tags/": RefKind.TAG, "refs/remotes/": RefKind.REMOTE}
# No program of the configuration or the attributes is run, and no setting of the reader changes what the lines mean.
_DIFF = (
    "diff",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--find-renames",
    "-l200",
    "--stat=76,56,100",
    "--patch",
)


def refs(repository: Repository) -> list[Ref]:
    """Returns the names of commits: the branch that is checked out first, then branches, tags and branches elsewhere,
    each the newest first; at most a thousand."""
    form = "%00".join(f"%({field})" for field in _REF_FIELDS) + "%00"
    answer = checked(
        repository.directory, "for-each-ref", f"--count={MAX_REFS}", "--sort=-creatordate", f"--format={form}", *_PLACES
    )
    fields = answer.out.decode("utf-8", "replace").split("\0")
    size = len(_REF_FIELDS)
    found = [_ref(*fields[at : at + size]) for at in range(0, len(fields) - size + 1, size)]
    order = list(_PLACES.values())
    return sorted(
        (ref for ref in found if ref is not None), key=lambda ref: (not ref.checked_out, order.index(ref.kind))
    )


def _ref(name: str, symref: str, kind: str, sha: str, tagged: str, commit: str, at: str, head: str) -> Ref | None:
    """Returns a row of for-each-ref; None for a name of another name, and of what is not a commit."""
    name = name.strip("\n")
    place = next(place for place in _PLACES if name.startswith(place))
    if symref or "commit" not in (kind, tagged):
        return None
    when = float(at) if at.isdecimal() else 0.0
    return Ref(_PLACES[place], name.removeprefix(place), commit or sha, when, head == "*")


def signature(repository: Repository) -> tuple[tuple[str, int], ...]:
    """Returns what changes whenever a name of a commit does. It costs a few calls of stat."""
    names = ("HEAD", "packed-refs", "logs/HEAD", "reftable/tables.list")
    places = [repository.git_dir / name for name in names]
    places += _directories(repository.git_dir / "refs")
    return tuple((str(place), changed) for place in places if (changed := _changed(place)))


def _directories(top: Path) -> Iterable[Path]:
    """Names are files, and a file that is written takes the place of another one: its directory changes."""
    return [Path(where) for where, _, _ in os.walk(top)]


def _changed(place: Path) -> int:
    try:
        return place.stat().st_mtime_ns
    except OSError:
        return 0


# Diffs


def diff(repository: Repository, old: Commit | None, new: Commit) -> Diff:
    """Returns what changes from one commit to another; without `old` what `new` changed of its first parent."""
    if old is not None:
        between = _between(repository, old, new)
        head = [DiffLine(DiffKind.NOTE, line) for line in between]
        return _diff(repository, f"{old.short} to {new.short}", head, old.sha, new.sha)
    parent = git(repository.directory, "rev-parse", "--verify", "--quiet", f"{new.sha}^1^{{commit}}").text
    merge = git(repository.directory, "rev-parse", "--verify", "--quiet", f"{new.sha}^2^{{commit}}").text
    words = f"a merge, against its first parent {parent[:SHORT_LENGTH]}" if merge else ""
    head = [DiffLine(DiffKind.NOTE, words)] if words else []
    return _diff(repository, new.short, head, parent or _empty_tree(repository), new.sha)


def _empty_tree(repository: Repository) -> str:
    return checked(repository.directory, "hash-object", "-t", "tree", os.devnull).text


def _between(repository: Repository, old: Commit, new: Commit) -> list[str]:
    """Returns lines about the commits that one has and the other has not."""
    lines: list[str] = []
    for start, end, words in ((old, new, "only in"), (new, old, "missing in")):
        found = repository.commits(f"{start.sha}..{end.sha}", limit=MAX_BETWEEN + 1)
        number = f"more than {MAX_BETWEEN}" if len(found) > MAX_BETWEEN else str(len(found))
        if found:
            lines.append(f"{number} {'commit' if len(found) == 1 else 'commits'} {words} {new.short}:")
            lines += [_shown(f"  {each.short} {each.subject} ({each.author})") for each in found[:MAX_BETWEEN]]
    return lines or ["the same commit"]


def _diff(repository: Repository, title: str, head: list[DiffLine], old: str, new: str) -> Diff:
    out, more = first_bytes(repository.directory, *_DIFF, old, new, "--", limit=MAX_DIFF_BYTES)
    texts = out.decode("utf-8", "replace").split("\n")
    texts.pop()  # nothing, or the part of a line that the limit left
    lines = _lines(texts[:MAX_DIFF_LINES])
    if not texts:
        lines = [DiffLine(DiffKind.NOTE, "no file differs")]
    cut = ""
    if more or len(texts) > MAX_DIFF_LINES:
        cut = f"the rest is left out: `git diff {old[:SHORT_LENGTH]} {new[:SHORT_LENGTH]}` shows all of it"
        lines.append(DiffLine(DiffKind.NOTE, cut))
    return Diff(title, (*head, *lines), cut)


def _lines(texts: list[str]) -> list[DiffLine]:
    found: list[DiffLine] = []
    within: DiffKind = DiffKind.NOTE
    for text in texts:
        if text.startswith("diff --git "):
            within = DiffKind.FILE
        elif text.startswith("@@") and within is not DiffKind.NOTE:
            within = DiffKind.HUNK
        found.append(DiffLine(_kind(text, within), _shown(text)))
        if within is DiffKind.HUNK:
            within = DiffKind.CONTEXT
    return found


def _kind(text: str, within: DiffKind) -> DiffKind:
    """Lines of a hunk are told by their first letter; before the first hunk of a file there are none."""
    if within is not DiffKind.CONTEXT:
        return within
    return {"+": DiffKind.ADDED, "-": DiffKind.REMOVED}.get(text[:1], DiffKind.CONTEXT)


def _shown(text: str) -> str:
    """Returns a line of which nothing is hidden, of a bounded length."""
    shown = visible(text[:MAX_LINE]).expandtabs(4)
    return shown if len(text) <= MAX_LINE else f"{shown}… ({len(text) - MAX_LINE} more)"
