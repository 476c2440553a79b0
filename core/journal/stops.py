"""Stores which environments a person stopped: by whom, when and why."""

from __future__ import annotations

import json
from dataclasses import asdict

from ..domain.delivery import Stopped
from .values import Values


class Stops:
    """One value per environment, replaced by the next stop. Whether it still holds, the ledger says (`Stopped`)."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def put(self, stopped: Stopped) -> None:
        """Stores that an environment is stopped."""
        self._values.set(_key(stopped.environment), json.dumps(asdict(stopped)))

    def get(self, environment: str) -> Stopped | None:
        """Returns the latest stop of an environment; None if it never was stopped."""
        written = self._values.get(_key(environment))
        return Stopped(**json.loads(written)) if written else None


def _key(environment: str) -> str:
    return f"stopped {environment}"
