"""Compares a bundle with what was signed, and with a project that has the same version."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..beneath import Directory, walk
from ..domain.containers import Image
from ..domain.evidence.proof import Proof, Standing
from ..domain.frozen import Frozen
from ..domain.text import one_line
from ..errors import UNREADABLE, NotFound
from ..registry.files import directory
from ..signatures import signing
from ..signatures.hashing import digests, shown_name
from ..signatures.in_toto import BUNDLE_PREFIX, images, model_files, parsed, subjects, version_of
from ..signatures.required import differing as files_differing
from ..signatures.sshsig import public_key
from ..signatures.sums import read
from . import bundle
from .subject import Subject

_MAX_FILE = 256 << 20
_Signers = tuple[Path | None, Path | None]


class _Bundle(Frozen):
    """A bundle's files as they are read, once."""

    path: Path
    files: Mapping[str, bytes]
    strange: frozenset[str]
    """Names of what is no plain file, such as a link, and of what is too large for any file of a bundle."""

    @property
    def signatures(self) -> Sequence[tuple[int, str]]:
        """Returns the number and the file's name of each that is signed, as long as numbers follow on each other."""
        found: list[tuple[int, str]] = []
        for number in range(1, 1000):
            there = [(number, name) for name in bundle.SIGNED if bundle.signature_name(name, number) in self.files]
            if not there:
                break
            found += there
        return found

    def json(self, name: str) -> Any:
        """Returns a file's JSON; None if it is none, or nested as nothing is that Podium writes."""
        return parsed(self.files.get(name, b""))


def verify(
    path: Path,
    *,
    signers: Path | None = None,
    revoked: Path | None = None,
    model: Path | None = None,
    here: Subject | None = None,
) -> Proof:
    """Returns what was found. `signers` is a file of allowed signers and `revoked` a list of revoked keys, as
    ssh-keygen reads them; `model` is a directory with the version's files; `here` is the version as a project has it,
    whose files and audit are compared too. Raises NotFound if there is no bundle, and MissingExtra without
    ssh-keygen."""
    found = _opened(path)
    problems = list(_differing(found))
    signed, standing, signer = _signatures(found, (signers, revoked))
    problems += signed
    checked = ["the bundle's files, by SHA256SUMS and the statement"]
    name, version = _about(found)
    for words, differing in _outside(found, model, here):
        checked.append(words)
        problems += differing
    return Proof(str(found.path), name, version, standing, signer, tuple(dict.fromkeys(problems)), tuple(checked))


def differing(path: Path) -> tuple[str, ...]:
    """Returns where a bundle's files are not those of its own lists, whoever signed them. Raises NotFound if there is
    no bundle."""
    return tuple(_differing(_opened(path)))


def _opened(path: Path) -> _Bundle:
    """Returns the bundle in a directory, or the one that a file is of."""
    directory = path if path.is_dir() else path.parent
    if not (directory / bundle.SUMS).is_file() or not (directory / bundle.STATEMENT).is_file():
        raise NotFound(f"{path} is no bundle of evidence", hint="`podium evidence VERSION` writes one")
    files: dict[str, bytes] = {}
    strange: set[str] = set()
    with Directory.open(directory) as top:
        for entry in walk(top):
            if not entry.is_file or entry.status.st_size > _MAX_FILE:
                strange.add(entry.path)
                continue
            with top.read_below(entry.path, links=False) as file:
                files[entry.path] = file.read(_MAX_FILE)
    return _Bundle(directory, files, frozenset(strange))


def _about(found: _Bundle) -> tuple[str, int | None]:
    content = found.json(bundle.JSON)
    try:
        return str(content["model"]), int(content["version"])
    except UNREADABLE:
        return "", None


def _differing(found: _Bundle) -> Iterator[str]:
    """Yields where the files are not those of SHA256SUMS and the statement."""
    try:
        listed = read(found.files.get(bundle.SUMS, b"").decode("utf-8", "replace"))
    except ValueError as error:
        yield f"{bundle.SUMS} is damaged: {error}"
        return
    signatures = {bundle.signature_name(name, number) for number, name in found.signatures}
    unlisted = signatures | {bundle.SUMS, bundle.PUBLIC}
    yield from (f"{one_line(name)} is no plain file" for name in sorted(found.strange))
    for name, digest in listed.items():
        if name not in found.files:
            yield f"{one_line(name)} is missing"
        elif _sha256(found.files[name]) != digest:
            yield f"{one_line(name)} is not what was signed"
    yield from (
        f"{one_line(name)} is no part of the bundle"
        for name in found.files
        if name not in listed and name not in unlisted
    )
    for needed in (bundle.JSON, bundle.MARKDOWN, bundle.PAGE, bundle.STATEMENT, bundle.MODEL_SUMS):
        if needed not in listed:
            yield f"{bundle.SUMS} does not have {needed}"
    yield from _key_differs(found)
    yield from _statement_differs(found)


