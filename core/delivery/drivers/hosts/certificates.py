"""The authority of an environment of several hosts, and the certificate of each host: by these, and by nothing else,
the proxies know each other. They are files of the environment's directory that only its owner can read; the
authority's key never leaves it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import MissingExtra
from ....replacing import replace_file
from ...host.paths import private, safe
from ...proxy.mesh import certificate_name

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

_DIRECTORY = "mesh"
_AUTHORITY_DAYS, _DAYS = 3650, 730
# A host's clock may be behind this machine's.
_BACK = timedelta(days=1)
# A certificate is replaced when so much of its time is left; its age is that of its file.
_RENEW_SECONDS = (_DAYS - 180) * 86400.0


def issued(directory: Path, hosts: Collection[str]) -> tuple[str, dict[str, str]]:
    """Returns the authority's certificate and, by host, the certificate with its key, all in PEM; made where they are
    missing. Raises MissingExtra without the package `cryptography`."""
    place = private(directory / _DIRECTORY)
    if not _complete(place, hosts):
        with _alone(place):
            _make(place, hosts)
    return (place / "ca.pem").read_text(), {host: _file(place, host).read_text() for host in hosts}


def _file(place: Path, host: str) -> Path:
    return place / f"host-{safe(host)}.pem"


def _complete(place: Path, hosts: Collection[str]) -> bool:
    return (place / "ca.pem").exists() and not any(_due(_file(place, host)) for host in hosts)


def _due(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _RENEW_SECONDS
    except FileNotFoundError:
        return True


@contextmanager
def _alone(place: Path) -> Generator[None]:
    """Lets one process at a time make them."""
    descriptor = os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(place: Path, hosts: Collection[str]) -> None:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
    except ImportError:
        raise MissingExtra(
            "several hosts talk to each other over TLS, which needs the package cryptography",
            hint="run `pip install cryptography`, or say trusted_network: true",
        ) from None
    anew = not (place / "ca.pem").exists()
    if anew:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _signed("podium", key.public_key(), "podium", key, authority=True)
        replace_file(place / "ca.key", _key(key))
        replace_file(place / "ca.pem", authority.public_bytes(Encoding.PEM).decode())
    authority = x509.load_pem_x509_certificate((place / "ca.pem").read_bytes())
    key = load_pem_private_key((place / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    issuer = str(authority.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    for host in hosts:
        if anew or _due(_file(place, host)):  # what another authority has signed nobody would believe
            own = ec.generate_private_key(ec.SECP256R1())
            made = _signed(certificate_name(host), own.public_key(), issuer, key)
            replace_file(_file(place, host), f"{made.public_bytes(Encoding.PEM).decode()}{_key(own)}")


def _signed(
    name: str,
    public: ec.EllipticCurvePublicKey,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    def called(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(called(name))
        .issuer_name(called(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + timedelta(days=_AUTHORITY_DAYS if authority else _DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(key, hashes.SHA256())


def _key(key: ec.EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
