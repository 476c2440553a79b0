"""Stores versions and commits that no trigger may deploy until a person lifts the quarantine."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ..domain.delivery import Quarantined
from ..errors import NotFound
from . import telling
from .audit import Audit
from .sqlite.database import Database

_COLUMNS = 'model, version, "commit", at, who, why'


class Quarantine:
    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def add(self, model: str, version: int, commit: str, who: str, why: str = "") -> Quarantined:
        entry = Quarantined(model, version, commit, time.time(), who, why)
        with self._database.transaction():
            self._database.run(
                f"INSERT OR REPLACE INTO quarantine ({_COLUMNS}) VALUES (?,?,?,?,?,?)",  # noqa: S608
                (model, version, commit, entry.at, who, why),
            )
            self._audit.add(who, "quarantine", f"{model} {version}", why)
            telling.about_commit(self._database, model, version, commit)
        return entry

    def lift(self, model: str, version: int, who: str, why: str = "") -> None:
        with self._database.transaction():
            known = self.find(model, version)
            if not self._database.run("DELETE FROM quarantine WHERE model = ? AND version = ?", (model, version)):
                raise NotFound(
                    f"version {version} of {model} is not in quarantine",
                    hint="`podium quarantine list` shows which are.",
                )
            self._audit.add(who, "quarantine lift", f"{model} {version}", why)
            telling.about_commit(self._database, model, version, known.commit if known is not None else "")

    def all(self) -> list[Quarantined]:
        return [Quarantined(*row) for row in self._database.all(f"SELECT {_COLUMNS} FROM quarantine ORDER BY at DESC")]  # noqa: S608

    def of_commit(self, models: Iterable[str], commit: str) -> Quarantined | None:
        """Returns the entry for a version of one of the models that was made from this commit."""
        found = (self.find(model, commit=commit) for model in models)
        return next((each for each in found if each is not None), None)

    def find(self, model: str, version: int | None = None, commit: str | None = None) -> Quarantined | None:
        """Returns the entry for this version, or for any version that was made from this commit."""
        row = self._database.one(
            f"SELECT {_COLUMNS} FROM quarantine WHERE model = ?1 AND (version = ?2 OR (?3 <> '' AND \"commit\" = ?3))"  # noqa: S608
            " ORDER BY at DESC LIMIT 1",
            (model, version, commit or ""),
        )
        return Quarantined(*row) if row else None
