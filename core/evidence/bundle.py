"""Writes a bundle: the story in three forms, the statement, lists of digests, and signatures."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from ..domain.evidence.proof import Bundle
from ..domain.evidence.story import Story
from ..errors import MissingExtra, NotFound, Refused, Unreachable
from ..signatures import signing
from ..signatures.sshsig import public_key
from ..signatures.sums import written
from .model_signature import SIGNATURE, model_signature
from .sections.origin import file_digests
from .statement import statement
from .story import told
from .subject import Subject
from .text.document import document
from .text.markdown import markdown
from .text.page import page

JSON, MARKDOWN, PAGE = "evidence.json", "evidence.md", "evidence.html"
STATEMENT, MODEL_SUMS, SUMS, PUBLIC = "statement.json", "MODEL.SHA256", "SHA256SUMS", "signer.pub"
SIGNED = (STATEMENT, SUMS)


def default_name(subject: Subject) -> str:
    """Returns the name of the directory that a bundle is written to."""
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in subject.model).strip(".-")
    return f"evidence-{plain or 'model'}-v{subject.number}"


def write(subject: Subject, directory: Path, *, key: Path | None = None, sign: bool = True) -> Bundle:
    """Writes the bundle of a version into a new directory, whole or not at all. Without a key that can sign it is not
    signed, and says why; a key that was named and cannot sign is an error. Refused if the directory has something in
    it; Unreachable if it cannot be written."""
    _ensure_new(directory)
    story = told(subject)
    texts = _texts(subject, story)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=directory.parent) as scratch:
            made = Path(scratch) / "bundle"
            made.mkdir(mode=0o700)
            for name, text in texts.items():
                (made / name).write_bytes(_encoded(text))
            signer, unsigned = _signed(subject, made, key) if sign else ("", "nobody was to sign it (--unsigned)")
            if directory.is_dir():
                directory.rmdir()
            made.rename(directory)
    except OSError as error:
        words = error.strerror or error
        raise Unreachable(f"{directory} cannot be written: {words}", hint="name another directory with -o") from error
    files = tuple(sorted(path.name for path in directory.iterdir()))
    missing = tuple(f"{section.title}: {words}" for section in story.sections for words in section.missing)
    return Bundle(str(directory), subject.model, subject.number, files, signer, unsigned, missing)


def _ensure_new(directory: Path) -> None:
    if (
        directory.is_symlink()
        or (directory.exists() and not directory.is_dir())
        or (directory.is_dir() and any(directory.iterdir()))
    ):
        raise Refused(f"{directory} is there already", hint="name a new directory with -o, or move that one away")


def _texts(subject: Subject, story: Story) -> dict[str, str]:
    """Returns the files of the bundle but the signatures."""
    texts = {JSON: document(story), MARKDOWN: markdown(story), PAGE: page(story)}
    known = {name: _sha256(text) for name, text in texts.items()}
    model = {name: sha for name, sha, _ in file_digests(subject)}
    texts |= {MODEL_SUMS: written(model), STATEMENT: statement(subject, known)}
    signature = model_signature(subject)
    texts |= {SIGNATURE: signature} if signature else {}
    return texts | {SUMS: written({name: _sha256(text) for name, text in texts.items()})}


def _sha256(text: str) -> str:
    return hashlib.sha256(_encoded(text)).hexdigest()


def _encoded(text: str) -> bytes:
    """Returns a file's bytes: in the lists names of files are what they are, UTF-8 or not."""
    return text.encode("utf-8", "surrogateescape")


def _signed(subject: Subject, made: Path, key: Path | None) -> tuple[str, str]:
    """Signs the files; returns the key's fingerprint, and why it is not signed."""
    try:
        chosen = signing.key_of(subject.project, key)
        add_signature(made, chosen)
    except (MissingExtra, NotFound, Unreachable) as error:
        if key is not None or subject.project.evidence.key:
            raise
        return "", error.message
    return signing.fingerprint(chosen), ""


def add_signature(directory: Path, key: Path) -> None:
    """Signs what a bundle has signed, beside those who have signed it already. Raises what `signing.sign` does."""
    number = next(each for each in range(1, 1000) if not (directory / signature_name(SUMS, each)).exists())
    for name in SIGNED:
        kept = directory / signature_name(name, number)
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / name
            shutil.copyfile(directory / name, copy)
            signing.sign(copy, key, Path(scratch) / "made")
            shutil.copyfile(Path(scratch) / "made", kept)
    half = public_key((directory / signature_name(SUMS, number)).read_bytes())
    with (directory / PUBLIC).open("a", encoding="utf-8") as file:
        file.write(f"{half}\n")


def signature_name(name: str, number: int) -> str:
    """Returns the name of a signature's file: the first is the one that ssh-keygen itself would write."""
    return f"{name}.sig" if number == 1 else f"{name}.{number}.sig"
