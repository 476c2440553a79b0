"""What says who somebody is that approves. By itself, since every run has it and few need the rest of podium.yaml."""

from __future__ import annotations

from enum import StrEnum


class Proof(StrEnum):
    """How it is proved who somebody is: by the system's ACCOUNT, or by the Git HOST."""

    ACCOUNT = "account"
    HOST = "host"
