"""Stores small values by key, such as the last commit of a branch that a trigger handled, what people have agreed
to about steps that change an environment, and which clients have a token."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ..domain.access.clients import Token, TokenScope
from ..domain.delivery import Stopped
from ..domain.runs import Agreement
from ..errors import NotFound, Refused
from .audit import Audit
from .sqlite.database import Database


class Values:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> str | None:
        row = self._database.one('SELECT value FROM "values" WHERE "key" = ?', (key,))
        return str(row[0]) if row else None

    def set(self, key: str, value: str | None) -> None:
        """Stores a value; None removes the key."""
        if value is None:
            self._database.run('DELETE FROM "values" WHERE "key" = ?', (key,))
        else:
            self._database.run('INSERT OR REPLACE INTO "values" VALUES (?,?)', (key, value))

    def all(self, prefix: str = "") -> dict[str, str]:
        """Returns every value whose key starts with `prefix`."""
        sql = 'SELECT "key", value FROM "values" WHERE "key" >= ? AND "key" < ? ORDER BY "key"'
        return dict(self._database.all(sql, (prefix, prefix + chr(0x10FFFF))))


class Stops:
    """Which environments a person stopped: one value for each, replaced by the next stop. Whether it still holds, the
    ledger says (`Stopped`)."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def put(self, stopped: Stopped) -> None:
        """Stores that an environment is stopped."""
        self._values.set(f"stopped {stopped.environment}", json.dumps(asdict(stopped)))

    def get(self, environment: str) -> Stopped | None:
        """Returns the latest stop of an environment; None if it never was stopped."""
        written = self._values.get(f"stopped {environment}")
        return Stopped(**json.loads(written)) if written else None


class Agreements:
    """Stores, per step of a run, the last agreement of a person."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def keep(self, agreement: Agreement) -> None:
        """Stores an agreement; the last one about a step counts."""
        self._values.set(_key(agreement.run_id, agreement.step), json.dumps(asdict(agreement)))

    def get(self, run_id: int, step: str) -> Agreement | None:
        written = self._values.get(_key(run_id, step))
        return Agreement(**json.loads(written)) if written else None


class Tokens:
    """Stores the tokens of clients: of each the digest, never the token."""

    def __init__(self, database: Database, values: Values, audit: Audit) -> None:
        self._database, self._values, self._audit = database, values, audit

    def of(self, environment: str) -> list[Token]:
        """Returns the tokens of an environment, by name."""
        return [_token(text) for text in self._values.all(f"token {environment} ").values()]

    def add(self, token: Token) -> None:
        """Stores a token. Refused where its name is that of another one."""
        with self._database.transaction():
            if self._values.get(_token_key(token.environment, token.name)) is not None:
                hint = f"podium tokens rm {token.name} -e {token.environment} ends that one"
                raise Refused(f"{token.environment} has a token {token.name} already", hint=hint)
            self._values.set(_token_key(token.environment, token.name), json.dumps(asdict(token)))
            self._audit.add(token.who, "token add", f"{token.environment} {token.name}", f"for {token.scope}")

    def remove(self, environment: str, name: str, *, who: str) -> None:
        """Forgets a token. Raises NotFound if there is none of that name."""
        with self._database.transaction():
            if self._values.get(_token_key(environment, name)) is None:
                raise NotFound(
                    f"{environment} has no token {name!r}", hint=f"`podium tokens ls -e {environment}` lists them"
                )
            self._values.set(_token_key(environment, name), None)
            self._audit.add(who, "token remove", f"{environment} {name}")


def _key(run_id: int, step: str) -> str:
    return f"agreed:{run_id}:{step}"


def _token(text: str) -> Token:
    found: dict[str, Any] = json.loads(text)
    return Token(scope=TokenScope(found.pop("scope")), **found)


def _token_key(environment: str, name: str) -> str:
    return f"token {environment} {name}"
