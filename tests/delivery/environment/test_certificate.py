"""Which certificates are taken for an environment, and what is said of the others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from podium.core.delivery.environment import certificate
from podium.core.delivery.environment.certificate import UnusableCertificate
from podium.core.domain.access.clients import Tls

from tests.servers.pki import Authority, Pair

DAY = 86_400.0


def tls(pair: Pair, host: str = "localhost") -> Tls:
    return Tls(str(pair.certificate), str(pair.key), host)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (("models.example.com",), "models.example.com"),
        (("a.example.com", "MODELS.example.com"), "models.Example.com."),
        (("*.example.com",), "models.example.com"),
        (("10.0.0.5",), "10.0.0.5"),
        (("::1",), "0:0:0:0:0:0:0:1"),
    ],
)
def test_one_for_the_host_is_taken(tmp_path: Path, authority: Authority, names: tuple[str, ...], host: str) -> None:
    pair = authority.pair("server", *names)
    found = certificate.read(tmp_path, tls(pair, host))
    assert set(found.names) == set(names) and found.pem.count("BEGIN CERTIFICATE") == 2 and "\n\n" not in found.pem
    assert found.fingerprint == certificate.fingerprint_of(found.pem) and found.ends == certificate.ends_of(found.pem)
    assert "PRIVATE KEY" in found.pem and "PRIVATE KEY" not in repr(found)


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (("models.example.com",), "example.com"),
        (("*.example.com",), "example.com"),
        (("*.example.com",), "a.models.example.com"),
        (("*.com",), "example.com"),
        (("10.0.0.5",), "10.0.0.6"),
    ],
)
def test_one_of_another_host_is_not(tmp_path: Path, authority: Authority, names: tuple[str, ...], host: str) -> None:
    with pytest.raises(UnusableCertificate, match=f"is for .*, not for {host}"):
        certificate.read(tmp_path, tls(authority.pair("server", *names), host))


def write(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def other_first(pair: Pair, authority: Authority) -> None:
    parts = pair.certificate.read_bytes().partition(b"-----END CERTIFICATE-----\n")
    pair.certificate.write_bytes(parts[2] + parts[0] + parts[1])


def instead(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


SPOILT: list[tuple[Callable[[Pair, Authority], object], str]] = [
    (lambda pair, _: pair.certificate.unlink(), r"the certificate .*server.pem cannot be read: No such file"),
    (lambda pair, _: pair.key.unlink(), r"the key .*server.key cannot be read: No such file"),
    (lambda pair, _: instead(pair.key, Path.mkdir), r"the key .* (is not a file|cannot be read: Is a directory)"),
    (lambda pair, _: instead(pair.key, os.mkfifo), r"the key .* is not a file"),
    (lambda pair, _: write(pair.certificate, b""), r"no certificate in PEM in .*server.pem"),
    (lambda pair, _: write(pair.certificate, b"-----BEGIN CERTIFICATE-----\nQUJD\n"), r"no certificate in PEM"),
    (lambda pair, _: write(pair.certificate, pair.certificate.read_bytes()[:300]), r"no certificate in PEM"),
    (lambda pair, _: write(pair.certificate, os.urandom(2000)), r"no certificate in PEM"),
    (lambda pair, _: write(pair.key, b"hello"), r"no private key in PEM in .*server.key"),
    (lambda pair, _: write(pair.key, pair.certificate.read_bytes()), r"no private key in PEM"),
    (lambda pair, ca: write(pair.key, ca.pair("b").key.read_bytes()), r"key .* does not belong to the certificate"),
    (other_first, r"belongs to another certificate of the file: the server's has to be the first"),
    (lambda _, ca: ca.pair("server", days=(-9, -1)), r"expired on 20\d\d-"),
    (lambda _, ca: ca.pair("server", days=(1, 9)), r"is not valid before 20\d\d-"),
    (lambda _, ca: ca.pair("server", password=b"open sesame"), r"is encrypted, and nobody is there to type"),
    (lambda _, ca: ca.pair("server", key=rsa.generate_private_key(65537, 1024)), r"1024 bits, fewer than 2048"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILT)
def test_one_that_clients_or_the_proxy_would_refuse_is_named_with_why(
    tmp_path: Path, authority: Authority, spoil: Callable[[Pair, Authority], object], words: str
) -> None:
    pair = authority.pair("server")
    certificate.read(tmp_path, tls(pair))
    spoil(pair, authority)
    with pytest.raises(UnusableCertificate, match=words):
        certificate.read(tmp_path, tls(pair))


def test_a_file_that_this_account_may_not_read(tmp_path: Path, authority: Authority) -> None:
    if os.getuid() == 0:
        pytest.skip("root reads everything")
    pair = authority.pair("server")
    pair.key.chmod(0)
    with pytest.raises(UnusableCertificate, match="Permission denied"):
        certificate.read(tmp_path, tls(pair))


def test_renewed_by_another_link_it_is_read_again(tmp_path: Path, authority: Authority) -> None:
    """As certbot does: `live/` has links into `archive/`, which it replaces one after the other."""
    live = tmp_path / "live"
    live.mkdir()
    first, second = authority.pair("one"), authority.pair("two")
    (live / "fullchain.pem").symlink_to(first.certificate)
    (live / "privkey.pem").symlink_to(first.key)
    linked = Tls("live/fullchain.pem", "live/privkey.pem", "localhost")
    before = certificate.read(tmp_path, linked)
    (live / "next").symlink_to(second.certificate)
    (live / "next").replace(live / "fullchain.pem")
    with pytest.raises(UnusableCertificate, match="does not belong"):
        certificate.read(tmp_path, linked)
    (live / "next").symlink_to(second.key)
    (live / "next").replace(live / "privkey.pem")
    assert certificate.read(tmp_path, linked).fingerprint != before.fingerprint


def test_it_is_said_before_it_expires_and_again_when_it_did(tmp_path: Path, authority: Authority) -> None:
    long = certificate.read(tmp_path, tls(authority.pair("long", days=(-30, 60))))
    short = certificate.read(tmp_path, tls(authority.pair("short", days=(-1, 5))))
    now = time.time()
    assert not long.warning(now) and not short.warning(now)
    assert "expires on" in long.warning(now + 40 * DAY) and "expires on" in short.warning(now + 4 * DAY)
    with pytest.raises(UnusableCertificate, match="expired"):
        certificate.read(tmp_path, tls(authority.pair("long", days=(-30, 60))), now + 61 * DAY)


def test_a_key_that_others_may_read_is_named(tmp_path: Path, authority: Authority) -> None:
    pair = authority.pair("server")
    assert not certificate.read(tmp_path, tls(pair)).exposed
    pair.key.chmod(0o644)
    authority.directory.chmod(0o755)
    assert "chmod 600" in certificate.read(tmp_path, tls(pair)).exposed


def test_authorities_of_clients(tmp_path: Path, authority: Authority) -> None:
    assert certificate.authorities(tmp_path, str(authority.file)).startswith("-----BEGIN CERTIFICATE")
    with pytest.raises(UnusableCertificate, match="No such file"):
        certificate.authorities(tmp_path, "none.pem")
