"""The forge itself: a stateful stand-in for a Git host, with that host's API over real repositories."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Self
from urllib.parse import parse_qs

from . import git_http
from .bare import Person, make_commit
from .calls import Calls, ForgeCall
from .ci import Ci
from .dialect import Dialect, Options, Services
from .exchange import Answer, ApiError, Request, text_answer
from .faults import LOGIN_PAGE, Fault, Faults
from .links import Links
from .model import Hook, Pull, Repo, Token, User
from .rates import Rates
from .reviews import Reviews
from .server import Outcome, Server
from .state import State
from .webhooks import Hooks

_MAX_API_BODY = 8 << 20


def dialect_of(kind: str) -> Dialect:
    """Returns the dialect of a kind of host. Raises KeyError for one that is not known."""
    if kind == "github":
        from .github import GitHub

        return GitHub()
    if kind == "gitlab":
        from .gitlab import GitLab

        return GitLab()
    if kind == "gitea":
        from .gitea import Gitea

        return Gitea()
    raise KeyError(kind)


class Forge:
    """A Git host on this machine, to be used in a `with` block. What is in `directory` outlives it; all else is in
    memory, and bounded."""

    def __init__(self, kind: str, directory: Path | str, *, port: int = 0, seed: int = 0) -> None:
        self.kind = kind
        self.dialect = dialect_of(kind)
        self.state = State(Path(directory), self.dialect.hidden_refs)
        self.owner = self.state.user("acme")
        """Whose `token` is, and who does what nobody else did."""
        self.token = self.add_token("acme").value
        self.ci = Ci(self.state, lambda: self.owner)
        self.reviews = Reviews(self.state, self.dialect.head_ref)
        self.faults = Faults(seed)
        self.requests = Calls()
        self.rates = Rates(kind, self.state.now)
        self.options = Options()
        links = Links()
        self._services = Services(self.state, self.ci, self.reviews, self.rates, links, self.options)
        self.hooks = Hooks(self.dialect, self._services)
        self._server = Server(self._respond, port)
        self._storage = Server(self._respond_storage)
        links.web = self.url = self._server.url
        links.api = self.api_url = self.url + self.dialect.prefixes[0]
        links.storage = self._storage.url
        self.links = links

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        for part in (self._server, self._storage, self.hooks):
            part.start()

    def stop(self) -> None:
        for part in (self._server, self._storage, self.hooks):
            part.stop()

    # -- what a test makes

    def add_token(
        self,
        login: str,
        scopes: Iterable[str] | None = None,
        *,
        app: bool = False,
        value: str = "",
        expires: float = 0.0,
    ) -> Token:
        """Makes a token of an account, by default with all scopes of the host's own words."""
        user = self.state.user(login)
        given = self.dialect.all_scopes if scopes is None else frozenset(scopes)
        token = Token(value or f"forge-{secrets.token_hex(16)}", user, given, app, expires)
        with self.state.lock:
            self.state.tokens[token.value] = token
        return token

    def make_repo(self, full_name: str, default_branch: str = "main", *, private: bool = True) -> Repo:
        """Makes an empty repository (or opens the one that is in the directory)."""
        repo = self.state.add_repo(full_name, default_branch)
        repo.private = private
        return repo

    def clone_url(self, repo: str | Repo, token: str = "") -> str:
        """Returns what git clones from; with a token in it only where a test asks for that."""
        url = self.links.clone(self.state.repo(repo).full_name)
        return url.replace("://", f"://git:{token}@", 1) if token else url

    def commit(
        self,
        repo: str | Repo,
        message: str = "A change",
        files: Mapping[str, str] | None = None,
        *,
        branch: str = "",
        by: str = "",
    ) -> str:
        """Adds a commit to a branch as if it had been pushed, and returns its sha."""
        found, user = self.state.repo(repo), self.state.user(by or self.owner.login)
        author = Person(user.name, user.email, int(self.state.now()))
        with self.state.lock:
            content = {"README.md": f"{message}\n"} if files is None else dict(files)
            sha = make_commit(found.bare, branch or found.default_branch, message, content, author)
            self.state.notice_pushes(found, user)
        return sha

    def make_fork(self, repo: str | Repo, owner: str) -> Repo:
        """Makes a fork with all branches of a repository (or returns the one there is)."""
        parent = self.state.repo(repo)
        fork = self.state.add_repo(f"{owner}/{parent.name}", parent.default_branch, parent)
        fork.private = parent.private
        for branch, sha in parent.bare.branches().items():
            if branch not in fork.bare.branches():
                fork.bare.bring(parent.bare.path, sha, f"refs/heads/{branch}")
        fork.seen = fork.bare.refs()
        return fork

    def open_pull_request(
        self,
        repo: str | Repo,
        branch: str,
        base: str = "",
        *,
        fork: str | Repo = "",
        title: str = "",
        by: str = "",
        draft: bool = False,
    ) -> Pull:
        """Opens a pull request for a branch, of a fork (its name, or the owner's) if one is named."""
        found = self.state.repo(repo)
        source = None
        if fork:
            source = self.state.repo(fork if isinstance(fork, Repo) or "/" in fork else f"{fork}/{found.name}")
        user = self.state.user(by or (source.owner if source else self.owner.login))
        return self.reviews.open(
            found, user, branch, base or found.default_branch, title=title, source=source, draft=draft
        )

    def add_hook(self, repo: str | Repo, url: str, secret: str = "", events: Iterable[str] = ()) -> Hook:
        """Adds a webhook. `events` are the host's own words; all of them when empty."""
        return self.state.add_hook(self.state.repo(repo), url, secret, tuple(events))

    # -- one request

    def _respond(self, request: Request, body: IO[bytes]) -> Outcome:
        target = f"{request.path}?{request.query_text}" if request.query_text else request.path
        fault = self.faults.take(request.method, target)
        value = self._token_value(request)
        token = self.state.token(value) if value else None
        server, answer = "api", None
        if fault is None or not fault.instead or fault.done:
            server, answer = self._answer(request, body, token, bool(value))
        if fault is not None and fault.instead:
            if answer is not None and answer.files is not None:
                answer.files.read(-1)
                answer.files.close()
            answer = None if fault.drop else self._wrong(fault)
        self._log(request, target, server, answer, token if value else None, bool(value), fault)
        return Outcome(answer, fault)

    def _answer(self, request: Request, body: IO[bytes], token: Token | None, tried: bool) -> tuple[str, Answer]:
        git = git_http.split(request.path)
        if git is not None:
            return "git", self._git(request, *git, body, token)
        path = self.dialect.api_path(request.path)
        if path is None:
            return "web", Answer(404, content=b"<!DOCTYPE html><title>404</title>\n", kind="text/html; charset=utf-8")
        body.seek(0)
        request.body = body.read(_MAX_API_BODY + 1)
        if len(request.body) > _MAX_API_BODY:
            return "api", self.dialect.failed(ApiError(413, "Payload Too Large"))
        return "api", self.dialect.answer(self._services, request, path, token, tried)

    def _wrong(self, fault: Fault) -> Answer:
        """Returns the answer of a fault."""
        if fault.login:
            return Answer(fault.status or 200, content=LOGIN_PAGE, kind="text/html; charset=utf-8")
        if fault.body is None:
            return self.dialect.failed(ApiError(fault.status, "A fault of the script"))
        if isinstance(fault.body, str | bytes):
            return text_answer(fault.body, fault.status)
        return Answer(fault.status, fault.body)

    def _git(self, request: Request, name: str, rest: str, body: IO[bytes], token: Token | None) -> Answer:
        repo = self.state.repos.get(name)
        pushing = git_http.pushes(rest, request.query)
        if token is None and (repo is None or repo.private or pushing):
            return text_answer("Authentication required\n", 401, **{"WWW-Authenticate": 'Basic realm="forge"'})
        if repo is None or not self.state.sees(token, repo):
            return text_answer("Repository not found\n", 404)
        if token is not None and not self._may_git(token, repo, pushing):
            return text_answer("The token may not do this\n", 403)
        user = token.user if token else self.owner
        answer = git_http.carry_out(
            repo.bare.path, rest, request.method, request.query_text, request.headers, body, user.login
        )
        if rest == "git-receive-pack" and answer.files is not None:
            # The report ends when all refs have moved, and nobody is told before the webhook is on its way.
            answer.content = answer.files.read(-1)
            answer.files.close()
            answer.files = None
            self.state.notice_pushes(repo, user)
        return answer

    def _may_git(self, token: Token, repo: Repo, pushing: bool) -> bool:
        wanted = self.dialect.git_scopes(pushing)
        return bool(token.app or wanted & token.scopes) and (not pushing or self.state.writes(token, repo))

    def _token_value(self, request: Request) -> str:
        words = request.headers.get("authorization", "").split()
        if len(words) == 2 and words[0].lower() == "basic":
            try:
                name, _, password = base64.b64decode(words[1], validate=True).decode().partition(":")
            except (binascii.Error, ValueError):
                return "unreadable"
            return name if password in ("", "x-oauth-basic") else password
        return self.dialect.token_of(request)

    def _respond_storage(self, request: Request, body: IO[bytes]) -> Outcome:
        """Answers where logs are. Whoever sends a token there is refused, and it is in the log of calls."""
        target = f"{request.path}?{request.query_text}"
        fault = self.faults.take(request.method, target)
        given = self._token_value(request)
        content = self.links.redeem(parse_qs(request.query_text).get("sig", [""])[-1])
        if given:
            answer = text_answer("InvalidAuthenticationInfo\n", 401)
        else:
            answer = text_answer("AuthenticationFailed\n", 403) if content is None else text_answer(content)
        answer = None if fault and fault.drop else self._wrong(fault) if fault and fault.instead else answer
        self._log(request, target, "storage", answer, self.state.token(given) if given else None, bool(given), fault)
        return Outcome(answer, fault)

    def _log(
        self,
        request: Request,
        target: str,
        server: str,
        answer: Answer | None,
        token: Token | None,
        tried: bool,
        fault: Fault | None,
    ) -> None:
        valid = (token is not None) if tried else None
        login, status = token.user.login if token else "", answer.status if answer else 0
        now = self.state.now()
        self.requests.add(ForgeCall(now, server, request.method, target, status, valid, login, fault is not None))


__all__ = ["Forge", "User"]
