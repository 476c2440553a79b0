"""Stores what people have agreed to about steps that change an environment, among the values."""

from __future__ import annotations

import json
from dataclasses import asdict

from ..domain.runs import Agreement
from .values import Values


class Agreements:
    def __init__(self, values: Values) -> None:
        self._values = values

    def keep(self, agreement: Agreement) -> None:
        """Stores an agreement; the last one about a step counts."""
        self._values.set(_key(agreement.run_id, agreement.step), json.dumps(asdict(agreement)))

    def get(self, run_id: int, step: str) -> Agreement | None:
        written = self._values.get(_key(run_id, step))
        return Agreement(**json.loads(written)) if written else None


def _key(run_id: int, step: str) -> str:
    return f"agreed:{run_id}:{step}"
