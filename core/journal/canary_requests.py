"""What people have asked of running canaries; the rollout reads it between two looks at the traffic. The table is
still named `orders`, and its column `order`, as in the projects of earlier versions."""

from __future__ import annotations

import time

from ..domain.delivery import CanaryRequest, RecordedRequest
from .audit import Audit
from .sqlite.database import Database


class CanaryRequests:
    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def add(self, deployment: int, request: CanaryRequest, who: str, *, environment: str, why: str = "") -> int:
        with self._database.transaction():
            number = self._database.insert(
                'INSERT INTO orders (deployment, "order", who, at, why) VALUES (?,?,?,?,?)',
                (deployment, str(request), who, time.time(), why),
            )
            self._audit.add(who, str(request), f"{environment} (deployment {deployment})", why)
        return number

    def after(self, deployment: int, last: int = 0) -> list[RecordedRequest]:
        """Those with an id above `last`, oldest first."""
        rows = self._database.all(
            'SELECT id, deployment, "order", who, at, why FROM orders WHERE deployment = ? AND id > ? ORDER BY id',
            (deployment, last),
        )
        return [RecordedRequest(row[0], row[1], CanaryRequest(row[2]), *row[3:]) for row in rows]
