"""Keys of every kind that people sign with, and files of signers as they write them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.domain.evidence.proof import Standing
from podium.core.errors import Unreachable
from podium.core.evidence.story import told
from podium.core.evidence.subject import named
from podium.core.evidence.why import why
from podium.core.signatures import signing
from podium.core.signatures.sshsig import public_key

from tests.conftest import required

from .test_required import Release, line_of, signed, ssh

__all__ = ["signed", "ssh"]


def made(directory: Path, kind: str, name: str = "anna") -> Path:
    path = directory / f"{name}-{kind}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path)], check=True)
    return path


def half(key: Path) -> str:
    return key.with_name(f"{key.name}.pub").read_text().strip()


def judged(file: Path, signers: str, *, revoked: bytes | None = None) -> signing.Signer:
    """Returns what is said of a file's signature, by a file of signers with these lines."""
    listed, gone = file.with_name("signers"), file.with_name("gone")
    listed.write_text(signers)
    if revoked is not None:
        gone.write_bytes(revoked)
    kept = file.with_name(f"{file.name}.sig")
    return signing.judge(file.read_bytes(), kept, listed, gone if revoked is not None else None)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    required("" if shutil.which("ssh-keygen") else "ssh-keygen")
    path = tmp_path / "text"
    path.write_text("what is signed")
    return path


def sign(text: Path, key: Path) -> None:
    signing.sign(text, key, text.with_name(f"{text.name}.sig"))


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_each_kind_of_key_releases_a_version(signed: Release, tmp_path: Path, kind: str) -> None:
    key = made(tmp_path, kind)
    signed.allow(f"anna@example.com {half(key)}\n")
    path = signed.sign(key)
    signed.ensure()
    assert public_key(path.with_name(f"{path.name}.sig").read_bytes()) == " ".join(half(key).split()[:2])


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    required("" if shutil.which("ssh-agent") else "ssh-agent")
    socket = tmp_path / "agent"
    done = subprocess.run(["ssh-agent", "-s", "-a", str(socket)], check=True, capture_output=True, text=True)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    os.kill(int(done.stdout.partition("SSH_AGENT_PID=")[2].partition(";")[0]), signal.SIGTERM)


@pytest.mark.usefixtures("agent")
def test_a_key_that_only_an_agent_has(text: Path, tmp_path: Path) -> None:
    key = made(tmp_path, "ed25519")
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
    key.unlink()
    sign(text, key.with_name(f"{key.name}.pub"))
    assert judged(text, f"anna {half(key)}\n") == signing.Signer(Standing.KNOWN, "anna")
    subprocess.run(["ssh-add", "-q", "-D"], check=True)
    with pytest.raises(Unreachable, match="cannot be signed"):
        sign(text, key.with_name(f"{key.name}.pub"))


def certified(key: Path, authority: Path, *more: str) -> Path:
    """Returns the certificate of a key."""
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "a test", "-n", "anna@example.com", *more]
    subprocess.run([*command, f"{key}.pub"], check=True)
    return key.with_name(f"{key.name}-cert.pub")


def test_a_certificate_of_an_authority_that_may(text: Path, tmp_path: Path) -> None:
    key, authority, stranger = made(tmp_path, "ed25519"), made(tmp_path, "rsa", "ca"), made(tmp_path, "ecdsa", "eve")
    sign(text, certified(key, authority))
    line = f"*@example.com cert-authority {half(authority)}\n"
    assert judged(text, line) == signing.Signer(Standing.KNOWN, "anna@example.com")
    assert judged(text, f"*@elsewhere.org cert-authority {half(authority)}\n").standing is Standing.REFUSED
    assert judged(text, f"*@example.com {half(authority)}\n").standing is Standing.REFUSED, "it is no authority"
    assert judged(text, f"*@example.com cert-authority {half(stranger)}\n").standing is Standing.REFUSED
    other = f'*@example.com cert-authority,namespaces="git" {half(authority)}\n'
    assert judged(text, other).standing is Standing.REFUSED
    assert judged(text, other + line).standing is Standing.KNOWN, "one line for each purpose"
    gone = judged(text, line, revoked=f"{half(key)}\n".encode())
    assert (gone.standing, gone.words.rpartition(": ")[2]) == (Standing.REFUSED, "the key is revoked")
    sign(text, certified(key, authority, "-V", "20200101:20210101"))
    assert judged(text, line).standing is Standing.REFUSED, "the certificate has expired"