def _key_differs(found: _Bundle) -> Iterator[str]:
    """Yields where the keys that lie in the bundle are not those that have signed it."""
    keys = {public_key(found.files[bundle.signature_name(name, number)]).encode() for number, name in found.signatures}
    if set(found.files.get(bundle.PUBLIC, b"").split(b"\n")) - keys - {b""}:
        yield f"{bundle.PUBLIC} has a key that has signed nothing here"


def _statement_differs(found: _Bundle) -> Iterator[str]:
    """Yields where the statement is about other documents, another version or other files than the bundle."""
    said = subjects(found.json(bundle.STATEMENT))
    if not said:
        yield f"{bundle.STATEMENT} is no statement"
        return
    for name in (bundle.JSON, bundle.MARKDOWN, bundle.PAGE):
        if said.get(f"{BUNDLE_PREFIX}{name}") != _sha256(found.files.get(name, b"")):
            yield f"the statement is about another {name}"
    try:
        text = found.files.get(bundle.MODEL_SUMS, b"").decode("utf-8", "surrogateescape")
        listed = {shown_name(name): sha for name, sha in read(text).items()}
    except ValueError as error:
        yield f"{bundle.MODEL_SUMS} is damaged: {error}"
        return
    if model_files(said) != listed:
        yield f"the statement is about other files than {bundle.MODEL_SUMS}"
    if version_of(found.json(bundle.STATEMENT)) != _about(found):
        yield "the statement is about another version than the evidence"


def _signatures(found: _Bundle, signers: _Signers) -> tuple[list[str], Standing, str]:
    """Returns what is wrong with the signatures, how the signers stand as a whole, and their names. Each signer has
    signed both the statement and the list."""
    problems: list[str] = []
    standings: list[Standing] = []
    names: list[str] = []
    for number in dict.fromkeys(number for number, _ in found.signatures):
        there = [name for each, name in found.signatures if each == number]
        problems += [f"{name} has no signature {number}" for name in bundle.SIGNED if name not in there]
        for name in there:
            signer = _judged(found, name, bundle.signature_name(name, number), signers)
            standings.append(signer.standing)
            names.append(signer.name)
            problems += [f"{name}: {signer.words}"] if signer.words else []
            kept = bundle.signature_name(name, number)
            if not signer.words and not public_key(found.files[kept]):
                problems.append(f"{kept} has more than a signature")
    names = [name for name in dict.fromkeys(names) if name]
    if not standings:
        return ["it is not signed: anybody may have changed it"], Standing.NONE, ""
    order = (Standing.REFUSED, Standing.UNKNOWN, Standing.KNOWN)
    return problems, next(each for each in order if each in standings), ", ".join(map(one_line, names))


def _judged(found: _Bundle, name: str, signature: str, signers: _Signers) -> signing.Signer:
    """Returns who signed a file, by the signature as it was read."""
    with tempfile.TemporaryDirectory(prefix="podium-verify-") as scratch:
        kept = Path(scratch) / "signature"
        kept.write_bytes(found.files[signature])
        return signing.judge(found.files.get(name, b""), kept, *signers)


def _outside(found: _Bundle, model: Path | None, here: Subject | None) -> Iterator[tuple[str, list[str]]]:
    """Yields what is compared with things outside of the bundle, and what differs."""
    said = subjects(found.json(bundle.STATEMENT))
    if model is not None:
        yield f"the files in {model}", list(files_differing(model_files(said), _files_of(model)))
    if here is None:
        return
    place = directory(here.project.state, here.model, here.number)
    if place.is_dir() and model_files(said):
        yield "this project's files of the version", list(files_differing(model_files(said), _files_of(place)))
    ours = here.journal.images.of(here.model, here.number)
    if ours:
        yield "this project's images of the version", list(_image_differs(images(said), ours))
    yield "this project's audit", list(_audit_differs(found, here))


def _files_of(directory: Path) -> dict[str, str]:
    if not directory.is_dir():
        raise NotFound(
            f"there is no directory {directory}", hint="name the directory of the version's files with --model"
        )
    return {shown_name(name): sha for name, sha, _ in digests(None, directory)}


def _image_differs(said: frozenset[str], ours: Iterable[Image]) -> Iterator[str]:
    """Yields the images by which this project serves the version, and which were not signed with it."""
    for image in ours:
        if not {name.rpartition("sha256:")[2] for name in (image.image_id, image.reference)} & said:
            yield f"the image {one_line(image.image_id)[:19]} of {one_line(image.engine)} is not what was signed"


def _audit_differs(found: _Bundle, here: Subject) -> Iterator[str]:
    """Yields where the audit is broken, or does not have the head that the evidence names."""
    try:
        facts = found.json(bundle.JSON)["sections"]["audit"]["facts"]
        head = (int(facts["entries in all"]), str(facts["digest of the last one"] or ""))
    except UNREADABLE:
        yield "the evidence does not say which audit it was written from"
        return
    yield from (f"the audit: {words}" for words in here.journal.audit.verify(head))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
