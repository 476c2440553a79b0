"""Signatures of files by SSH keys, made and checked by `ssh-keygen -Y` (ssh-keygen(1); the form of a signature is
PROTOCOL.sshsig of OpenSSH)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..domain.evidence.proof import Standing
from ..domain.frozen import Frozen
from ..domain.project import Project
from ..domain.text import one_line
from ..errors import MissingExtra, NotFound, PodiumError, Unreachable, UsageError
from ..identity.account import expanded, whoami
from .sshsig import public_key

NAMESPACE = "podium-evidence"
"""Of bundles: that this is what was recorded."""
SERVED = "podium-version"
"""Of versions: that this may be served."""
_TIMEOUT = 20.0
# It says so after the reason, whatever that was.
_NO_REASON = "Could not verify signature."
_LIST_OF_REVOKED = b"SSHKRL"
"""What a list begins with that `ssh-keygen -k` has made (PROTOCOL.krl of OpenSSH)."""
_BLOB = b"AAAA"
"""What every public key begins with, as text: the length of its kind's name."""
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


class Signer(Frozen):
    """Who signed a file, as far as that is known."""

    standing: Standing
    name: str
    """The name that the allowed signers give the key, else its fingerprint; empty where nothing could be read."""
    words: str = ""
    """Why the signature is refused; empty if it is not."""


def key_of(project: Project | None, named: Path | None) -> Path:
    """Returns the key to sign with: the named one, podium.yaml's, or one of this account's own, which is made the first
    time. Raises NotFound if the file is missing."""
    chosen = named
    if chosen is None and project is not None and project.evidence.key:
        chosen = project.home / project.evidence.key
    if chosen is None:
        return _own_key()
    if not chosen.is_file():
        raise NotFound(f"there is no key {chosen}", hint="name a private key of SSH, or a public one for an ssh-agent")
    return chosen


