"""`verify: required` of an environment: a version is served only if an allowed signer has signed it, and its files and
its image are what was signed."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ..beneath import Directory, walk
from ..domain.evidence.proof import Standing
from ..domain.frozen import Frozen
from ..domain.models import Version
from ..domain.project import Project
from ..domain.text import one_line
from . import in_toto, kept, signing
from .allowed import Allowed, Unsigned, allowed
from .hashing import digests, shown_name

# How long what ssh-keygen said of a signature is believed within one process: keys expire, too.
_BELIEVED = 60


class Accepted(Frozen):
    """A statement that an allowed signer has signed."""

    signer: str
    files: dict[str, str]
    """The model's files: path -> SHA-256."""
    images: frozenset[str]
    """SHA-256 of the images, in hexadecimal."""


class Seen(Frozen):
    """A statement that is kept here, whether it counts or not."""

    name: str
    """Its file's name, which has a digest of it."""
    signer: str
    """The name that the allowed signers give the key, else its fingerprint; empty where nothing could be read."""
    problem: str
    """Why it does not count; empty if it does."""
    files: int
    images: int
    since: float
    """Since when it is on this machine, in seconds since the epoch."""


def seen(project: Project, model: str, version: int) -> tuple[Seen, ...]:
    """Returns every statement that is kept of a version, the newest first."""
    found: list[Seen] = []
    try:
        rules, nobody = allowed(project), ""
    except Unsigned as error:
        rules, nobody = (), error.message
    for each in kept.read(project.state, model, version):
        content = in_toto.parsed(each.statement)
        problem, signer = _refused(content, (model, version), each, rules)
        if not signer:
            by = signing.judge(each.statement, each.signature, None, None, namespace=signing.SERVED)
            problem, signer = problem or by.words or nobody, by.name
        said = in_toto.subjects(content)
        files, images = len(in_toto.model_files(said)), len(in_toto.images(said))
        found.append(Seen(each.path.name, signer, problem, files, images, each.path.stat().st_mtime))
    return tuple(found)


def accepted(project: Project, model: str, version: int) -> tuple[Accepted, ...]:
    """Returns the statements about a version that allowed signers have signed, the newest first. Raises Unsigned, with
    what is wrong with the newest one, if there is none."""
    rules = allowed(project)
    found: list[Accepted] = []
    problems: list[str] = []
    for each in kept.read(project.state, model, version):
        content = in_toto.parsed(each.statement)
        problem, signer = _refused(content, (model, version), each, rules)
        if problem:
            problems.append(problem)
            continue
        said = in_toto.subjects(content)
        found.append(Accepted(signer, in_toto.model_files(said), in_toto.images(said)))
    if not found:
        words = problems[0] if problems else "nobody has signed it"
        raise Unsigned(f"{model} version {version} may not be served: {words}", hint=_hint(version))
    return tuple(found)


def why_not(project: Project, model: str, version: int) -> str:
    """Returns why a version may not be served, as far as signatures say it; empty if they allow it. Files are not
    read."""
    try:
        accepted(project, model, version)
    except Unsigned as error:
        return error.message
    return ""


def ensure(project: Project, version: Version, place: Path | None, *, fetch: bool = False) -> frozenset[str]:
    """Raises Unsigned unless the files in `place` are those of a statement that an allowed signer has signed; returns
    the digests of the images that are signed with them. Files that were read before and are the same by inode, size
    and times are not read again. Without a `place`, as for what is in an image, files are not compared. `fetch` asks
    MLflow for statements that are not here, if those that are here are not enough: one that came later may be about
    more images, or files."""
    if not fetch:
        return _ensure(project, version, place)
    words = kept.bring(project, version) if place is None else ""
    try:
        return _ensure(project, version, place)
    except Unsigned:
        words = words or kept.bring(project, version)
    try:
        return _ensure(project, version, place)
    except Unsigned as error:
        raise Unsigned(f"{error.message}{f' ({words})' if words else ''}", hint=error.hint) from error


