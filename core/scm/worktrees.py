"""Checks a commit out into a directory of its own, whole and as it was committed: not as sparse as the main checkout,
without line ends of this machine's taste, and with the submodules that are here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ..errors import PodiumError
from .git import checked, failure, git

# A checkout of a big repository may take its time; a hung file system may not take for ever.
CHECKOUT_TIMEOUT = 600.0
_WHOLE = ("-c", "core.sparseCheckout=false", "-c", "core.autocrlf=false", "-c", "core.eol=lf")
_NO_LFS = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false")
_MODULES = ".gitmodules"
_DEEPEST = 20


def add(git_dir: Path, commit: str, path: Path) -> None:
    """Adds a worktree of a commit at `path`. Nothing is fetched for it. Raises PodiumError with what to do where git
    cannot."""
    skip = os.environ.get("GIT_LFS_SKIP_SMUDGE", "").lower() in ("1", "true", "t", "y", "yes")
    # Twice --force: a directory that was deleted behind git's back is still registered, and may be taken again.
    forced = ("worktree", "add", "--force", "--force", "--detach", "--quiet", str(path), commit)
    answer = git(git_dir, *_WHOLE, *(_NO_LFS if skip else ()), *forced, timeout=CHECKOUT_TIMEOUT)
    if answer.code:
        raise failure(answer, ("worktree",))


def add_submodules(git_dir: Path, root: Path, top: Path, depth: int = 0) -> list[str]:
    """Checks out the submodules of the worktree at `top`, and theirs, from what is in the main checkout at `root`;
    returns those that are not here, as paths."""
    names = _names(top)
    if not names or depth > _DEEPEST:
        return []
    missing: list[str] = []
    for path, commit in _commits(top):
        own = _own_repository(git_dir, root / path, names.get(path, ""))
        if own is None:
            missing.append(path)
            continue
        try:
            add(own, commit, top / path)
        except PodiumError:
            missing.append(path)
        else:
            missing += [f"{path}/{each}" for each in add_submodules(own, root / path, top / path, depth + 1)]
    return missing


def prune(git_dir: Path) -> None:
    """Has the repository, and those of its submodules, forget worktrees that are gone."""
    git(git_dir, "worktree", "prune")
    for places in (git_dir / "modules").glob("**/worktrees") if (git_dir / "modules").is_dir() else ():
        with suppress(PodiumError):
            git(places.parent, "worktree", "prune")


def _names(top: Path) -> dict[str, str]:
    """Returns path -> name of the submodules that the commit names."""
    file = top / _MODULES
    if file.is_symlink() or not file.is_file():
        return {}
    listed = git(top, "config", "-z", "--file", str(file), "--get-regexp", r"^submodule\..*\.path$").out
    pairs = (os.fsdecode(each).partition("\n") for each in listed.split(b"\0") if each)
    return {path: key.removeprefix("submodule.").removesuffix(".path") for key, _, path in pairs}


def _commits(top: Path) -> Iterator[tuple[str, str]]:
    """Yields path and commit of each submodule of what is checked out at `top`."""
    for line in checked(top, "ls-tree", "-r", "-z", "--full-tree", "HEAD").out.split(b"\0"):
        if line.startswith(b"160000 "):
            kind, _, path = line.partition(b"\t")
            yield os.fsdecode(path), kind.split()[-1].decode()


def _own_repository(git_dir: Path, main: Path, name: str) -> Path | None:
    """Returns the repository of a submodule here; None where there is none. A name that leads elsewhere is none."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/"):
        return None
    for place in (git_dir / "modules" / name, main / ".git"):
        if (place / "HEAD").is_file():
            return place
    return None
