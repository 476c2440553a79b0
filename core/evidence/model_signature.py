"""The signature of a model's files as OpenSSF Model Signing has it, made by its own command, `model_signing`, which
also verifies it (https://github.com/sigstore/model-transparency). An optional extra: nothing else needs it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from ..domain.text import one_line
from ..errors import MissingExtra, NotFound, Unreachable
from ..registry.files import directory, present
from .subject import Subject

SIGNATURE = "model.sig"
_TIMEOUT = 3600.0


def model_signature(subject: Subject) -> str:
    """Returns the signature of the version's files by the key that podium.yaml names; empty where it names none, or the
    files are not here. Raises MissingExtra without the package, NotFound without the key, and Unreachable if it cannot
    sign."""
    evidence = subject.project.evidence
    place = directory(subject.project.state, subject.model, subject.number)
    if not evidence.model_key or present(place) is None:
        return ""
    if importlib.util.find_spec("model_signing") is None:
        raise MissingExtra("evidence.model_key needs model-signing", hint="pip install 'podium[model-signing]'")
    key = subject.project.home / evidence.model_key
    if not key.is_file():
        raise NotFound(f"there is no key {key}", hint="name a private key as PEM (an elliptic curve's)")
    with tempfile.TemporaryDirectory(prefix="podium-model-") as scratch:
        made = Path(scratch) / SIGNATURE
        _run(place, key, made)
        return made.read_text(encoding="utf-8")


def _run(place: Path, key: Path, made: Path) -> None:
    command = [sys.executable, "-m", "model_signing", "sign", "key", str(place)]
    options = ["--private_key", str(key), "--signature", str(made)]
    for each in sorted(place.rglob("__pycache__")):  # byte code is no part of the model
        options += ["--ignore-paths", str(each)]
    try:
        done = subprocess.run(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(
            f"model_signing cannot sign: {error}", hint="call it by hand: model_signing sign key"
        ) from error
    if done.returncode or not made.is_file():
        lines = (done.stdout + done.stderr).decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise Unreachable(
            f"model_signing cannot sign: {one_line(lines[-1])}", hint="is the key one without a passphrase?"
        )