def _ensure(project: Project, version: Version, place: Path | None) -> frozenset[str]:
    model, number = version.model, version.version
    statements = accepted(project, model, number)
    words, fitting = "", statements
    if place is not None:
        try:
            words, fitting = _compared(project.state, place, statements)
        except OSError as error:
            words = f"its files in {place} cannot be read: {error.strerror or error}"
    if words:
        raise Unsigned(f"{model} version {number} may not be served: {words}", hint=_hint(number))
    return frozenset(image for each in fitting for image in each.images)


def _compared(state: Path, place: Path, statements: tuple[Accepted, ...]) -> tuple[str, tuple[Accepted, ...]]:
    """Returns what is wrong with the files, and the statements that are about them as they are."""
    _drop_byte_code(place)
    there = {shown_name(name): sha for name, sha, _ in digests(state, place)}
    problem = next(_strange(place), "")
    fitting = tuple(each for each in statements if there and each.files == there)
    if problem or not fitting:
        return problem or next(differing(statements[0].files, there), "it has no files"), ()
    return "", fitting


def differing(said: dict[str, str], there: dict[str, str]) -> Iterator[str]:
    """Yields in words where a model's files are not those that were signed."""
    for name, sha in said.items():
        if name not in there:
            yield f"the model's file {one_line(name)} is missing"
        elif there[name] != sha:
            yield f"the model's file {one_line(name)} is not what was signed"
    yield from (f"the model has a file that was not signed: {one_line(name)}" for name in there if name not in said)


def _refused(content: object, wanted: tuple[str, int], each: kept.Kept, rules: tuple[Allowed, ...]) -> tuple[str, str]:
    """Returns why a statement does not count, and who signed it."""
    about = in_toto.version_of(content)
    if about != wanted:
        other = f"{one_line(about[0])} version {about[1]}" if about[1] is not None else "no version"
        return f"what is signed is a statement about {other}", ""
    with suppress(OSError):
        signature = each.signature.read_bytes()
        moment = max(time.time(), each.signature.stat().st_mtime)  # a clock that was put back revives no key
        signer = ""
        for rule in rules:
            standing, signer, words = _judged(each.statement, signature, rule, moment // _BELIEVED * _BELIEVED)
            if standing is not Standing.KNOWN:
                return f"{words} ({rule.where})", ""
        return "", signer
    return "its signature cannot be read", ""


@lru_cache(maxsize=64)
def _judged(statement: bytes, signature: bytes, rule: Allowed, moment: float) -> tuple[Standing, str, str]:
    """Returns what ssh-keygen says of a signature: standing, signer, why it is refused."""
    scratch = Path(tempfile.mkdtemp(prefix="podium-signed-"))
    try:
        files = {"signature": signature, "allowed_signers": rule.signers, "revoked": rule.revoked}
        for name, content in files.items():
            if content is not None:
                (scratch / name).write_bytes(content)
        revoked = scratch / "revoked" if rule.revoked is not None else None
        found = signing.judge(
            statement,
            scratch / "signature",
            scratch / "allowed_signers",
            revoked,
            namespace=signing.SERVED,
            moment=moment,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return found.standing, found.name, found.words


def _drop_byte_code(place: Path) -> None:
    """Removes byte code, which is in no statement and would be run instead of the code beside it."""
    for path in list(place.rglob("__pycache__")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)


def _strange(place: Path) -> Iterator[str]:
    """Yields what is neither file nor directory: what a link leads to is not what was signed."""
    with Directory.open(place) as top:
        for each in walk(top):
            # A replica that runs may have written byte code in this moment, in a directory of that name.
            if not each.is_directory and (not each.is_file or each.name == "__pycache__"):
                yield f"{one_line(shown_name(each.path))} is no file that can be signed"


def _hint(version: int) -> str:
    return f"somebody who may can sign it: podium evidence sign v{version}"
