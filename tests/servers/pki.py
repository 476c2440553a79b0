"""Certificates as a company's CA or certbot would give them: by an authority of the test's own, at any time."""

from __future__ import annotations

import ipaddress
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from tests.runner.scale import scaled

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(self, directory: Path, name: str = "podium-test CA") -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._number = 0
        self.certificate = self._sign(self._name, self._key, {}, authority=True)
        self.file = directory / "ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def pair(
        self,
        name: str,
        *hosts: str,
        days: tuple[float, float] = (-1.0, 60.0),
        key: Key | None = None,
        password: bytes = b"",
    ) -> Pair:
        """A certificate for these hosts (`localhost` if none is named), valid from and until so many days from now."""
        own = key or ec.generate_private_key(ec.SECP256R1())
        made = self._sign(_name(name), own, {"hosts": hosts or ("localhost",)}, days=days)
        found = Pair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        found.certificate.write_bytes(made.public_bytes(Encoding.PEM) + self.certificate.public_bytes(Encoding.PEM))
        found.key.touch(0o600)
        found.key.write_bytes(
            own.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password) if password else NoEncryption()
            )
        )
        return found

    def _sign(
        self,
        name: x509.Name,
        key: Key,
        more: dict[str, tuple[str, ...]],
        *,
        days: tuple[float, float] = (-1.0, 60.0),
        authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if hosts := more.get("hosts"):
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(each) for each in hosts]), False)
        return builder.sign(self._key, hashes.SHA256())


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def shown(port: int, *options: str) -> str:
    """What openssl, as a client of its own, is shown: the certificate's SHA-256, or its words for why there is none."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", *options]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=scaled(20), check=False)
    if "BEGIN CERTIFICATE" not in done.stdout:
        return done.stderr
    found = x509.load_pem_x509_certificate(done.stdout[done.stdout.index("-----BEGIN") :].encode())
    return found.fingerprint(hashes.SHA256()).hex()


def digest(file: Path) -> str:
    """The SHA-256 of a file's first certificate."""
    return x509.load_pem_x509_certificates(file.read_bytes())[0].fingerprint(hashes.SHA256()).hex()
