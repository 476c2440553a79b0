"""Loads a Project from the file: text, nodes, records, references, dataclasses. Every stage notes all the problems
it finds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from ..domain.project import Project
from ..errors import ConfigError, Problem
from ..known_secrets import in_address, in_environment, known
from ..priority import LOWEST
from ..secret_forms import maskable
from . import build, source
from .checks.comparisons import misleading
from .idle import idle
from .infra.outputs import with_outputs
from .origins import with_origins
from .reader import MAX_PROBLEMS, Reader, Record, shorten
from .references import check
from .source import YamlNode
from .table import PROJECT
from .variables import looks_secret

_NICE = re.compile(r"[0-9]{1,2}")


def load_project(path: Path, root: Path, home: Path, environ: Mapping[str, str]) -> Project:
    return from_text(source.read_text(path), path.name, root, home, environ)


def from_text(text: str, name: str, root: Path, home: Path, environ: Mapping[str, str]) -> Project:
    reader = Reader(name, environ)
    node = source.parse(text, name)
    if node is None:
        raise ConfigError((Problem(name, 0, 0, "", "is empty"),), hint="create one with `podium init`")
    record = read(node, reader)
    secrets = tuple(dict.fromkeys((*reader.secrets, *in_environment(environ))))
    found = build.project(record, root, home, secrets)
    secrets = tuple(dict.fromkeys((*secrets, *_passed(found, environ))))
    found = replace(found, secrets=secrets)
    known.remember(*secrets)
    check(record, found, reader)
    nice = _nice(reader, found.nice)
    if reader.problems:
        raise ConfigError(_in_order(reader.problems, name))
    found = with_outputs(with_origins(found, record, environ))
    unused = (*idle(found), *misleading(found), *_not_masked(secrets, environ))
    return replace(found, nice=nice, idle=unused, digest=sha256(text.encode()).hexdigest())


def _passed(project: Project, environ: Mapping[str, str]) -> Iterator[str]:
    """Yields what is secret of the caller's variables that `pass` gives to steps: values of names that say so, and
    passwords in addresses (a package index's, of which there may be several)."""
    for name, value in environ.items():
        if value and project.passes(name):
            if looks_secret(name):
                yield value
            for word in value.split():
                yield from in_address(word)


def _not_masked(secrets: tuple[str, ...], environ: Mapping[str, str]) -> list[str]:
    """Returns a sentence for each variable whose secret is too short, or too common a word, to be masked in a text."""
    bare = {secret for secret in secrets if secret.strip() and not maskable(secret)}
    named = sorted(name for name, value in environ.items() if value in bare)
    words = "its value is too short, or a word of every log: it is masked only where it stands alone"
    return [f"the secret in ${{{name}}}: {words}" for name in named]


def _nice(reader: Reader, written: int) -> int:
    """Returns the nice value of steps: what the machine says that they run on (PODIUM_NICE) goes before the file. A
    problem of the reader where that is none, as with every other variable that cannot be used."""
    given = reader.environ.get("PODIUM_NICE", "").strip()
    if not given:
        return written
    if _NICE.fullmatch(given) and int(given) <= LOWEST:
        return int(given)
    message = f"the variable PODIUM_NICE is {shorten(given)!r}, not a number from 0 to {LOWEST}"
    reader.problems.append(Problem(reader.file, 0, 0, "nice", message, "unset PODIUM_NICE"))
    return written


def read(node: YamlNode, reader: Reader) -> Record:
    record = PROJECT.read(node, "", reader)
    if not isinstance(record, Record):
        raise ConfigError(tuple(reader.problems))
    return record


def _in_order(problems: list[Problem], name: str) -> tuple[Problem, ...]:
    """Returns the problems by position, each once (an alias repeats a problem), up to a readable number."""
    unique = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))
    if len(unique) <= MAX_PROBLEMS:
        return tuple(unique)
    return (*unique[:MAX_PROBLEMS], Problem(name, 0, 0, "", f"and {len(unique) - MAX_PROBLEMS} more problems"))
