"""An authority of the tests' own, and certificates by it for an engine and its clients."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.runner.scale import scaled

from .dockerd import Dockerd


@dataclass(frozen=True, slots=True)
class TlsEngine:
    """`tls` is a directory with the client's ca.pem, cert.pem and key.pem; `other` one whose authority the engine
    does not know."""

    address: str
    tls: Path
    other: Path
    dockerd: Dockerd


def missing() -> str:
    return "" if shutil.which("openssl") else "openssl is not installed"


def make(directory: Path) -> Path:
    """ca.pem with server-cert.pem, server-key.pem (for 127.0.0.1 and localhost) and cert.pem, key.pem of a client:
    what `tls` and DOCKER_CERT_PATH name."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=scaled(30))

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256")
    authority = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl(
        "req",
        "-x509",
        *curve,
        "-days",
        "2",
        "-subj",
        "/CN=podium-test CA",
        "-keyout",
        "ca-key.pem",
        "-out",
        "ca.pem",
        *authority,
    )
    uses = {
        "server-": "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n",
        "": "extendedKeyUsage=clientAuth\n",
    }
    for name, text in uses.items():
        (directory / "extensions").write_text(text)
        openssl(
            "req",
            "-new",
            *curve,
            "-subj",
            f"/CN=podium-test {name or 'client'}",
            "-keyout",
            f"{name}key.pem",
            "-out",
            "request.pem",
        )
        signed = ("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2", "-extfile", "extensions")
        openssl("x509", "-req", "-in", "request.pem", *signed, "-out", f"{name}cert.pem")
    return directory
