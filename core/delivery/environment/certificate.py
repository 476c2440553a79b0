"""Reads the certificate that an environment shows to its clients, and says what is wrong with it.

The files are the person's (certbot's, a company's CA's), and may be replaced at any moment, a link or a part at a time:
what does not fit together is not taken, and the next look decides again.
"""

from __future__ import annotations

import ipaddress
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...domain.access.clients import Tls
from ...domain.frozen import Frozen
from ...domain.text import one_line
from ...errors import MissingExtra
from ...identity.account import expanded

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

_MAX_BYTES = 1 << 20
_LEAST_RSA_BITS = 2048
# A renewal is late by then: certbot renews 30 days before the end, and short-lived ones after two thirds of their time.
_WARN_SECONDS = 21 * 86_400.0


class ServedCertificate(Frozen):
    """A certificate with its key. What is wrong with it as time goes on, `trouble` says."""

    pem: str = field(repr=False)
    """Certificate, intermediates and key, as HAProxy reads them."""
    fingerprint: str
    """SHA-1 of the certificate in hexadecimal."""
    names: tuple[str, ...]
    begins: float
    """Seconds since the epoch, as `ends`."""
    ends: float
    exposed: str = ""
    """Why its key is not secret; empty if it is."""

    def trouble(self, now: float) -> str:
        """Returns why clients refuse it; empty if they do not."""
        if now < self.begins:
            return f"is not valid before {day(self.begins)}"
        return f"expired on {day(self.ends)}" if now >= self.ends else ""

    def warning(self, now: float) -> str:
        """Returns why somebody should look after it soon; empty if nobody has to."""
        if self.ends - now < min(_WARN_SECONDS, (self.ends - self.begins) / 3):
            return f"expires on {day(self.ends)}"
        return ""


class UnusableCertificate(Exception):
    """Raised with what is wrong with the certificate or its key: which file, and why."""


def read(home: Path, tls: Tls, now: float | None = None) -> ServedCertificate:
    """Returns the certificate that podium.yaml names. Raises UnusableCertificate, in words, if it is missing,
    unreadable, of another host, expired, or its key is not the one that belongs to it; MissingExtra without the
    package `cryptography`."""
    _ensure_library()
    paths = (_place(home, tls.certificate), _place(home, tls.key))
    found = _parsed(*paths, tls.host, tuple(_signature(path) for path in paths))
    if isinstance(found, str):
        raise UnusableCertificate(found)
    if trouble := found.trouble(time.time() if now is None else now):
        raise UnusableCertificate(f"the certificate {paths[0]} {trouble}")
    return found


def authorities(home: Path, file: str) -> str:
    """Returns the certificates of a PEM file. Raises UnusableCertificate if there are none in it."""
    _ensure_library()
    path = _place(home, file)
    try:
        found = _certificates(path)
    except _Unusable as error:
        raise UnusableCertificate(str(error)) from None
    return _text(found)


def fingerprint_of(pem: str) -> str:
    """Returns the SHA-1 of the first certificate of a text that `read` made."""
    from cryptography import x509

    return _sha1(x509.load_pem_x509_certificates(pem.encode())[0])


def ends_of(pem: str) -> float:
    """Returns when such a text's first certificate expires, in seconds since the epoch."""
    from cryptography import x509

    return x509.load_pem_x509_certificates(pem.encode())[0].not_valid_after_utc.timestamp()


class _Unusable(Exception):
    """Raised while a file is read."""


def _place(home: Path, file: str) -> Path:
    return home / expanded(file)


def _signature(path: Path) -> tuple[int, ...]:
    """Returns what changes when a file is written, replaced, or another one is linked to."""
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


@lru_cache(maxsize=64)
def _parsed(certificate: Path, key: Path, host: str, _: tuple[tuple[int, ...], ...]) -> ServedCertificate | str:
    """Returns the certificate, or why it cannot be used: once for each state of the files."""
    try:
        chain = _certificates(certificate)
        secret = _key(key)
        _ensure_pair(chain, secret, certificate, key)
        names = _names(chain[0])
        if not any(_matches(name, host) for name in names):
            listed = ", ".join(names[:5]) or "no name"
            raise _Unusable(f"the certificate {certificate} is for {one_line(listed)[:200]}, not for {host}")
    except _Unusable as error:
        return str(error)
    leaf = chain[0]
    return ServedCertificate(
        f"{_text(chain)}{_key_text(secret)}",
        _sha1(leaf),
        names,
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
        _exposed(key),
    )


def _sha1(certificate: Certificate) -> str:
    """Returns what HAProxy's runtime API shows of a certificate: compared, and trusted for nothing."""
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303


def _content(path: Path, what: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _Unusable(f"the {what} {path} is not a file")
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise _Unusable(f"the {what} {path} cannot be read: {error.strerror}") from None


def _certificates(path: Path) -> list[Certificate]:
    from cryptography import x509

    content = _content(path, "certificate")
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise _Unusable(f"there is no certificate in PEM in {path}") from None


def _key(path: Path) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _content(path, "key")
    try:
        return load_pem_private_key(content, None)
    except TypeError:
        raise _Unusable(f"the key {path} is encrypted, and nobody is there to type its password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _Unusable(f"there is no private key in PEM in {path}") from None


def _ensure_library() -> None:
    from importlib.util import find_spec

    if find_spec("cryptography") is None:
        raise MissingExtra(
            "TLS needs the package cryptography, which is not installed", hint="run `pip install cryptography`"
        )


def _ensure_pair(chain: Sequence[Certificate], key: PrivateKeyTypes, certificate: Path, place: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    public = key.public_key()
    if chain[0].public_key() != public:
        later = any(each.public_key() == public for each in chain[1:])
        why = "belongs to another certificate of the file: the server's has to be the first" if later else ""
        raise _Unusable(f"the key {place} {why or 'does not belong to the certificate'} ({certificate})")
    if isinstance(key, RSAPrivateKey) and key.key_size < _LEAST_RSA_BITS:
        raise _Unusable(f"the key {place} has {key.key_size} bits, fewer than {_LEAST_RSA_BITS}")


def _names(leaf: Certificate) -> tuple[str, ...]:
    """Returns the names that clients compare with: the subject alternative names (RFC 9110, 4.3.4)."""
    from cryptography import x509

    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = [str(each) for each in found.get_values_for_type(x509.IPAddress)]
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _matches(name: str, host: str) -> bool:
    """Tells whether a name of a certificate is that of a host; `*` stands for the first label (RFC 6125, 6.4.3)."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host)
    except ValueError:
        name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:] and "." in name[2:])


def _text(chain: Sequence[Certificate]) -> str:
    """Returns certificates as plain PEM: files may have comments and empty lines, at which HAProxy's API would end."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return "".join(each.public_bytes(Encoding.PEM).decode() for each in chain)


def _key_text(key: PrivateKeyTypes) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _exposed(path: Path) -> str:
    """Returns why a key is not secret: other accounts may open its file."""
    real = path.resolve()
    shut = real.parent.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH) == 0
    open_ = real.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    return f"the key {path} may be read by other accounts: chmod 600" if open_ and not shut else ""


def day(seconds: float) -> str:
    """Returns a moment as it is written in certificates: in UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
