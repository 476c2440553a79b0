"""Signs a bundle that somebody else has written."""

from __future__ import annotations

from pathlib import Path

from ..errors import Refused
from ..signatures import signing
from .bundle import add_signature
from .verify import differing


def sign(path: Path, key: Path | None) -> str:
    """Signs a bundle beside those who have signed it; returns the key's fingerprint. Raises NotFound if there is none,
    and Refused if it is not what its lists say: nobody should put a name to that."""
    problems = differing(path)
    if problems:
        raise Refused(f"{path} is damaged: {problems[0]}", hint=f"`podium evidence verify {path}` says what is wrong")
    chosen = signing.key_of(None, key)
    add_signature(path if path.is_dir() else path.parent, chosen)
    return signing.fingerprint(chosen)
