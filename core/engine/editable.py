"""Finds packages that are installed from the project's own working tree (`pip install -e .`): a run of a commit has to
import them from its worktree, or it tests code that nobody committed."""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

from ..errors import Refused

_MAPPING = re.compile(r"^(?:MAPPING|NAMESPACES)\b[^=\n]*=\s*(\{.*\})\s*$", re.MULTILINE)
_MOST_BYTES = 1 << 20


def import_paths(environ: Mapping[str, str], main: Path, worktree: Path) -> list[str]:
    """Returns what goes before everything else that Python imports from, so that packages which the environment's
    Python takes from the working tree at `main` come from `worktree`. Raises Refused for one that the commit does not
    have there: it would come from the working tree."""
    found: dict[str, None] = {}
    for packages in _site_packages(environ):
        for source, package in _sources(packages):
            if not source.is_relative_to(main):
                continue
            there = worktree / source.relative_to(main)
            if not there.exists() or (package and there.name != package):
                raise Refused(
                    f"{package or source.name} is installed from the working tree ({source}), and the commit does not "
                    "have it there: the run would import code that was not committed",
                    hint="`pip install .` without -e into the environment of runs, or run without --commit",
                )
            found[str(there.parent if package else there)] = None
    return list(found)


def _site_packages(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yields the site-packages of the Python that a step's `python` starts."""
    program = shutil.which("python", path=environ.get("PATH")) or shutil.which("python3", path=environ.get("PATH"))
    if program:
        yield from sorted(Path(program).absolute().parent.parent.glob("lib/python3*/site-packages"))


def _sources(packages: Path) -> Iterator[tuple[Path, str]]:
    """Yields each directory from which something is imported as (directory, ""), and each package that is mapped to one
    as (its directory, its name)."""
    for file in sorted(packages.glob("*.pth")):
        for line in _text(file).splitlines():
            path = line.strip()
            if path.startswith("/") and os.path.isdir(path):  # noqa: PTH112
                yield Path(path).resolve(), ""
    for file in sorted(packages.glob("__editable__*_finder.py")):
        yield from ((Path(path).resolve(), name) for name, path in _mapped(_text(file)))


def _mapped(text: str) -> Iterator[tuple[str, str]]:
    for match in _MAPPING.finditer(text):
        with suppress(ValueError, SyntaxError, TypeError):
            for name, places in cast("dict[str, str | list[str]]", ast.literal_eval(match[1])).items():
                for path in [places] if isinstance(places, str) else places:
                    yield name.rpartition(".")[2], path


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace")
    return ""