def test_a_key_may_have_a_name_for_each_purpose(text: Path, tmp_path: Path) -> None:
    key = made(tmp_path, "ed25519")
    sign(text, key)
    others = [f'anna-git namespaces="git" {half(key)}', f'"anna-old" valid-before="20200101" {half(key)}']
    mine = f'anna-release namespaces="podium-evidence" {half(key)}'
    assert judged(text, "\n".join([*others, "# a comment", "", mine])).name == "anna-release"
    refused = judged(text, "\n".join([*others, f"# {mine}"]))
    assert refused.standing is Standing.REFUSED and "namespace" in refused.words


DATES = {
    'valid-before="20200101"': Standing.REFUSED,
    'valid-after="20990101"': Standing.REFUSED,
    'valid-after="20200101",valid-before="20990101"': Standing.KNOWN,
    'valid-after="20200101Z",valid-before="209901011200Z"': Standing.KNOWN,
    'valid-after="20990101",valid-before="20200101"': Standing.REFUSED,
    'valid-before="tomorrow"': Standing.REFUSED,
}


@pytest.mark.parametrize("dates", DATES)
def test_dates(text: Path, tmp_path: Path, dates: str) -> None:
    key = made(tmp_path, "ed25519")
    sign(text, key)
    assert judged(text, f"anna {dates} {half(key)}\n").standing is DATES[dates]


def test_lists_of_revoked_keys(text: Path, tmp_path: Path) -> None:
    key, other = made(tmp_path, "ed25519"), made(tmp_path, "ecdsa", "bob")
    sign(text, key)
    binary = tmp_path / "krl"
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(binary), f"{key}.pub"], check=True)
    for revoked in (half(key).encode(), f"{half(other)}\n{half(key)}\n".encode(), binary.read_bytes()):
        assert "the key is revoked" in judged(text, f"anna {half(key)}\n", revoked=revoked).words
    for revoked in (b"", b"# nobody\n", half(other).encode()):
        assert judged(text, f"anna {half(key)}\n", revoked=revoked).standing is Standing.KNOWN
    broken = judged(text, f"anna {half(key)}\n", revoked=b"nonsense \xff\n")
    assert broken.standing is Standing.REFUSED and broken.words.endswith("gone is no list of revoked keys")
    (tmp_path / "gone").unlink()
    away = signing.judge(text.read_bytes(), tmp_path / "text.sig", tmp_path / "signers", tmp_path / "gone")
    assert away.standing is Standing.REFUSED and "the revoked keys in gone cannot be read" in away.words


@pytest.mark.parametrize(
    "content",
    [b"", b"-----BEGIN SSH SIGNATURE-----\n!!!\n-----END SSH SIGNATURE-----", b"\xff" * 100]
    + [b"-----BEGIN SSH SIGNATURE-----\n" + text + b"\n-----END SSH SIGNATURE-----" for text in (b"U1NIU0lH", b"QQ==")],
)
def test_what_is_no_signature_has_no_key(content: bytes) -> None:
    assert public_key(content) == ""


def test_the_evidence_says_who_has_signed(signed: Release) -> None:
    signed.sign(signed.anna)
    signed.sign(signed.eve)

    def statements() -> dict[str, str]:
        subject = named(signed.project, signed.recorded.journal, signed.recorded.version)
        (table,) = told(subject).section("signatures").tables
        lines = [each.words for each in why(subject) if each.what == "signed"]
        assert lines == (["anna@example.com: it may be served"] if signed.evidence.signers else [])
        return {str(row[1]): str(row[2]) for row in table.rows}

    mine, other = (signing.fingerprint(key) for key in (signed.anna, signed.eve))
    found = statements()
    assert found["anna@example.com"] == "None" and "is none of allowed_signers" in found[other]
    signed.evidence = replace(signed.evidence, signers="")
    assert all("nobody may sign" in each for each in statements().values()) and set(statements()) == {mine, other}


def test_a_statement_that_others_have_signed_too_counts_by_the_one_who_may(signed: Release) -> None:
    """Two signers of one version, and one whose key is revoked later."""
    signed.sign(signed.anna)
    signed.sign(signed.eve)
    signed.evidence = replace(signed.evidence, revoked="revoked")
    both = line_of(signed.anna) + line_of(signed.eve)
    signed.allow(both, revoked=signed.anna.with_name("anna.pub").read_text())
    signed.ensure()
    signed.allow(
        both, revoked="".join(each.with_name(f"{each.name}.pub").read_text() for each in (signed.anna, signed.eve))
    )
    assert "the key is revoked" in signed.refused()
