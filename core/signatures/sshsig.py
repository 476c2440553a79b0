"""Reads what a signature of SSH says of its key (PROTOCOL.sshsig of OpenSSH)."""

from __future__ import annotations

import base64
import binascii
import re

_ARMOUR = re.compile(rb"-----BEGIN SSH SIGNATURE-----\s+([A-Za-z0-9+/=\s]*?)\s+-----END SSH SIGNATURE-----\s*")
_MAGIC, _VERSION = b"SSHSIG", 4


def public_key(signature: bytes) -> str:
    """Returns the public key of a signature, or its certificate, as a `.pub` file has it, without a comment; empty for
    what is no signature, or more than one: ssh-keygen does not look at what stands behind it."""
    found = _ARMOUR.fullmatch(signature)
    try:
        blob = base64.b64decode(found[1]) if found is not None else b""
    except binascii.Error:
        blob = b""
    key = _string(blob[len(_MAGIC) + _VERSION :]) if blob.startswith(_MAGIC) else b""
    kind = _string(key)
    if not re.fullmatch(rb"[a-z0-9@.-]{1,100}", kind):
        return ""
    return f"{kind.decode()} {base64.b64encode(key).decode()}"


def _string(blob: bytes) -> bytes:
    """Returns the string that a blob begins with; empty if it is cut."""
    size = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + size] if len(blob) >= 4 + size else b""
