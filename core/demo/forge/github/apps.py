"""GitHub: apps, whose short-lived tokens may make check runs."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from typing import Any, cast

from ..dialect import Call
from ..exchange import Answer, ApiError
from ..model import Token
from ..routing import Route
from ..times import iso
from .render import PERMISSIONS, Json, account, app

INSTALLATION = 4711
_LIFE = 3600.0  # seconds of a token


def _app(call: Call) -> Json:
    """Returns what an app's JWT says. Its form and times are checked; the signature is not, which would need the app's
    public key and a library. Raises ApiError (401) for anything else."""
    words = call.request.headers.get("authorization", "").split()
    parts = words[-1].split(".") if words else []
    try:
        head, claims = (_part(part) for part in parts[:2])
    except (ValueError, binascii.Error):
        raise ApiError(401, "A JSON web token could not be decoded") from None
    now = call.state.now()
    if len(parts) != 3 or head.get("alg") != "RS256" or "iss" not in claims:
        raise ApiError(401, "A JSON web token could not be decoded")
    if not claims.get("iat", 0) - 60 <= now < claims.get("exp", 0) <= now + 660:
        raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future, or past")
    return claims


def _part(text: str) -> Json:
    return cast("dict[str, Any]", json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def this_app(call: Call) -> Json:
    claims = _app(call)
    return app(call.links, next(iter(call.state.users.values())), int(claims["iss"]))


def _installation(call: Call) -> Json:
    owner = next(iter(call.state.users.values()))
    return {
        "id": INSTALLATION,
        "account": account(call.links, owner),
        "access_tokens_url": f"{call.links.api}/app/installations/{INSTALLATION}/access_tokens",
        "permissions": PERMISSIONS,
        "repository_selection": "all",
    }


def installations(call: Call) -> list[Json]:
    _app(call)
    return [_installation(call)]


def repo_installation(call: Call) -> Json:
    _app(call)
    return _installation(call)


def create_token(call: Call) -> Answer:
    _app(call)
    if call.number("id") != INSTALLATION:
        raise ApiError(404, "Not Found")
    until = call.state.now() + _LIFE
    token = Token(f"ghs_{secrets.token_hex(18)}", call.state.user("podium[bot]"), frozenset(), app=True, expires=until)
    for value in [value for value, one in call.state.tokens.items() if 0 < one.expires < call.state.now()]:
        del call.state.tokens[value]
    call.state.tokens[token.value] = token
    document = {
        "token": token.value,
        "expires_at": iso(until),
        "permissions": PERMISSIONS,
        "repository_selection": "all",
    }
    return Answer(201, document)


ROUTES = (
    Route("GET", "/app", this_app, "app"),
    Route("GET", "/app/installations", installations, "app"),
    Route("GET", "/repos/{owner}/{repo}/installation", repo_installation, "app"),
    Route("POST", "/app/installations/{id}/access_tokens", create_token, "app"),
)
