"""`cockpit.tokens`: what clients of an environment prove themselves with."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..domain.access.clients import Token, TokenScope, is_loopback
from ..domain.frozen import Frozen
from ..errors import Refused, UsageError
from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.project import Environment

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_BYTES = 32


class Changed(Frozen):
    """What became of a token. `in_force` tells whether the proxy has it already; else it gets it when it starts."""

    token: Token
    in_force: bool
    secret: str = ""
    """The token itself, which is kept nowhere: it is shown once."""


class Tokens:
    """Makes, lists and removes the tokens of clients."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(self, environment: str) -> Sequence[Token]:
        """Returns the tokens of an environment. Raises NotFound if there is none of that name."""
        return self._opened.journal.tokens.of(self._opened.config.environment(environment).name)

    def add(self, environment: str, name: str, scope: TokenScope = TokenScope.PREDICT) -> Changed:
        """Makes a token, and gives it to the proxy without losing a request. Raises Refused where nothing would ask for
        it, and where the name is taken."""
        from ..serving.senders import digest_of

        self._opened.require_own()
        target = self._opened.current.environment(environment)
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name[:80]!r} cannot be the name of a client", hint="letters, digits, `_`, `-` and `.`")
        _ensure_asked(target, scope)
        secret = f"podium_{secrets.token_urlsafe(_BYTES)}"
        token = Token(target.name, name, scope, digest_of(secret), whoami(), time.time())
        self._opened.journal.tokens.add(token)
        return Changed(token, self._given(target), secret)

    def remove(self, environment: str, name: str) -> Changed:
        """Ends a token, at once where the proxy runs. Raises NotFound if there is none of that name."""
        self._opened.require_own()
        target = self._opened.current.environment(environment)
        known = next((each for each in self._opened.journal.tokens.of(target.name) if each.name == name), None)
        self._opened.journal.tokens.remove(target.name, name, who=whoami())
        assert known is not None
        return Changed(known, self._given(target))

    def _given(self, environment: Environment) -> bool:
        from ..delivery.environment.front import give_tokens
        from ..delivery.environment.runtime import EnvironmentRuntime

        return give_tokens(EnvironmentRuntime(self._opened.current, self._opened.journal, environment))


def _ensure_asked(environment: Environment, scope: TokenScope) -> None:
    asks = environment.auth is not None and environment.auth.tokens
    if scope is TokenScope.PREDICT and not asks:
        raise Refused(
            f"{environment.name} asks nobody for a token", hint=f"set environments.{environment.name}.auth: tokens"
        )
    if scope is TokenScope.METRICS and environment.auth is None and is_loopback(environment.bind):
        raise Refused(f"/metrics of {environment.name} asks nobody for a token", hint="this machine alone reaches it")
