"""A proof that stays as it is."""

from __future__ import annotations

from podium.core.http_client import Credentials


class FixedProof:
    mark = 0
    unanswered = ""

    def __init__(self, credentials: Credentials | None = None, source: str = "") -> None:
        self._credentials, self.source = credentials, source

    def credentials(self) -> Credentials | None:
        return self._credentials

    def refused(self, skew: float | None) -> bool:
        return False
