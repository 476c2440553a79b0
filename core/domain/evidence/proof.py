"""Whether a bundle of evidence is what was signed, and who signed it."""

from __future__ import annotations

from enum import StrEnum

from ..frozen import Frozen


class Bundle(Frozen):
    """A bundle that was written."""

    directory: str
    model: str
    version: int
    files: tuple[str, ...]
    """Their paths in the directory."""
    signer: str
    """The fingerprint of the key that signed it; empty if nobody did."""
    unsigned: str = ""
    """Why it is not signed; empty if it is."""
    missing: tuple[str, ...] = ()
    """Sentences: what was not recorded."""


class SignedVersion(Frozen):
    """A version that somebody has signed, so that it may be served where only signed ones are."""

    model: str
    version: int
    signer: str
    """The fingerprint of the key."""
    files: int
    """How many files of the model were signed."""
    images: int
    """How many images were signed with them."""
    path: str
    """The statement, with its signature beside it."""
    alone: str = ""
    """Why the statement is on this machine only; empty if it is on the version's MLflow run, too."""


class Standing(StrEnum):
    """What is known of a signer."""

    KNOWN = "known"
    """The key is one of the allowed signers."""
    UNKNOWN = "unknown"
    """The signature is good, and nobody said whose key it is."""
    REFUSED = "refused"
    """The signature is not good, or its key is not allowed, expired or revoked."""
    NONE = "none"
    """It is not signed."""


class Proof(Frozen):
    """What a verification has found."""

    path: str
    model: str
    version: int | None
    standing: Standing
    signer: str
    """The name that the file of allowed signers gives the key, else the key's fingerprint."""
    problems: tuple[str, ...]
    """Sentences, one for each thing that is not as it was signed; empty if everything is."""
    checked: tuple[str, ...] = ()
    """What was compared, in words."""

    @property
    def good(self) -> bool:
        """Tells whether everything is as it was signed by a key that may."""
        return not self.problems and self.standing in (Standing.KNOWN, Standing.UNKNOWN)
