"""Branches, tags and diffs: read without running or hiding anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from podium.core.domain.scm import DiffKind, RefKind
from podium.core.errors import PodiumError
from podium.core.scm import history
from podium.core.scm.git import first_bytes
from podium.core.scm.repository import Repository

from .support import commit, git


def texts(directory: Path, rev: str = "HEAD", since: str = "") -> list[tuple[DiffKind, str]]:
    repository = Repository.open(directory)
    old = repository.resolve(since) if since else None
    return [(line.kind, line.text) for line in history.diff(repository, old, repository.resolve(rev)).lines]


def test_names_of_commits_are_listed_and_nothing_else(tree: Path) -> None:
    first = commit(tree, "one")
    git(tree, "tag", "-a", "v1", "-m", "a tag of its own")
    git(tree, "tag", "blob", git(tree, "rev-parse", "HEAD:file"))
    second = commit(tree, "two")
    git(tree, "branch", "feature/ünï", first)
    git(tree, "update-ref", "refs/remotes/origin/main", first)
    git(tree, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git(tree, "update-ref", "refs/podium/kept/1", first)
    found = [(ref.kind, ref.name, ref.sha, ref.checked_out) for ref in history.refs(Repository.open(tree))]
    assert found == [
        (RefKind.BRANCH, "main", second, True),
        (RefKind.BRANCH, "feature/ünï", first, False),
        (RefKind.TAG, "v1", first, False),
        (RefKind.REMOTE, "origin/main", first, False),
    ]


def test_the_signature_changes_with_every_name(tree: Path) -> None:
    commit(tree, "one")
    repository = Repository.open(tree)
    seen = {history.signature(repository)}
    for change in (("commit", "--allow-empty", "-qm", "x"), ("tag", "v1"), ("branch", "a/b"), ("pack-refs", "--all")):
        git(tree, *change)
        assert history.signature(repository) not in seen, change
        seen.add(history.signature(repository))
    assert history.signature(repository) in seen, "nothing has changed since"


def test_a_commit_is_compared_with_its_first_parent(tree: Path) -> None:
    commit(tree, "one", file="first\n", same="same\n")
    git(tree, "checkout", "-qb", "side")
    commit(tree, "aside", aside="aside\n")
    git(tree, "checkout", "-q", "main")
    commit(tree, "two", file="second\n++ not a header\n-- neither\n@@ nor this\n")
    git(tree, "merge", "-q", "--no-ff", "-m", "merged", "side")
    lines = texts(tree, "HEAD^")
    assert (DiffKind.REMOVED, "-first") in lines and (DiffKind.ADDED, "+second") in lines
    assert (DiffKind.ADDED, "+++ not a header") in lines and (DiffKind.ADDED, "+@@ nor this") in lines
    assert [text for kind, text in lines if kind is DiffKind.HUNK] == ["@@ -1 +1,4 @@"]
    assert not any("same" in text for _, text in lines)
    merged = texts(tree, "HEAD")
    assert merged[0][1].startswith("a merge, against its first parent") and (DiffKind.ADDED, "+aside") in merged
    assert (DiffKind.ADDED, "+first") in texts(tree, "HEAD^^"), "the first commit of all has everything"


def test_two_commits_say_what_lies_between_them(tree: Path) -> None:
    commit(tree, "one", file="1\n")
    git(tree, "checkout", "-qb", "side")
    commit(tree, "aside", aside="aside\n")
    git(tree, "checkout", "-q", "main")
    commit(tree, "two", file="2\n")
    head = [text for kind, text in texts(tree, "main", "side") if kind is DiffKind.NOTE]
    short = Repository.open(tree).resolve("main").short
    assert head[0] == f"1 commit only in {short}:" and "two (Ünit Tést)" in head[1]
    assert head[2] == f"1 commit missing in {short}:" and "aside" in head[3]
    assert [text for _, text in texts(tree, "main", "main")] == ["the same commit", "no file differs"]


def test_nothing_in_a_diff_steers_the_terminal_or_is_hidden(tree: Path) -> None:
    commit(tree, "one", file="ok\n")
    commit(tree, "two \x1b[2J", file="evil\rok\n\x1b]0;title\x07\u202eabc\u200b\tend\n" + "x" * 5000 + "\n")
    lines = [text for _, text in texts(tree)]
    assert "+evil^Mok" in lines
    assert "+^[]0;title^G<U+202E>abc<U+200B>" in " ".join(lines).replace("    ", " ").replace("  ", " ")
    assert any(line.endswith("… (3001 more)") for line in lines)
    assert all(text.isprintable() for text in lines)


def test_no_program_that_the_repository_names_is_run(tree: Path) -> None:
    ran = tree.parent / "ran"
    program = tree.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    program.chmod(0o755)
    (tree / ".gitattributes").write_text("* diff=own filter=own\n")
    for name, value in {
        "diff.external": program,
        "diff.own.command": program,
        "diff.own.textconv": program,
        "filter.own.smudge": program,
        "core.pager": program,
        "pager.diff": program,
        "interactive.diffFilter": program,
        "gpg.program": program,
        "core.fsmonitor": program,
    }.items():
        git(tree, "config", name, str(value))
    git(tree, "config", "log.showSignature", "true")
    git(tree, "config", "color.ui", "always")
    git(tree, "config", "diff.noprefix", "true")
    commit(tree, "one", file="1\n")
    commit(tree, "two", file="2\n")
    ran.unlink(missing_ok=True)
    lines = texts(tree)
    assert (DiffKind.FILE, "diff --git a/file b/file") in lines and (DiffKind.ADDED, "+2") in lines
    texts(tree, "HEAD", "HEAD^")
    assert not ran.exists()


def test_a_diff_is_bounded_and_says_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tree, "one", file="".join(f"{number}\n" for number in range(6000)))
    found = history.diff(Repository.open(tree), None, Repository.open(tree).resolve("HEAD"))
    assert len(found.lines) == history.MAX_DIFF_LINES + 1
    assert found.cut.startswith("the rest is left out: `git diff ") and found.lines[-1].text == found.cut
    monkeypatch.setattr(history, "MAX_DIFF_BYTES", 1000)
    found = history.diff(Repository.open(tree), None, Repository.open(tree).resolve("HEAD"))
    assert found.cut and sum(len(line.text) for line in found.lines[:-1]) < 1000
    assert found.lines[-2].text == f"+{int(found.lines[-2].text[1:])}", "no line is shown in part"


def test_a_program_that_writes_for_ever_is_ended(tree: Path) -> None:
    commit(tree, "one", file="x" * 200_000)
    out, more = first_bytes(tree, "cat-file", "blob", "HEAD:file", limit=1000)
    assert out == b"x" * 1000 and more
    out, more = first_bytes(tree, "rev-parse", "HEAD", limit=1000)
    assert len(out) == 41 and not more
    with pytest.raises(PodiumError, match="Not a valid object name"):
        first_bytes(tree, "cat-file", "blob", "nothing", limit=1000)
    assert os.environ.get("GIT_NO_LAZY_FETCH") is None