def _own_key() -> Path:
    path = Path(os.environ.get("XDG_CONFIG_HOME") or expanded("~/.config")) / "podium" / "evidence_key"
    if not os.path.exists(path):  # noqa: PTH110 - pathlib raises for a directory that this account may not look into
        try:
            if str(path).startswith("~"):
                raise FileNotFoundError("this account has no home directory")
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UsageError(
                f"no key can be kept in {path.parent}: {error.strerror or error}", hint="name one with --key"
            ) from error
        comment = f"podium evidence, {one_line(whoami())}"
        done = _call("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
        if done.returncode and not path.exists():
            raise Unreachable(f"no key could be made: {_said(done)}", hint="name one with --key")
    return path


def sign(file: Path, key: Path, signature: Path, *, namespace: str = NAMESPACE) -> None:
    """Signs a file; the signature is a file of its own. Raises MissingExtra without ssh-keygen, and Unreachable if it
    cannot sign, as with a passphrase that nobody can be asked for."""
    made = file.with_name(f"{file.name}.sig")
    made.unlink(missing_ok=True)
    done = _call("-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(file))
    if done.returncode or not made.is_file():
        raise Unreachable(
            f"{file.name} cannot be signed with {key}: {_said(done)}",
            hint="give a key with a passphrase to an ssh-agent (`ssh-add`) and name its public half",
        )
    if made != signature:
        made.replace(signature)


def fingerprint(key: Path) -> str:
    """Returns a key's fingerprint; empty if it cannot be read."""
    found = _FINGERPRINT.search(_call("-l", "-f", str(key)).stdout.decode("utf-8", "replace"))
    return found[0] if found else ""


def public_half(key: Path) -> str:
    """Returns the public half of a private key without a passphrase, without a comment; empty if it cannot be had."""
    return " ".join(_call("-y", "-f", str(key)).stdout.decode("utf-8", "replace").split()[:2])


def judge(
    content: bytes,
    signature: Path,
    signers: Path | None,
    revoked: Path | None,
    *,
    namespace: str = NAMESPACE,
    moment: float | None = None,
) -> Signer:
    """Returns who signed these bytes. Without a file of allowed signers the signature is good or not, and nobody says
    whose key it is. `moment` is when a key has to be valid, if that is later than now (seconds since the epoch)."""
    if signers is None:
        done = _call("-Y", "check-novalidate", "-n", namespace, "-s", str(signature), *_revoked(revoked), given=content)
        found = _FINGERPRINT.search(done.stdout.decode("utf-8", "replace"))
        if done.returncode:
            return Signer(
                Standing.REFUSED, found[0] if found else "", f"the signature is not of this text: {_said(done)}"
            )
        return Signer(Standing.UNKNOWN, found[0] if found else "")
    # Without it ssh-keygen takes its own time; versions before 9.1 do not know times of UTC.
    late = moment is not None and moment > time.time()
    when = (f"-Overify-time={time.strftime('%Y%m%d%H%M%SZ', time.gmtime(moment))}",) if late else ()
    found = _call("-Y", "find-principals", "-s", str(signature), "-f", str(signers), *when)
    names = [line.strip() for line in found.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    if found.returncode or not names:
        return Signer(Standing.REFUSED, "", f"its key is none of {signers.name}, or not any more: {_said(found)}")
    refused = Signer(Standing.REFUSED, "")
    for name in dict.fromkeys((*names, *_other_names(signature, signers))):
        command = ("-Y", "verify", "-f", str(signers), "-I", name, "-n", namespace, "-s", str(signature))
        done = _call(*command, *when, *_revoked(revoked), given=content)
        if not done.returncode:
            return Signer(Standing.KNOWN, name)
        if not refused.name:
            passes = revoked is not None and not _call(*command, *when, given=content).returncode
            why = _revoked_why(revoked) if passes and revoked is not None else _said(done)
            refused = Signer(Standing.REFUSED, name, f"the signature of {one_line(name)} is not accepted: {why}")
    return refused


def _revoked_why(revoked: Path) -> str:
    """Returns why a list of revoked keys stops a signature: it has the key, or cannot be read. ssh-keygen does not say
    which."""
    try:
        listed = revoked.read_bytes()
    except OSError as error:
        return f"the revoked keys in {revoked.name} cannot be read: {error.strerror}"
    lines = [line for line in listed.splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    if listed.startswith(_LIST_OF_REVOKED) or all(_BLOB in line for line in lines):
        return "the key is revoked"
    return f"{revoked.name} is no list of revoked keys"


def _other_names(signature: Path, signers: Path) -> Iterator[str]:
    """Yields the names that other lines give the same key: ssh-keygen finds only the first, though each line may be for
    another purpose."""
    try:
        key, lines = public_key(signature.read_bytes()), signers.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in lines.splitlines() if key else ():
        words = line.split()
        if key.split(" ")[1] in words[1:] and not words[0].startswith("#"):
            yield from words[0].strip('"').split(",")


def _revoked(file: Path | None) -> tuple[str, ...]:
    return () if file is None else ("-r", str(file))


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """Returns what the program said, in one line."""
    lines = [
        line for line in (done.stderr + b"\n" + done.stdout).decode("utf-8", "replace").splitlines() if line.strip()
    ]
    telling = [line for line in lines if line.strip() != _NO_REASON] or lines
    return one_line(telling[-1]) if telling else f"ssh-keygen ended with {done.returncode}"


def _call(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs ssh-keygen without a terminal, so that it cannot ask anybody anything."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise MissingExtra("ssh-keygen is not installed, and signatures need it", hint="install openssh-client")
    environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
    command: Sequence[str] = (program, *arguments)
    try:
        return subprocess.run(
            command,
            input=given,
            capture_output=True,
            timeout=_TIMEOUT,
            env=environment,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"ssh-keygen has not ended after {_TIMEOUT:g} s", hint="is the ssh-agent alive?") from error
    except OSError as error:
        raise PodiumError(
            f"ssh-keygen cannot be started: {error.strerror or error}", hint="is it installed?"
        ) from error
