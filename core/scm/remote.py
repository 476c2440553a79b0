"""The repository that pushes arrive at: the Git host's, or a bare one that `git.remote` names. Git itself asks, fetches
and pushes. Its credential is in git's environment alone: in no argument, in no file, in no message."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from ..domain.frozen import Frozen
from ..domain.project import Host, Project
from ..domain.text import one_line
from ..errors import PodiumError, Refused, Unreachable
from ..http_client import origin_of
from ..named_hosts import require_encrypted
from .git import GitResult, git
from .hosts.addresses import PUBLIC
from .hosts.plain import address_of
from .hosts.programs import remembered
from .hosts.tokens import Token, seek
from .hosts.trust import for_git
from .repository import Repository

ASK_TIMEOUT = 30.0
FETCH_TIMEOUT = 600.0
# An App's token counts for an hour.
TOKEN_LIFE = 300.0
# More refs than anybody watches; a host that answers with more is cut off here.
MAX_REFS = 10_000
_SITES: Final = {**PUBLIC, "gitea": "https://gitea.com"}
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# In these words git says that it is not let in.
_REFUSED: Final = ("Authentication failed", "could not read Username", "403", "Permission denied")
_MOVED = re.compile(r"returned error: 30[12378]\b")
_USERINFO = re.compile(r"//[^/@\s]+@")
# What a person's own git may use to reach a host over ssh or with a helper.
_KEPT: Final = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH")


class Remote(Frozen):
    """A repository elsewhere."""

    address: str
    """What git is told: a URL, a path, or the name of a remote."""
    token: str = field(default="", repr=False)
    source: str = ""
    """Where the token is from, in words."""
    unanswered: str = ""
    """Why no token was found where there may be one, in words."""

    @property
    def shown(self) -> str:
        """Returns the address without a credential that somebody has put into it."""
        return _USERINFO.sub("//", self.address)

    def environment(self, directory: Path) -> Mapping[str, str]:
        """Returns what git's environment needs in a repository: the token as a header for this address only, which
        no redirect carries to another one, and the authorities that the host's API is believed by. Raises Refused for a
        token that would go over plain http to another machine."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        kept.update(for_git(self.address, directory))
        if not self.token:
            return kept
        require_encrypted(self.address, f"the token from {self.source}" if self.source else "the token")
        secret = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        # By the whole address, so that no setting of git's for a part of it comes before these.
        here = f"http.{self.address}"
        given = [
            (f"{here}.extraHeader", ""),  # forgets those of others, such as a CI job's: a host refuses two
            (f"{here}.extraHeader", f"Authorization: Basic {secret}"),
            (f"{here}.followRedirects", "false"),
            ("credential.helper", ""),
        ]
        if origin_of(self.address).own:
            # `no_proxy` names three addresses of this machine, which has many more.
            given.append((f"{here}.proxy", ""))
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        numbered = {
            f"GIT_CONFIG_{part}_{index}": word
            for index, pair in enumerate(given, first)
            for part, word in zip(("KEY", "VALUE"), pair, strict=True)
        }
        return {**kept, **numbered, "GIT_CONFIG_COUNT": str(first + len(given))}


def remote_of(project: Project) -> Remote | None:
    """Returns the repository that the project's pushes arrive at; None where that is the local one."""
    address, host = address_of_pushes(project), project.git.host
    if not address:
        return None
    if project.git.remote or host is None or host.kind not in _SITES:
        return Remote(address)
    site = _site(host)
    if host.app is not None:
        return Remote(address, _app_tokens.of(host, site, project), f"the GitHub App {host.app.id}")
    found = seek(host, site, project.home)
    token = found.token or Token("", "")
    return Remote(address, token.value, token.source, "; ".join(found.unanswered))


def address_of_pushes(project: Project) -> str:
    """Returns the address of that repository, for which no token is looked for; empty for the local one."""
    host = project.git.host
    if project.git.remote or host is None:
        return project.git.remote
    return f"{_site(host)}/{host.repo}.git" if host.kind in _SITES else address_of(host.repo, project.home)


def _site(host: Host) -> str:
    return (host.url or _SITES[host.kind]).rstrip("/")


def _token_of_app(host: Host, site: str, project: Project) -> str:
    from .hosts.github.app import AppProof
    from .hosts.github.opening import api_url

    assert host.app is not None
    credentials = AppProof(host.app, api_url(site), project.home).credentials()
    return credentials.value.rpartition(" ")[2] if credentials is not None else ""


