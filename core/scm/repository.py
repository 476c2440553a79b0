"""A local git repository, opened from a directory inside it."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path

from ..domain.frozen import Frozen
from ..domain.scm import Commit, Person
from ..errors import NotFound, PodiumError, Refused, UsageError
from . import hooks, worktrees
from .git import checked, failure, git
from .worktrees import CHECKOUT_TIMEOUT

SHORT_LENGTH = 9
_FORMAT = "%H%x00%an%x00%ct%x00%s%x00"


class Repository(Frozen):
    """`directory` is where it was opened (a project), `root` the top of its working tree, `git_dir` what all its
    worktrees share.

    `prefix` is `directory` relative to `root` ("" at the top): in a worktree made by `worktree_add`, the project is
    at `path / prefix`.
    """

    directory: Path
    root: Path
    git_dir: Path
    prefix: str
    bare: bool

    @classmethod
    def open(cls, path: Path) -> Repository:
        """Opens the repository that `path` is in. Raises NotFound if there is none."""
        directory = Path(path).resolve()
        answer = git(directory, "rev-parse", "--is-bare-repository", "--path-format=absolute", "--git-common-dir")
        if answer.code and "not a git repository" in answer.err:
            raise NotFound(f"{directory} is not in a git repository", hint="git init, and commit the project")
        if answer.code:
            raise failure(answer, ("rev-parse",))
        bare, git_dir = os.fsdecode(answer.out.removesuffix(b"\n")).split("\n", 1)
        if bare == "true" or git(directory, "rev-parse", "--is-inside-work-tree").text != "true":
            return cls(directory, Path(git_dir), Path(git_dir), "", True)
        top = os.fsdecode(checked(directory, "rev-parse", "--show-toplevel").out.removesuffix(b"\n"))
        prefix = os.fsdecode(checked(directory, "rev-parse", "--show-prefix").out.removesuffix(b"\n")).rstrip("/")
        return cls(directory, Path(top), Path(git_dir), prefix, False)

    @classmethod
    def find(cls, path: Path) -> Repository | None:
        """Opens the repository that `path` is in; None if there is none."""
        try:
            return cls.open(path)
        except NotFound:
            return None

    def head(self) -> Commit:
        """Returns the commit that is checked out. Raises NotFound if the branch has no commit yet."""
        return self.resolve("HEAD")

    def branch(self) -> str:
        """Returns the name of the checked-out branch, even if it has no commit yet; "" for a detached HEAD."""
        return git(self.directory, "symbolic-ref", "--quiet", "--short", "HEAD").text

    def default_branch(self) -> str:
        """Returns the branch that the remote `origin` calls its own, as the clone knows it; "" if it does not."""
        answer = git(self.directory, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD").text
        return answer.removeprefix("origin/")

    def resolve(self, rev: str) -> Commit:
        """Returns the commit that a branch, tag, (short) hash or expression such as `HEAD~1` names. Raises NotFound
        if there is none."""
        if not rev or rev.startswith("-") or "\0" in rev or "\n" in rev:
            raise UsageError(f"{rev!r} cannot name a commit", hint="give a branch, a tag or a hash")
        answer = git(self.directory, "rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")
        if answer.code:
            if rev == "HEAD":
                raise NotFound(f"{self.root} has no commit yet", hint="git add . && git commit")
            raise NotFound(
                f"there is no commit {rev!r} in {self.root}",
                hint="`git log` shows those that are here; fetch those made elsewhere",
            )
        return self.commits(answer.text, limit=1)[0]

    def people(self, commit: str) -> list[Person]:
        """Returns a commit's author and committer; empty where there is no such commit."""
        answer = git(
            self.directory,
            "show",
            "--no-patch",
            "--no-show-signature",
            "--format=%an%x00%ae%x00%cn%x00%ce",
            f"{commit}^{{commit}}",
            "--",
        )
        fields = answer.out.decode("utf-8", "replace").strip("\n").split("\0")
        return [Person(*fields[:2]), Person(*fields[2:])] if answer.code == 0 and len(fields) == 4 else []

    def log(self, limit: int = 50, branch: str = "") -> list[Commit]:
        """Returns the newest commits of a branch (default: of HEAD), newest first; an empty list if the branch has
        none."""
        tip = (
            self.branch_tip(branch) if branch else git(self.directory, "rev-parse", "--verify", "--quiet", "HEAD").text
        )
        return self.commits(tip, limit=limit) if tip else []

    def branch_tip(self, branch: str) -> str | None:
        """Returns the hash of a local branch's newest commit; None if there is no such branch."""
        if not branch or "\0" in branch:
            return None
        answer = git(self.directory, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
        return answer.text if answer.code == 0 else None

    def branch_tips(self, branches: Collection[str]) -> dict[str, str]:
        """Returns branch -> hash of its newest commit, of those local branches that exist. Asks Git once."""
        names = sorted(branch for branch in branches if branch and "\0" not in branch)
        if not names:
            return {}
        # A name may be a pattern for Git, or the beginning of another one: what was not asked for is left out.
        wanted = [f"refs/heads/{name}" for name in names]
        answer = checked(self.directory, "for-each-ref", "--format=%(refname) %(objectname)", *wanted)
        rows = (line.rpartition(" ") for line in answer.text.splitlines())
        return {ref.removeprefix("refs/heads/"): sha for ref, _, sha in rows if ref in wanted}

    def dirty(self) -> bool:
        """Tells whether the project's files differ from HEAD: changed, staged, or new and not ignored. Podium's own
        state does not count."""
        if self.bare:
            return False
        mine = (".", ":(exclude,glob)**/.podium/**", ":(exclude).podium")
        answer = checked(self.directory, "status", "--porcelain", "-z", "--untracked-files=normal", "--", *mine)
        return bool(answer.out)

    def commits(self, revisions: str, *, limit: int | None) -> list[Commit]:
        """Returns the newest commits of a hash or a range of hashes, newest first."""
        count = () if limit is None else (f"--max-count={limit}",)
        answer = checked(self.directory, "log", *count, f"--format={_FORMAT}", "--no-show-signature", revisions, "--")
        fields = answer.out.decode("utf-8", "replace").split("\0")
        rows = zip(*(fields[offset : len(fields) - 1 : 4] for offset in range(4)), strict=True)
        return [
            Commit(sha.strip(), sha.strip()[:SHORT_LENGTH], author, float(at), subject)
            for sha, author, at, subject in rows
        ]

    def worktree_add(self, commit: str, path: Path) -> list[str]:
        """Checks `commit` out into `path`, which must not exist or must be empty, detached from any branch, with the
        submodules that are here; returns those that are not."""
        found = self.resolve(commit)
        if path.exists() and any(path.iterdir()):
            raise Refused(f"{path} is not empty", hint="remove it, or `git worktree remove` it")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._worktrees():
            worktrees.add(self.git_dir, found.sha, path)
            return worktrees.add_submodules(self.git_dir, self.root, path)

    def worktree_remove(self, path: Path) -> None:
        """Removes a worktree and its files. Does nothing if it is gone already."""
        with self._worktrees():
            if path.exists():
                answer = git(
                    self.git_dir, "worktree", "remove", "--force", "--force", str(path), timeout=CHECKOUT_TIMEOUT
                )
                if answer.code and "is not a working tree" in answer.err:
                    raise NotFound(f"{path} is not a worktree of {self.root}", hint="nothing was removed")
                if answer.code and path.exists():
                    shutil.rmtree(path, ignore_errors=True)  # a step may have made a directory that git does not empty
                    if path.exists():
                        raise PodiumError(
                            f"{path} cannot be removed: {answer.err}", hint="look at the permissions in it"
                        )
            worktrees.prune(self.git_dir)

    @contextmanager
    def _worktrees(self) -> Generator[None, None, None]:
        """Serialises changes of worktrees: a git that adds one fails on the half-written entry of another."""
        try:
            file = (self.git_dir / "podium.worktrees.lock").open("w")
        except OSError as error:
            raise PodiumError(
                f"{self.git_dir} cannot be written: {error.strerror}", hint="a worktree needs a place in it"
            ) from None
        with file as lock:
            deadline = time.monotonic() + CHECKOUT_TIMEOUT
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Refused(
                            f"the worktrees of {self.root} are being changed by somebody else, for too long"
                        ) from None
                    time.sleep(0.02)
            yield  # closing the file gives the lock up, and so does dying

    def has(self, sha: str) -> bool:
        """Tells whether the commit is in this repository."""
        return bool(sha) and git(self.directory, "cat-file", "-e", f"{sha}^{{commit}}").code == 0

    def contains(self, tip: str, sha: str) -> bool:
        """Tells whether a commit is `tip` or before it."""
        return git(self.directory, "merge-base", "--is-ancestor", sha, tip).code == 0

    def new_commits(self, since: str, tip: str) -> list[str]:
        """Returns the commits that a branch has got since it was at `since`, oldest first: its own (the first parents),
        not those of a branch that was merged into it. Only `tip` when `since` is not in this repository."""
        if not self.has(since):
            return [tip]
        answer = checked(self.directory, "rev-list", "--first-parent", "--reverse", tip, f"^{since}")
        return answer.text.split()

    def message(self, sha: str) -> str:
        """Returns a commit's whole message, which is untrusted text. Raises PodiumError if there is no such commit."""
        return checked(self.directory, "log", "-1", "--no-show-signature", "--format=%B", sha, "--").text

    def file(self, sha: str, path: str) -> bytes | None:
        """Returns a file of a commit; None if the commit has none there. `path` is relative to the top."""
        answer = git(self.directory, "cat-file", "blob", f"{sha}:{path}")
        return None if answer.code else answer.out

    def refs(self, prefix: str) -> dict[str, str]:
        """Returns ref -> hash of those below `prefix`, which ends with a slash; of an annotated tag the commit's."""
        answer = checked(self.directory, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", prefix)
        return {words[0]: words[-1] for line in answer.text.splitlines() if (words := line.split())}

    def set_ref(self, ref: str, sha: str) -> None:
        """Makes a ref of Podium's own name a commit, so that git keeps it. Raises PodiumError if that fails."""
        checked(self.directory, "update-ref", "--no-deref", ref, sha)

    def remove_ref(self, ref: str) -> None:
        """Removes a ref. Does nothing if it is gone already."""
        git(self.directory, "update-ref", "--no-deref", "-d", ref)

    def install_hooks(self, wake_command: str) -> list[str]:
        """Makes git run a shell line after commits, merges and received pushes. Returns a sentence for each hook
        that was left alone (usually none).

        Installing again replaces the line. Raises Refused if the hooks are not the repository's own
        (`core.hooksPath`).
        """
        return hooks.install(self._hooks(), self.prefix, wake_command)

    def remove_hooks(self) -> None:
        """Removes what `install_hooks` put in, and nothing else."""
        hooks.remove(self._hooks(), self.prefix)

    def _hooks(self) -> Path:
        # A relative core.hooksPath is meant from the top of the working tree.
        answer = git(self.root, "rev-parse", "--path-format=absolute", "--git-path", "hooks", hooks=True)
        directory = Path(os.fsdecode(answer.out.removesuffix(b"\n"))).resolve()
        if answer.code or not directory.is_relative_to(self.git_dir.resolve()):
            message = f"the repository's hooks are kept in {directory} (core.hooksPath)"
            raise Refused(message, hint="pushes are noticed without a hook too, a second later")
        return directory
