"""All that a forge knows, its ids, and who is told when it changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from threading import RLock
from typing import Any

from ...domain.frozen import Frozen
from .bare import Bare
from .model import Environment, Hook, Pushed, Repo, Token, User

MAX_PUSHES = 300
MAX_KEPT = 2_000  # runs, deployments, check runs, … of a repository: the oldest are forgotten


class Event(Frozen):
    """Something changed. What is told about it is the dialect's."""

    kind: str
    """push, pull, comment, run, job, mark, deployment, deployment_mark, check, release."""
    repo: Repo
    action: str
    subject: Any
    by: User
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])


class State:
    """Whoever reads or changes it holds `lock`, which is not held while something is sent."""

    def __init__(self, directory: Path, hidden_refs: tuple[str, ...]) -> None:
        self.directory = directory
        self.lock = RLock()
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.repos: dict[str, Repo] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self.ahead = 0.0
        """Seconds that this forge's clock is ahead of the machine's."""
        self._hidden_refs = hidden_refs
        self._last_id = 1000

    def now(self) -> float:
        return time.time() + self.ahead

    def new_id(self) -> int:
        with self.lock:
            self._last_id += 1
            return self._last_id

    def emit(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    # -- who and what there is

    def user(self, login: str) -> User:
        """Returns an account, which is made if there is none."""
        with self.lock:
            if login not in self.users:
                self.users[login] = User(self.new_id(), login, login.title(), f"{login}@example.org")
            return self.users[login]

    def token(self, value: str) -> Token | None:
        """Returns a token that is valid now."""
        with self.lock:
            found = self.tokens.get(value)
        return found if found and not 0 < found.expires < self.now() else None

    def add_repo(self, full_name: str, default_branch: str = "main", fork_of: Repo | None = None) -> Repo:
        owner, _, name = full_name.partition("/")
        with self.lock:
            if full_name in self.repos:
                return self.repos[full_name]
            path = self.directory / "repositories" / owner / f"{name}.git"
            made = (path / "HEAD").is_file()
            bare = Bare(path) if made else Bare.make(path, default_branch, self._hidden_refs)
            repo = Repo(self.new_id(), owner, name, bare, self.now(), default_branch=default_branch, fork_of=fork_of)
            repo.seen = bare.refs()
            self.repos[full_name] = repo
            return repo

    def repo(self, name: str | Repo) -> Repo:
        """Returns a repository by name or id. Raises KeyError if there is none."""
        if isinstance(name, Repo):
            return name
        with self.lock:
            if name.isdigit():
                return next((repo for repo in self.repos.values() if repo.id == int(name)), None) or self.repos[name]
            return self.repos[name]

    def sees(self, token: Token | None, repo: Repo) -> bool:
        if not repo.private:
            return True
        return token is not None and (repo.readers is None or token.user.login in {*repo.readers, repo.owner})

    def writes(self, token: Token | None, repo: Repo) -> bool:
        if token is None or not self.sees(token, repo):
            return False
        return repo.writers is None or token.user.login in {*repo.writers, repo.owner}

    # -- what belongs to a repository

    def environment(self, repo: Repo, name: str) -> Environment:
        """Returns an environment, which is made if there is none."""
        with self.lock:
            if name not in repo.environments:
                repo.environments[name] = Environment(self.new_id(), name, self.now())
            return repo.environments[name]

    def add_hook(self, repo: Repo, url: str, secret: str, events: tuple[str, ...] = ()) -> Hook:
        with self.lock:
            hook = Hook(self.new_id(), url, secret, events, self.now())
            repo.hooks[hook.id] = hook
            return hook

    def notice_pushes(self, repo: Repo, by: User) -> list[Pushed]:
        """Returns what has changed among the branches and tags since the last look, and tells the listeners."""
        with self.lock:
            refs = {
                name: sha for name, sha in repo.bare.refs().items() if name.startswith(("refs/heads/", "refs/tags/"))
            }
            seen, repo.seen = repo.seen, refs
            seen = {name: sha for name, sha in seen.items() if name.startswith(("refs/heads/", "refs/tags/"))}
            names = [name for name in {**seen, **refs} if seen.get(name) != refs.get(name)]
            now = self.now()
            pushes = [Pushed(self.new_id(), now, by, name, seen.get(name, ""), refs.get(name, "")) for name in names]
            repo.pushes = [*repo.pushes, *pushes][-MAX_PUSHES:]
            if pushes:
                repo.pushed = self.now()
            for push in pushes:
                self.emit(Event("push", repo, "pushed", push, by))
        return pushes


def bounded(items: dict[int, Any]) -> None:
    """Forgets the oldest of too many."""
    while len(items) > MAX_KEPT:
        del items[next(iter(items))]