class _AppTokens:
    """Remembers the tokens of Apps that git uses: each is made by two requests."""

    def __init__(self) -> None:
        self._found: dict[tuple[Host, str], tuple[float, str]] = {}

    def of(self, host: Host, site: str, project: Project) -> str:
        """Returns the token, made once in a few minutes."""
        key = (host, str(project.home))
        found = self._found.get(key)
        if found is None or time.monotonic() - found[0] > TOKEN_LIFE:
            found = self._found[key] = (time.monotonic(), _token_of_app(host, site, project))
        return found[1]

    def refused(self, value: str) -> None:
        self._found = {key: found for key, found in self._found.items() if found[1] != value}


_app_tokens: Final = _AppTokens()


def advertised(repository: Repository, remote: Remote, refs: Collection[str]) -> dict[str, str]:
    """Returns ref -> hash of those of the asked refs (names, or patterns with `*`) that exist there; of an annotated
    tag the commit's."""
    answer = _asked(repository, remote, "ls-remote", "--quiet", "--", remote.address, *sorted(refs))
    found: dict[str, str] = {}
    for line in answer.text.splitlines()[:MAX_REFS]:
        sha, _, ref = line.partition("\t")
        if _SHA.fullmatch(sha) and not ref.startswith("-"):
            found[ref.removesuffix("^{}")] = sha  # the peeled line of a tag comes after its own
    return found


def fetch(repository: Repository, remote: Remote, wanted: Mapping[str, str]) -> None:
    """Fetches refs into refs of Podium's own (theirs -> ours), wherever they have moved."""
    if wanted:
        pairs = [f"+{theirs}:{ours}" for theirs, ours in sorted(wanted.items())]
        options = (
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--refmap=",
            "--no-auto-gc",
        )
        _asked(repository, remote, "fetch", *options, "--", remote.address, *pairs, timeout=FETCH_TIMEOUT)


def push_over(repository: Repository, remote: Remote, ref: str, new: str, old: str) -> bool:
    """Moves a ref there from `old` (empty: it does not exist yet) to `new`. Returns False if it is another one by now.
    Raises Refused if it may not be written."""
    lease = f"--force-with-lease={ref}:{old}"
    arguments = ("push", "--quiet", "--no-verify", "--porcelain", lease, "--", remote.address, f"{new}:{ref}")
    answer = git(repository.directory, *arguments, timeout=ASK_TIMEOUT, more=remote.environment(repository.directory))
    if not answer.code:
        return True
    said = f"{answer.text}\n{answer.err}"
    if any(words in said for words in ("stale info", "cannot lock ref", "reference already exists", "fetch first")):
        return False
    raise Refused(f"{remote.shown}: {ref} cannot be written: {_words(answer)}", hint="may the token write?")


def _asked(repository: Repository, remote: Remote, *arguments: str, timeout: float = ASK_TIMEOUT) -> GitResult:
    answer = git(repository.directory, *arguments, timeout=timeout, more=remote.environment(repository.directory))
    if answer.code:
        raise _failure(remote, answer)
    return answer


def _failure(remote: Remote, answer: GitResult) -> PodiumError:
    words = f"{remote.shown}: {_words(answer)}"
    if remote.token and any(each in answer.err for each in _REFUSED):
        # Another one may be there by now.
        remembered.refused(remote.token)
        _app_tokens.refused(remote.token)
    if "could not read Username" in answer.err or "Authentication failed" in answer.err:
        return _unproved(remote)
    if _MOVED.search(answer.err):
        said = f"{remote.shown} sends git to another address, where nothing was asked"
        return Refused(said, hint="correct git.host.repo or git.host.url: a repository that was renamed has a new one")
    if any(each in answer.err for each in _REFUSED):
        return Refused(words, hint="check the token or the key, and that it may read the repository")
    return Unreachable(words, hint="it is asked again; `git ls-remote` shows what git says")


def _unproved(remote: Remote) -> Refused:
    if remote.token:
        said = f"{remote.shown} does not accept the token from {remote.source}"
        return Refused(said, hint="is it expired or revoked? docs/hosts.md says what a token has to be allowed")
    why = f" ({remote.unanswered})" if remote.unanswered else ""
    hint = "docs/hosts.md says where a token is looked for; a credential helper of git's will do, too"
    return Refused(f"{remote.shown} wants a token, and git has none{why}", hint=hint)


def _words(answer: GitResult) -> str:
    lines = [line for line in answer.err.splitlines() if line.strip()] or answer.text.splitlines() or ["no answer"]
    said = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1])
    return one_line(_USERINFO.sub("//", said.removeprefix("fatal: ")))[:300]
