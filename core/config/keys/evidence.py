"""The keys of `evidence` in podium.yaml."""

from __future__ import annotations

from ..kinds import Text
from ..sections import Key, Section
from . import common

EVIDENCE = Section(
    "evidence",
    (
        Key("card", common.path, "the project's own words on what a model is for (MODEL_CARD.md)"),
        Key("key", common.path, "the SSH key that evidence is signed with, or its public half for an ssh-agent's"),
        Key("model_key", common.path, "a PEM key by which model-signing signs the model's files, too"),
        Key("signers", common.path, "the file of allowed signers, as ssh-keygen reads it"),
        Key("revoked", common.path, "the file of revoked keys, as ssh-keygen reads it"),
        Key(
            "anchor",
            Text(
                pattern=r"~?/[^\x00]+|[A-Za-z0-9][A-Za-z0-9._/-]*", what="a Git remote, or the absolute path of a file"
            ),
            "where the audit's head is kept outside: a Git remote, or the path of a file",
        ),
    ),
)
