"""Signs a version: that it may be served where only signed ones are (`verify: required`)."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..delivery.rollout.plans import verdict
from ..domain.evidence.proof import SignedVersion
from ..domain.models import CHALLENGER
from ..domain.text import one_line, whole_number
from ..domain.verdicts import Verdict
from ..errors import NotFound, Refused, Unreachable, UsageError
from ..identity.account import whoami
from ..registry import open_registry
from ..registry.files import directory, present
from ..signatures import in_toto, kept, signing
from .statement import statement
from .subject import Subject, named

if TYPE_CHECKING:
    from ..engine.context import StepContext


def release(
    subject: Subject,
    key: Path | None,
    *,
    who: str,
    why: str = "",
    force: bool = False,
    more: Collection[str] = (),
) -> SignedVersion:
    """Signs what a version consists of: its files and its images, by their digests, and `more` images that this machine
    does not know (SHA-256 in hexadecimal). The statement is kept here and on the version's MLflow run. Refused for a
    version that no gate has passed, unless a person gives a reason (`force`); Unreachable where it cannot be kept, or
    what `signing.sign` raises."""
    _ensure_judged(subject, force=force, why=why)
    _fetch(subject)
    text = statement(subject, {}, more)
    said = in_toto.subjects(in_toto.parsed(text.encode()))
    chosen = signing.key_of(subject.project, key)
    signature = _signature(text, chosen)
    try:
        path = kept.keep(subject.project.state, subject.model, subject.number, text, signature)
    except OSError as error:
        raise Unreachable(
            f"the statement cannot be kept: {error.strerror or error}", hint="is the disk full?"
        ) from error
    signer = signing.fingerprint(chosen)
    reason = f"key {signer}{f': {one_line(why)}' if why else ''}"
    subject.journal.audit.add(who, "sign", f"{subject.model} version {subject.number}", reason)
    alone = kept.share(subject.project, subject.version, text, signature)
    files, images = in_toto.model_files(said), in_toto.images(said)
    return SignedVersion(subject.model, subject.number, signer, len(files), len(images), str(path), alone)


def _ensure_judged(subject: Subject, *, force: bool, why: str) -> None:
    found = verdict(subject.journal, subject.model, subject.number)
    if found is Verdict.PASS or (force and why):
        return
    last = f"the last verdict is {found}" if found else "none has looked at it"
    raise Refused(
        f"version {subject.number} has not passed a gate: {last}",
        hint=f'`podium evidence sign v{subject.number} --force --why "…"` signs it anyway; the audit keeps the reason',
    )


def _fetch(subject: Subject) -> None:
    """Fetches the version's files where they are not here as they were fetched: they are what is signed."""
    place = directory(subject.project.state, subject.model, subject.number)
    if present(place) is not None:
        return
    registry = open_registry(subject.project.mlflow, subject.project.state)
    try:
        registry.fetch(subject.model, subject.number, place)
    finally:
        registry.close()


def _signature(text: str, key: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="podium-sign-") as scratch:
        file = Path(scratch) / "statement.json"
        file.write_text(text, encoding="utf-8")
        signing.sign(file, key, Path(scratch) / "signature", namespace=signing.SERVED)
        return (Path(scratch) / "signature").read_text(encoding="utf-8")


def sign_step(context: StepContext) -> Mapping[str, Any]:
    """Signs a version with the key of this machine's account, or podium.yaml's. Options: `model`, `version` (default:
    what an earlier step reported, else the challenger). Results: `model`, `version`, `signer`, `files`, `images`.
    Raises Refused for a version that has not passed its gates."""
    model = context.model
    number = _number(context, model)
    version = context.journal.versions.get(model, number)
    if version is None:
        registry = open_registry(context.project.mlflow, context.project.state)
        try:
            version = registry.version(model, number)
        finally:
            registry.close()
    made = release(named(context.project, context.journal, version), None, who=context.run.who or whoami())
    context.log(f"signed {model} version {number} with the key {made.signer}: {made.files} files, {made.images} images")
    if made.alone:
        context.log(f"the statement is on this machine only: {made.alone}")
    return {"model": model, "version": number, "signer": made.signer, "files": made.files, "images": made.images}


def _number(context: StepContext, model: str) -> int:
    written = context.options.get("version") or context.upstream_version(model)
    if written:
        number = whole_number(str(written).removeprefix("v"))
        if number is None:
            raise UsageError(f"{written!r} is no version", hint="a number, or leave it out for the challenger")
        return number
    registry = open_registry(context.project.mlflow, context.project.state)
    try:
        aliases = registry.aliases(model)
    finally:
        registry.close()
    if CHALLENGER not in aliases:
        raise NotFound(f"no version of {model} is the {CHALLENGER}", hint="register one first, or name `version`")
    return aliases[CHALLENGER]
